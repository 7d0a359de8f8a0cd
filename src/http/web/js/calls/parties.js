// Everybody else in a call, and the ways between them and this device: direct connections, what is
// published to the server and what is watched there. The server says what to have; this says how
// it fares.

import { WhipClient } from '../rtc/whip.js';
import { Party } from './party.js';
import { Peer } from './peer.js';

const REPORT_MS = 500;
/** While something is amiss. */
const HURRY_MS = 200;

/** Events: `change`. */
export class Parties extends EventTarget {
  topology;
  /** Who talks, where the server listens; null otherwise. */
  speaker = null;
  #call;
  #me;
  #iceServers;
  #local;
  #say;
  #all = new Map();
  #media = new Map();
  #configuration = null;
  #due = [];
  /** By user; null where nothing was said. */
  #streams = null;
  #screen = '';
  #publisher = null;
  #publishUrl = null;
  #timer = null;
  #over = false;

  /** `me` is this user, `local` the stream that is sent; `say(message)` tells the server. */
  constructor({ call, topology, me, iceServers, local, say }) {
    super();
    this.#call = call;
    this.topology = topology;
    this.#me = me;
    this.#iceServers = iceServers;
    this.#local = local;
    this.#say = say;
    this.#timer = setTimeout(() => this.#tick(), REPORT_MS);
  }

  get(user) {
    return this.#all.get(user) ?? null;
  }

  /** Who is in the call. */
  setPeople(participants) {
    const here = participants.filter((p) => p.user !== this.#me && ['in', 'lost'].includes(p.state));
    this.#media = new Map(here.map((p) => [p.user, p.media]));
    for (const [user, party] of this.#all) {
      if (this.#media.has(user)) continue;
      party.close();
      this.#all.delete(user);
    }
  }

  take(message) {
    switch (message.type) {
      case 'peer':
        this.#connect(message);
        break;
      case 'peer_closed':
        for (const party of this.#all.values()) if (party.peer?.session === message.session) party.setPeer(null);
        break;
      case 'offer':
      case 'answer':
      case 'candidate':
        this.#peer(message.session)?.take(message);
        break;
      case 'configure':
        this.#configure(message);
        break;
      case 'topology':
        this.#arrange(message.topology);
        break;
      case 'legs':
        this.#setLegs(message);
        break;
      case 'path':
        this.#move(message);
        break;
      case 'speaker':
        this.speaker = message.user;
        break;
      case 'streams':
        this.#choose(message.streams);
        break;
      default:
    }
  }

  /** What is on the screen: whose tiles, and how high each is in device pixels. */
  show({ page, pageSize, users, height }) {
    const screen = { page_size: pageSize, page, users, height };
    const text = JSON.stringify(screen);
    if (text === this.#screen) return;
    this.#screen = text;
    this.#say({ type: 'tiles', call: this.#call, ...screen });
  }

  /** What was said while there was no socket may be lost: connections that aren't there are made anew. */
  resume() {
    for (const { peer } of this.#all.values()) {
      if (peer && !peer.connected) this.#say({ type: 'restart', call: this.#call, session: peer.session, epoch: peer.epoch });
    }
  }

  close() {
    this.#over = true;
    clearTimeout(this.#timer);
    // The server ends all of it with the call, or when this device leaves.
    this.#publisher?.stop({ isGone: true });
    for (const party of this.#all.values()) party.close();
    this.#all.clear();
  }

  #party(user) {
    let party = this.#all.get(user);
    if (!party) {
      party = new Party(user, this.topology === 'server' ? 'server' : 'direct');
      if (this.#streams) party.choose(this.#streams.get(user) ?? 'none');
      party.addEventListener('change', () => this.#changed());
      this.#all.set(user, party);
    }
    return party;
  }

  /** A connection is made once it is known how it is to be used. */
  #connect(message) {
    if (!this.#configuration) {
      this.#due.push(message);
      return;
    }
    this.#party(message.user).setPeer(new Peer(message, {
      iceServers: this.#iceServers,
      local: this.#local,
      configuration: this.#configuration,
      say: this.#say,
    }));
  }

  #configure({ revision, configuration }) {
    this.#configuration = configuration;
    for (const { peer } of this.#all.values()) peer?.configure(configuration);
    for (const due of this.#due.splice(0)) this.#connect(due);
    if (configuration.video) this.#publisher?.setMaxBitrate(configuration.video.bitrate_bps).catch(() => {});
    this.#say({ type: 'applied', call: this.#call, revision, configuration });
  }

  /** Back in a mesh, each direction stays at the server until the server says otherwise. */
  #arrange(topology) {
    this.topology = topology;
    if (topology !== 'server') {
      this.#streams = null;
      for (const party of this.#all.values()) party.choose('auto');
      return;
    }
    for (const party of this.#all.values()) {
      party.wanted.in = 'server';
      party.sendBy('server', this.#isPublished);
    }
    this.#hurry();
  }

  #move({ from, to, path }) {
    if (to === this.#me) this.#party(from).wanted.in = path;
    else if (from === this.#me) this.#party(to).sendBy(path, this.#isPublished);
    this.#hurry();
  }

  #setLegs({ publish = null, watch, token }) {
    const urls = new Map(watch.map(({ user, url }) => [user, new URL(url, location.href).href]));
    for (const user of urls.keys()) this.#party(user);
    for (const [user, party] of this.#all) party.watch(urls.get(user) ?? null, token, this.#iceServers);
    this.#publish(publish && new URL(publish, location.href).href, token);
    this.#hurry();
  }

  /** What is had of each picture through the server; of those that aren't named, none. */
  #choose(streams) {
    // The server goes down from the original by itself where the line is narrow.
    const names = { original: 'auto', sd: 'sd', none: 'none' };
    const wanted = new Map(streams.map(({ user, rendition }) => [user, names[rendition]]));
    for (const [user, party] of this.#all) party.choose(wanted.get(user) ?? 'none');
    this.#streams = wanted;
  }

  #publish(url, token) {
    if (url === this.#publishUrl) return;
    // The server has ended it already.
    this.#publisher?.stop({ isGone: true });
    this.#publishUrl = url;
    this.#publisher = url && new WhipClient({
      url,
      stream: this.#local,
      token: () => token,
      iceServers: this.#iceServers,
      maxBitrate: this.#configuration?.video?.bitrate_bps ?? null,
    });
    this.#publisher?.addEventListener('state', () => {
      for (const party of this.#all.values()) party.sendBy(party.wanted.out, this.#isPublished);
    });
    this.#publisher?.start();
  }

  get #isPublished() {
    return this.#publisher?.status.state === 'connected';
  }

  #peer(number) {
    return [...this.#all.values()].map(({ peer }) => peer).find((peer) => peer?.session === number);
  }

  #hurry() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tick(), HURRY_MS);
  }

  /** Looks at every way, and tells the server. */
  async #tick() {
    const silent = { audio: false, video: false };
    const known = [...this.#all.values()].filter((party) => party.exists);
    const seen = await Promise.all(known.map((party) => party.measure(this.#media.get(party.user) ?? silent)));
    if (this.#over) return;
    const reports = seen.map(({ report }) => report);
    if (reports.length) this.#say({ type: 'path_report', call: this.#call, reports });
    const isAmiss = seen.some((each) => each.isAmiss);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tick(), isAmiss ? HURRY_MS : REPORT_MS);
    this.#changed();
  }

  #changed() {
    if (!this.#over) this.dispatchEvent(new Event('change'));
  }
}
