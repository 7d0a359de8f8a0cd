// Whoever calls with this browser. One for the whole page, so that moving to another view doesn't
// end a call.

import { preference, remember } from '../preferences.js';
import { Call } from './call.js';
import { Chat } from './chat.js';
import { Connection } from './connection.js';
import { contacts } from './contacts.js';
import { Farewells, isOver, mayPass } from './farewells.js';
import { Incoming } from './incoming.js';
import { Listening } from './listening.js';
import { OwnMedia } from './own-media.js';
import { Past } from './past.js';
import { Reporter } from './reporter.js';

/** By then the call that takes another's place is there, or won't come. */
const CROSSED_MS = 5000;
/** How often in a call is looked whether STUN and TURN are known of late. */
const FRESHEN_MS = 60_000;

/**
 * Events: `change` (anything below), `over` with why a call ended in `detail`, `recording` with what
 * is said of one that has ended.
 */
export class Phone extends EventTarget {
  /** Who is signed in; null before. */
  user = null;
  /** Others by name: available, in_call. */
  people = new Map();
  /** The call that this device is in, or calls in; null: none. */
  call = null;
  own = new OwnMedia();
  /** Plays what is heard where nothing else does. */
  listening = new Listening(() => this.call?.streams ?? new Map(), () => this.speaker);
  speaker = preference('call-speaker', '');
  #connection = new Connection();
  chat = new Chat({ say: (message) => this.#connection.say(message), ask: (message) => this.#connection.ask(message), me: () => this.user });
  /** What others know of one's media, as text. */
  #told = '';
  #past = new Past();
  #incoming = new Incoming(() => this.#changed());
  #farewells = new Farewells({ ask: (message) => this.#connection.ask(message), canSay: () => this.state === 'open' });
  #reporter = new Reporter({ say: (message) => this.#connection.say(message), call: () => this.call });

  constructor() {
    super();
    this.#connection.addEventListener('state', () => this.#follow());
    this.#connection.addEventListener('begun', () => this.#begin());
    this.#connection.addEventListener('message', ({ detail }) => this.#take(detail));
    this.own.addEventListener('track', ({ detail }) => {
      this.call?.parties.replace(detail);
      this.#tellMedia();
    });
    // Others may restart a connection, or come, at any time.
    setInterval(() => { if (this.busy) this.#connection.freshen(); }, FRESHEN_MS);
    const doubt = () => this.#connection.doubt();
    navigator.connection?.addEventListener?.('change', doubt);
    addEventListener('online', doubt);
    // Its timers stood, or nearly so.
    document.addEventListener('visibilitychange', () => { if (!document.hidden) doubt(); });
  }

  get state() {
    return this.#connection.state;
  }

  /** Why nobody could sign in. */
  get reason() {
    return this.#connection.reason;
  }

  /** The call that rings here: {call, from, others}; null: none. */
  get ringing() {
    return this.#incoming.rings;
  }

  /** The id of a call that this device was in and may come back to; null: none. */
  get left() {
    return this.#past.call;
  }

  /** In a call, or calling. */
  get busy() {
    return this.call !== null;
  }

  /** Somebody may be called now. */
  get canRing() {
    return this.state === 'open' && !this.busy;
  }

  /** `name` is taken where the server asks for no tokens. */
  signIn(name) {
    this.signOut();
    this.#connection.open(name);
  }

  signOut() {
    this.#leaveCall(null);
    this.#connection.close();
    this.#farewells.forget();
    this.user = null;
    this.people.clear();
    this.#incoming.end();
    this.chat.forget();
    contacts.forget();
    this.#changed();
  }

  /** More than two are in it, or rung. */
  get isGroup() {
    return this.call?.isGroup ?? false;
  }

  /** May end the call for everybody. */
  get isHost() {
    return this.call !== null && this.call.host === this.user;
  }

  /** Rings people. Rejects with a sentence where that is refused. */
  async ring(...users) {
    if (this.busy) return;
    await this.#prepare();
    try {
      await this.#connection.ask({ type: 'invite', users, media: this.own.media });
    } catch (error) {
      this.#closeMedia();
      throw error;
    }
  }

  /** Rings more people, who come into the call that goes on. */
  async add(users) {
    await this.#connection.ask({ type: 'invite', call: this.call.id, users, media: this.own.media });
  }

  /** Has the call recorded, or no longer; everybody in it is told. */
  async record(on) {
    await this.#connection.ask({ type: 'record', call: this.call.id, recorded: on });
  }

  /** Withdraws an invitation. */
  async cancel(user) {
    await this.#connection.ask({ type: 'cancel', call: this.call.id, user });
  }

  async accept() {
    const { call } = this.ringing ?? {};
    if (!call) return;
    await this.#prepare();
    // Nobody rings any more: the caller may have given up meanwhile.
    if (this.ringing?.call !== call) {
      this.#closeMedia();
      return;
    }
    await this.#enter({ type: 'accept', call });
  }

  async rejoin() {
    const call = this.left;
    this.#past.call = null;
    await this.#prepare();
    try {
      await this.#enter({ type: 'rejoin', call });
    } catch (error) {
      if (!isOver(error) && !this.busy) this.#past.call ??= call;
      this.#changed();
      throw error;
    }
  }

  decline() {
    if (!this.ringing) return;
    this.#connection.say({ type: 'decline', call: this.ringing.call });
    this.#incoming.end();
    this.#changed();
  }

  /** Ends it here at once, whatever the server says. */
  hangUp() {
    // A group goes on without the one who leaves.
    if (this.call) this.#depart(this.isGroup ? 'leave' : 'hang_up');
  }

  /** Of more than two only the host may: rejects with a sentence where the call goes on. */
  async endForAll() {
    const { call } = this;
    if (!call) return;
    if (this.state !== 'open') {
      this.#depart('hang_up');
      return;
    }
    try {
      await this.#connection.ask({ type: 'hang_up', call: call.id });
    } catch (error) {
      if (error.code === 'only_the_host' || mayPass(error)) throw error;
      // It is over already, or this device isn't in it.
      if (this.call === call) this.#leaveCall('hung_up');
    }
  }

  #depart(type) {
    const { id } = this.call;
    this.#farewells.say(type, id);
    if (type === 'leave') this.#past.call = id;
    this.#leaveCall(type === 'leave' ? 'left' : 'hung_up');
  }

  /** Mutes and unmutes `audio`, or turns `video` off and on. */
  toggle(kind) {
    this.own.toggle(kind);
    this.#tellMedia();
  }

  /** Where others are heard; '' is the system's own choice. */
  setSpeaker(id) {
    this.speaker = id;
    remember('call-speaker', id);
    this.#changed();
  }

  /** Shares a screen in place of the camera, or no longer. */
  share(on) {
    return on ? this.own.share() : this.own.unshare();
  }

  #tellMedia() {
    const media = JSON.stringify(this.own.media);
    if (this.call && media !== this.#told) this.#connection.say({ type: 'media', call: this.call.id, media: this.own.media });
    this.#told = media;
    this.#changed();
  }

  #prepare() {
    return Promise.all([this.own.open(), this.#connection.freshen()]);
  }

  async #enter(message) {
    this.#farewells.takeBack(message.call);
    try {
      await this.#connection.ask({ ...message, media: this.own.media });
    } catch (error) {
      this.#closeMedia();
      throw error;
    }
  }

  #follow() {
    if (this.state === 'signed-out') this.dispatchEvent(new Event('signed-out'));
    // Nobody could end the call from here any more.
    if (this.state === 'replaced') this.#leaveCall('moved');
    else if (['refused', 'signed-out'].includes(this.state)) this.#leaveCall('lost', true);
    this.#changed();
  }

  /** A session of its own: what was known is void. */
  #begin() {
    this.people.clear();
    this.#incoming.end();
    this.#past.begin(this.call?.id);
    this.#leaveCall(null, true);
  }

  #take(message) {
    const { type } = message;
    if (this.chat.take(message)) return;
    this.#incoming.take(message);
    this.#past.take(message);
    if (type === 'welcome') {
      this.user = message.user;
      // Once those that failed know it.
      setTimeout(() => this.chat.begin(), 0);
      if (!message.resumed) contacts.refresh().catch(() => {});
      if (message.resumed) this.call?.parties.resume();
      // A socket that dropped may have another address now.
      this.#reporter.report(message.resumed ? 'address' : 'start');
    } else if (type === 'presence') this.#see(message);
    else if (type === 'contacts_changed') contacts.refresh().catch(() => {});
    else if (type === 'recording_finished') this.dispatchEvent(new CustomEvent('recording', { detail: message }));
    else if (type === 'ring') this.#hear(message);
    else if (message.call && !this.#farewells.covers(message) && message.call === (this.call?.id ?? message.call)) this.#takeOfCall(message);
    this.#changed();
  }

  #see({ user, availability }) {
    if (availability === 'offline') this.people.delete(user);
    else this.people.set(user, availability);
  }

