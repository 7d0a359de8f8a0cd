// A call that this device is in, or calls in: who is in it, and the ways between them.

import { Parties } from './parties.js';
import { talkedWith } from './recent.js';

export class Call {
  recorded = false;
  participants = [];
  parties;
  /** When somebody was first connected; null before. */
  startedAt = null;
  #me;

  /** `first` is what the server says first of it; `me` and the others as for Parties. */
  constructor({ call, host, topology }, { me, ...rest }) {
    this.id = call;
    this.host = host;
    this.#me = me;
    this.parties = new Parties({ call, topology, me, ...rest });
    this.parties.addEventListener('change', () => {
      const isUp = (p) => this.parties.get(p.user)?.connected;
      if (this.participants.some(isUp)) this.startedAt ??= Date.now();
    });
  }

  /** More than two are in it, or rung. */
  get isGroup() {
    return this.participants.filter((p) => p.state !== 'out').length > 2;
  }

  /** What comes from everybody else, by user. */
  get streams() {
    const known = this.participants.map(({ user }) => [user, this.parties.get(user)?.stream]);
    return new Map(known.filter(([, stream]) => stream));
  }

  take(message) {
    switch (message.type) {
      case 'call':
        this.recorded = message.recorded;
        this.#setParticipants(message.participants);
        break;
      case 'participant':
        this.#replace(message.participant);
        break;
      case 'recorded':
        this.recorded = message.recorded;
        break;
      default:
        this.parties.take(message);
    }
  }

  #replace(participant) {
    const { participants } = this;
    const is = (p) => p.user === participant.user;
    // Everybody keeps their place.
    this.#setParticipants(participants.some(is) ? participants.map((p) => (is(p) ? participant : p)) : [...participants, participant]);
  }

  #setParticipants(participants) {
    this.participants = participants;
    talkedWith(participants.filter((p) => p.state === 'in' && p.user !== this.#me).map((p) => p.user));
    this.parties.setPeople(participants);
  }
}
