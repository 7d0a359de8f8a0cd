// The REST interface. Every failure is an ApiError with a sentence that can be shown.

import { sentence } from './format.js';
import { session } from './session.js';

/** A request that failed: by status, or 0 where the server didn't answer. */
export class ApiError extends Error {
  constructor(message, { status = 0, problem = null, retryAfterMs = null, challenge = '' } = {}) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    /** The RFC 9457 document, where there was one. */
    this.problem = problem;
    this.retryAfterMs = retryAfterMs;
    /** How one may sign in, where that is what failed. */
    this.challenge = challenge;
  }
}

/** Milliseconds of a Retry-After header (seconds or a date), or null. */
export function retryAfter(headers, now = Date.now()) {
  const value = headers.get('Retry-After');
  if (!value) return null;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

/** An ApiError made from a response that isn't ok. */
export async function errorOf(response) {
  let problem = null;
  if (/\bjson\b/.test(response.headers.get('Content-Type') ?? '')) {
    problem = await response.json().catch(() => null);
  }
  const message = sentence(problem?.detail || problem?.title) || FALLBACKS[response.status] || `The server answered ${response.status}.`;
  return new ApiError(message, { status: response.status, problem, retryAfterMs: retryAfter(response.headers), challenge: response.headers.get('WWW-Authenticate') ?? '' });
}

/** fetch with the token; gives the response, throws an ApiError otherwise. */
export async function send(path, { method = 'GET', headers = {}, body, signal, keepalive } = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: { ...session.authorization(), ...headers },
      body,
      signal,
      keepalive,
      credentials: 'omit',
      cache: 'no-store',
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError('The server doesn’t answer. It may be restarting, or the network is down.');
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

async function get(path, signal) {
  return (await send(path, { signal })).json();
}

async function put(method, path, value) {
  const response = await send(path, {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(value),
  });
  return response.json();
}

/** Something of the user's own; gives nothing back. */
function change(method, place, value) {
  const json = value !== undefined && { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) };
  return send(`/api/v1/account/${place}`, { method, ...json });
}

const channelPath = (name) => `/api/v1/channels/${encodeURIComponent(name)}`;

export const api = {
  me: (signal) => get('/api/v1/me', signal),
  server: (signal) => get('/api/v1/server', signal),
  report: (name, query, signal) => get(`/api/v1/analytics/${name}?${query}`, signal),
  reportFile: async (name, query) => (await send(`/api/v1/analytics/${name}?${query}&format=csv`)).blob(),
  hardware: (signal) => get('/api/v1/hardware', signal),
  channels: async (signal) => (await get('/api/v1/channels', signal)).channels,
  channel: (name, signal) => get(channelPath(name), signal),
  viewers: async (name, signal) => (await get(`${channelPath(name)}/viewers`, signal)).viewers,
  createChannel: (value) => put('POST', '/api/v1/channels', value),
  changeChannel: (name, value) => put('PUT', channelPath(name), value),
  deleteChannel: (name) => send(channelPath(name), { method: 'DELETE' }),
  /** A viewer's WHEP resource is ended by DELETE, by an administrator as by the viewer. */
  endViewer: (name, id) => send(`/whep/${encodeURIComponent(name)}/${encodeURIComponent(id)}`, { method: 'DELETE' }),
  signUp: (value) => put('POST', '/api/v1/users', value),
  signIn: (value) => put('POST', '/api/v1/sign-ins', value),
  account: (signal) => get('/api/v1/account', signal),
  renew: async () => (await send('/api/v1/account/token', { method: 'POST' })).json(),
  signOut: () => change('DELETE', 'token'),
  changePassword: (old, fresh) => change('PUT', 'password', { old, new: fresh }),
  changeDisplayName: (name) => change('PUT', 'display-name', { display_name: name }),
  /** [{id, name, created_at, seen_at, is_this}] */
  devices: async (signal) => (await get('/api/v1/account/devices', signal)).devices,
  endDevice: (id) => change('DELETE', `devices/${encodeURIComponent(id)}`),
  person: (id) => get(`/api/v1/users/${encodeURIComponent(id)}`),
  doNotDisturb: () => change('PUT', 'do-not-disturb', {}),
  disturb: () => change('DELETE', 'do-not-disturb'),
  contacts: () => get('/api/v1/account/contacts'),
  blocks: async () => (await get('/api/v1/account/blocks')).blocks,
  askContact: (name) => put('POST', '/api/v1/account/contacts', { name }),
  acceptContact: (id) => change('PUT', `contacts/${encodeURIComponent(id)}`),
  endContact: (id) => change('DELETE', `contacts/${encodeURIComponent(id)}`),
  block: (id) => change('PUT', `blocks/${encodeURIComponent(id)}`),
  unblock: (id) => change('DELETE', `blocks/${encodeURIComponent(id)}`),
  /** {recordings, next}: those of before `before`, the latest first. */
  recordings: (before, signal) => get(`/api/v1/recordings${before ? `?before=${before}` : ''}`, signal),
  /** Links to a recording's files, good for a while: {expires_at, files: [{name, url}]}. */
  recordingLinks: async (id) => (await send(`/api/v1/recordings/${encodeURIComponent(id)}/links`, { method: 'POST' })).json(),
  deleteRecording: (id) => send(`/api/v1/recordings/${encodeURIComponent(id)}`, { method: 'DELETE' }),
  /** The picture at `path` (a channel's `thumbnail`) as a Blob. */
  picture: async (path, signal) => (await send(path, { signal })).blob(),
};

const FALLBACKS = {
  401: 'A token is needed here.',
  403: 'The token doesn’t allow this.',
  404: 'There is no such thing here.',
  413: 'That is too long.',
  429: 'Too many requests; a moment, please.',
  503: 'The server is busy or restarting.',
};