  #hear(message) {
    const rings = this.ringing && this.ringing.call !== message.call;
    if (this.busy || rings) this.#connection.say({ type: 'busy', call: message.call });
    else this.#incoming.begin(message);
  }

  #takeOfCall(message) {
    switch (message.type) {
      case 'call':
        // Nobody can answer the other call here any more: its caller needn't wait.
        if (this.ringing && this.ringing.call !== message.call) this.#connection.say({ type: 'busy', call: this.ringing.call });
        this.#incoming.end();
        this.call ??= this.#open(message);
        this.call.take(message);
        this.#past.enter(message.call);
        break;
      // An earlier call's end is none of what is being opened for the next.
      case 'call_ended':
      case 'left':
        if (!this.call) break;
        if (message.reason === 'crossed') {
          this.#cross();
          break;
        }
        this.#leaveCall(message.reason ?? message.cause);
        if (message.cause === 'left') this.#past.call = message.call;
        break;
      default:
        this.call?.take(message);
    }
  }

  /** The other one's call takes the place of this one; camera and microphone go on for it. */
  #cross() {
    this.call.parties.close();
    this.call = null;
    this.#past.leave();
    setTimeout(() => this.#closeMedia(), CROSSED_MS);
  }

  #open(message) {
    const { upBps } = this.#connection;
    const iceServers = () => this.#connection.iceServers;
    const call = new Call(message, { me: this.user, iceServers, local: this.own.stream, upBps, say: (what) => this.#connection.say(what) });
    const { parties } = call;
    parties.addEventListener('line', ({ detail }) => this.#connection.setLine(detail));
    parties.addEventListener('silent', () => this.#connection.doubt());
    parties.addEventListener('change', () => this.#changed());
    return call;
  }

  /** `kept`: the call may be rejoined. */
  #leaveCall(reason, kept = false) {
    this.call?.parties.close();
    if (this.call) {
      this.call = null;
      if (!kept) this.#past.leave();
      if (reason) this.dispatchEvent(new CustomEvent('over', { detail: reason }));
    }
    this.#closeMedia();
  }

  #closeMedia() {
    if (!this.busy) this.own.close();
    this.#changed();
  }

  #changed() {
    this.listening.update();
    this.dispatchEvent(new Event('change'));
  }
}

export const phone = new Phone();
