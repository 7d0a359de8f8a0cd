// A WHEP player (draft-ietf-wish-whep) without a user interface.
//
//   const client = new WhepClient({ url: '/whep/demo', token: () => null });
//   client.addEventListener('stream', () => { video.srcObject = client.stream; });
//   client.addEventListener('state', () => show(client.status));
//   client.start();
//
// Further events: `layers` (client.layers), `layer` (client.layer), `source` (client.active) and
// `viewers` (client.viewers), where the server has the draft's event extension.

import { RtcClient } from './client.js';
import { linkTo } from './link.js';
import { withStereo } from './sdp.js';

const EVENTS = 'urn:ietf:params:whep:ext:core:server-sent-events';
const LAYER = 'urn:ietf:params:whep:ext:core:layer';
const WANTED = ['active', 'inactive', 'layers', 'layer', 'reconnect', 'viewercount'];

export class WhepClient extends RtcClient {
  #events = null;
  #eventsUrl = null;
  #base;
  #follows;

  /**
   * `rendition`: a name, `auto` or `none`; `follows`: whether the session's events are wanted.
   * Others as for RtcClient.
   */
  constructor({ url, rendition = 'auto', follows = true, ...rest }) {
    super({ url, ...rest });
    this.#base = url;
    this.#follows = follows;
    /** What was asked for. */
    this.rendition = rendition;
    this.stream = null;
    /** [{rid, width, height, bitrate, targetBitrate, active}], or null where not told. */
    this.layers = null;
    /** {rid, auto}: what is sent now, or null where not told. */
    this.layer = null;
    this.active = true;
    this.viewers = null;
  }

  endpoint() {
    const url = new URL(this.#base, location.href);
    if (this.rendition !== 'auto') url.searchParams.set('rendition', this.rendition);
    return url.href;
  }

  prepare(peer) {
    peer.addTransceiver('video', { direction: 'recvonly' });
    peer.addTransceiver('audio', { direction: 'recvonly' });
  }

  editOffer(sdp) {
    return withStereo(sdp);
  }

  /** Both tracks are there by now: a stream that grows would pass a browser's autoplay check. */
  opened(resource) {
    const tracks = this.peer.getReceivers().map((receiver) => receiver.track);
    this.#tell('stream', 'stream', new MediaStream(tracks));
    const url = this.#follows && linkTo(resource.links, EVENTS);
    if (url) this.#follow(resource, url);
  }

  closed() {
    this.#events?.close();
    this.#events = null;
    this.#eventsUrl = null;
    this.layer = null;
  }

  /** A rendition that doesn't exist any more gives way to `auto`. */
  retries(error) {
    if (error.status === 422 && this.rendition !== 'auto') {
      this.rendition = 'auto';
      return true;
    }
    return super.retries(error);
  }

  /**
   * Asks for a rendition by name, or `auto`. Without a new session where the server has the layer
   * extension; otherwise with one. Gives how: `switched` or `reconnected`. Throws where it is
   * refused; the old one goes on then.
   */
  async choose(rendition) {
    const before = this.rendition;
    this.rendition = rendition;
    const url = this.resource && linkTo(this.resource.links, LAYER);
    if (!url) {
      this.reconnect();
      return 'reconnected';
    }
    try {
      await this.resource.post(url, rendition === 'auto' ? {} : { rid: rendition });
    } catch (error) {
      if ([404, 405, 501].includes(error.status)) {
        this.reconnect();
        return 'reconnected';
      }
      this.rendition = before;
      throw error;
    }
    return 'switched';
  }

  async #follow(resource, url) {
    try {
      const response = await resource.post(url, WANTED);
      const location_ = response.headers.get('Location');
      if (!location_ || this.resource !== resource) return;
      this.#eventsUrl = new URL(location_, response.url).href;
    } catch {
      // The extension is a help, not a need: the player goes on without it.
      return;
    }
    const events = new EventSource(this.#eventsUrl);
    this.#events = events;
    const on = (name, act) => events.addEventListener(name, ({ data }) => {
      if (this.#events !== events) return;
      let value = null;
      try {
        value = JSON.parse(data || '{}');
      } catch {
        return;
      }
      act(value);
    });
    on('active', () => this.#tell('source', 'active', true));
    on('inactive', () => this.#tell('source', 'active', false));
    on('layers', (value) => this.#tell('layers', 'layers', layersOf(value)));
    on('layer', (value) => this.#tell('layer', 'layer', value));
    on('viewercount', (value) => this.#tell('viewers', 'viewers', value.viewercount ?? null));
    on('reconnect', () => this.reconnect());
  }

  #tell(event, field, value) {
    this[field] = value;
    this.dispatchEvent(new Event(event));
  }
}

/** The layers of the first video line: a bare list, or the draft's older {active, inactive}. */
function layersOf(value) {
  const media = Object.values(value ?? {})[0];
  const list = Array.isArray(media) ? media : media?.active ?? media?.layers ?? [];
  return list.map((layer) => ({ ...layer, rid: layer.rid ?? layer.encodingId ?? layer.id })).filter((layer) => layer.rid);
}
