// A WHIP or WHEP resource: made by POST, fed with candidates by PATCH, ended by DELETE.

import { sentence } from '../format.js';
import { iceFragment } from './sdp.js';
import { parseLinks } from './link.js';
import { reach } from './reach.js';

/** Candidates are gathered this long before a PATCH, so that a host with ten addresses sends one. */
const TRICKLE_MS = 100;

/** A request that the server refused, or didn't answer (status 0). */
export class ResourceError extends Error {
  constructor(message, { status = 0, problem = null, retryAfterMs = null } = {}) {
    super(message);
    this.name = 'ResourceError';
    this.status = status;
    this.problem = problem;
    this.retryAfterMs = retryAfterMs;
  }
}

export class Resource {
  #authorization;
  #pending = [];
  #timer = null;
  #ended = false;

  /** Posts the offer and gives the resource, with the answer in `answer`. */
  static async create(url, sdp, { token, signal }) {
    const authorization = token ? { Authorization: `Bearer ${token}` } : {};
    const response = await request(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/sdp', ...authorization },
      body: sdp,
      signal,
    });
    const location = response.headers.get('Location');
    if (response.status !== 201 || !location) {
      throw new ResourceError(`The server answered ${response.status} without a session.`, { status: 502 });
    }
    const resource = new Resource();
    resource.#authorization = authorization;
    resource.url = new URL(location, response.url).href;
    resource.etag = response.headers.get('ETag');
    resource.links = parseLinks(response.headers.get('Link')).map((link) => ({ ...link, url: absolute(link.url, response.url) }));
    resource.sdp = sdp;
    try {
      resource.answer = await response.text();
    } catch (error) {
      resource.close();
      throw new ResourceError(error.message);
    }
    return resource;
  }

  /** Takes candidates of `peer` and sends them in small batches. Servers may do without them. */
  trickle(candidate) {
    if (this.#ended) return;
    this.#pending.push(candidate);
    this.#timer ??= setTimeout(() => this.#flush(), TRICKLE_MS);
  }

  async #flush() {
    this.#timer = null;
    const batch = this.#pending.splice(0);
    const found = batch.filter((candidate) => candidate?.candidate);
    const last = batch.includes(null);
    if (this.#ended || (!found.length && !last)) return;
    try {
      await request(this.url, {
        method: 'PATCH',
        headers: {
          'Content-Type': 'application/trickle-ice-sdpfrag',
          'If-Match': this.etag ?? '*',
          ...this.#authorization,
        },
        body: iceFragment(this.sdp, found, last),
      });
    } catch {
      // The path may come up without them (our checks reach the server); the connection's own
      // deadline says when it doesn't.
    }
  }

  /** A JSON request to one of the resource's extensions. */
  post(url, value) {
    return request(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...this.#authorization },
      body: JSON.stringify(value),
    });
  }

  /**
   * Ends the resource, also while the page goes away. Gives the status: 200 where it was still
   * there, 404 where the server had ended it, 0 where nobody answered.
   */
  async close() {
    if (this.#ended) return 404;
    this.#ended = true;
    clearTimeout(this.#timer);
    try {
      const response = await request(this.url, { method: 'DELETE', headers: this.#authorization, keepalive: true });
      return response.status;
    } catch (error) {
      return error.status;
    }
  }
}

function absolute(url, base) {
  try {
    return new URL(url, base).href;
  } catch {
    return url;
  }
}

async function request(url, options) {
  let response;
  try {
    response = await reach(url, { credentials: 'omit', cache: 'no-store', ...options });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ResourceError('The server doesn’t answer.');
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => null);
  const seconds = Number(response.headers.get('Retry-After') ?? NaN);
  throw new ResourceError(sentence(problem?.detail || problem?.title) || `The server answered ${response.status}.`, {
    status: response.status,
    problem,
    retryAfterMs: Number.isFinite(seconds) ? seconds * 1000 : null,
  });
}
