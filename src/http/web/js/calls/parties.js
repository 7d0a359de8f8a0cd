// Everybody else in a call, and the ways between them and this device: direct connections, what is
// published to the server and what is watched there. The server says what to have; this says how
// it fares.

import { figures } from '../rtc/stats.js';
import { WhipClient } from '../rtc/whip.js';
import { UP_BPS } from './capabilities.js';
import { UpLine } from './line.js';
import { Party } from './party.js';
import { Peer } from './peer.js';
import { Reporting } from './reporting.js';

/** How often every way is looked at. */
const REPORT_MS = 500;
/** While something is amiss. */
const HURRY_MS = 200;
/** Nothing comes from anybody for so long: perhaps it is this device's network. */
const SILENT_MS = 2000;

/**
 * Events: `change`; `line` with what the line up carries in `detail`; `silent`: nothing comes at
 * all.
 */
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
  #line;
  #reporting = new Reporting();
  /** Of what is published, as `figures` gives them. */
  published = null;
  #heardAt = performance.now();

  /**
   * `me` is this user, `local` the stream that is sent, `upBps` what the line was found to carry;
   * `iceServers()` gives STUN and TURN, `say(message)` tells the server.
   */
  constructor({ call, topology, me, iceServers, local, upBps, say }) {
    super();
    this.#line = new UpLine(UP_BPS, upBps);
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

  /** Sends what the local stream has now of a kind. */
  replace(kind) {
    for (const { peer } of this.#all.values()) peer?.replace();
    if (!this.#publisher) return;
    const track = this.#local.getTracks().find((each) => each.kind === kind);
    const isSent = track && this.#publisher.status.state !== 'failed';
    const replaced = isSent ? this.#publisher.replaceTrack(track) : Promise.reject(new Error('nothing is sent'));
    // What wasn't sent from the beginning takes a session of its own.
    replaced.catch(() => this.#publisher?.reconnect());
  }

  /**
   * What is on the screen: whose tiles, how high each is in device pixels, and whose is larger than
   * the rest.
   */
  show({ page, pageSize, users, height, large }) {
    const screen = { page_size: pageSize, page, users, height, ...(large && { large }) };
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
      iceServers: this.#iceServers(),
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
    this.#publisher?.setCodec(codecOf(configuration));
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
    for (const [user, party] of this.#all) party.watch(urls.get(user) ?? null, token, this.#iceServers());
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
      iceServers: this.#iceServers(),
      maxBitrate: this.#configuration?.video?.bitrate_bps ?? null,
      codec: codecOf(this.#configuration),
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
    const [seen] = await Promise.all([
      Promise.all(known.map((party) => party.measure(this.#media.get(party.user) ?? silent))),
      this.#measurePublished(),
    ]);
    if (this.#over) return;
    this.#weighLine(known);
    this.#listen(known);
    const reports = seen.map(({ report }) => report);
    if (this.#reporting.isDue(reports, this.topology, performance.now())) this.#say({ type: 'path_report', call: this.#call, reports });
    const isAmiss = seen.some((each) => each.isAmiss);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tick(), isAmiss ? HURRY_MS : REPORT_MS);
    this.#changed();
  }

  async #measurePublished() {
    const peer = this.#publisher?.peer;
    if (!peer || !this.#isPublished) {
      this.published = null;
      return;
    }
    const report = await peer.getStats().catch(() => null);
    this.published = report && Object.assign(figures(report, this.published?.peer === peer ? this.published : null), { peer });
  }

  /** What is sent now, each way, says what the line carries. */
  #weighLine(known) {
    const readings = known.map((party) => party.sending).filter(Boolean);
    const { limitation = null, available } = this.published ?? {};
    if (limitation !== null) readings.push({ id: 'server', available, limited: limitation === 'bandwidth' });
    if (this.#line.handle(readings, performance.now())) this.dispatchEvent(new CustomEvent('line', { detail: this.#line.bps }));
  }

  #listen(known) {
    const now = performance.now();
    if (!known.length || known.some((party) => party.arrives)) this.#heardAt = now;
    else if (now - this.#heardAt > SILENT_MS) this.dispatchEvent(new Event('silent'));
  }

  #changed() {
    if (!this.#over) this.dispatchEvent(new Event('change'));
  }
}

/** What is published by what was agreed on. AV1 is for devices among themselves: the server reads the others. */
function codecOf(configuration) {
  return { h264: 'H264', vp8: 'VP8' }[configuration?.video?.codec] ?? 'auto';
}
