// Conversations: what was written, by whom, how far it was read. The server keeps them; here is
// what this page has seen.

import { randomHex } from './kept.js';

const PAGE = 30;
/** A notice that someone types is forgotten without another. */
const TYPING_MS = 6000;
/** While one types, this often the other is told. */
const TELL_MS = 3000;
/** What arrives at once is acknowledged at once. */
const ACK_MS = 150;

/** What stands for a conversation among keys: {user} or {call}. */
export function keyOf(conversation) {
  return conversation.user ? `user:${conversation.user}` : `call:${conversation.call}`;
}

/** Events: `change`; `arrived` with {conversation, message} in `detail`. */
export class Chat extends EventTarget {
  #rooms = new Map();
  /** Rooms whose last message isn't acknowledged. */
  #unacknowledged = new Set();
  #say;
  #ask;
  #me;

  /** `me()` gives the user's own id. */
  constructor({ say, ask, me }) {
    super();
    this.#say = say;
    this.#ask = ask;
    this.#me = me;
  }

  /** The conversation; made, empty, where nothing is known of it. */
  room(conversation) {
    const key = keyOf(conversation);
    if (!this.#rooms.has(key)) {
      this.#rooms.set(key, {
        conversation,
        messages: [],
        sending: [],
        read: new Map(),
        delivered: 0,
        typing: new Map(),
        unread: 0,
        next: null,
        opened: false,
        seen: 0,
        toldAt: 0,
      });
    }
    return this.#rooms.get(key);
  }

  /** Users with whom something was written. */
  partners() {
    return [...this.#rooms.values()].filter((room) => room.messages.length).map((room) => room.conversation.user).filter(Boolean);
  }

  unread(conversation) {
    return this.#rooms.get(keyOf(conversation))?.unread ?? 0;
  }

  /** Asks for what was written before, once. */
  async open(conversation) {
    const room = this.room(conversation);
    if (room.opened) return;
    room.opened = true;
    await this.earlier(conversation).catch((error) => {
      room.opened = false;
      throw error;
    });
  }

  /** Another page of what was written before. */
  async earlier(conversation) {
    const room = this.room(conversation);
    const page = await this.#ask({
      type: 'chat_history',
      conversation,
      limit: PAGE,
      ...(room.next !== null && { before: room.next }),
    });
    room.next = page.next ?? null;
    for (const { message } of page.entries) this.#keep(room, message);
    this.#changed();
  }

  /** Messages with the words of `query`, newest first; {entries, next}. `before` as `next` says. */
  search(conversation, query, before) {
    return this.#ask({ type: 'chat_search', conversation, query, limit: PAGE, ...(before !== undefined && { before }) });
  }

  /**
   * Takes a message, which is then shown as one that is sent; resolves once the server has it. What
   * fails for want of a connection is sent again.
   */
  send(conversation, text) {
    const room = this.room(conversation);
    const sent = { id: randomHex(16), text, failed: null };
    room.sending.push(sent);
    room.toldAt = 0;
    this.#changed();
    return this.#store(room, sent);
  }

  async #store(room, sent) {
    sent.busy = true;
    try {
      const { order, at_ms: at } = await this.#ask({ type: 'chat_send', conversation: room.conversation, id: sent.id, text: sent.text });
      room.sending = room.sending.filter((other) => other !== sent);
      this.#keep(room, { id: sent.id, from: this.#me(), order, at_ms: at, text: sent.text });
    } catch (error) {
      // Without a code it is the connection that failed: it goes out again with the next one.
      if (error.code) sent.failed = error.message;
    }
    sent.busy = false;
    this.#changed();
  }

  /** A new session: what wasn't answered is said again, under the same name. */
  begin() {
    for (const room of this.#rooms.values()) {
      room.typing.clear();
      for (const sent of room.sending) if (!sent.failed && !sent.busy) this.#store(room, sent);
    }
  }

  /** One types, or no longer. */
  type(conversation, typing) {
    const room = this.room(conversation);
    const now = Date.now();
    if (typing && now - room.toldAt < TELL_MS) return;
    if (!typing && !room.toldAt) return;
    room.toldAt = typing ? now : 0;
    this.#say({ type: 'chat_typing', conversation, typing });
  }

  /** Everything that is there has been looked at. */
  look(conversation) {
    const room = this.room(conversation);
    room.unread = 0;
    const last = room.messages.at(-1)?.order ?? 0;
    if (last > room.seen) {
      room.seen = last;
      this.#say({ type: 'chat_read', conversation, order: last });
    }
    this.#changed();
  }

  /** A message of the server's; false where it isn't about chat. */
  take(message) {
    if (!message.type.startsWith('chat_') || !message.conversation) return false;
    const { conversation } = message;
    const room = this.room(conversation);
    const { user } = message;
    if (message.type === 'chat_message') this.#arrive(room, message.message);
    else if (message.type === 'chat_delivered') room.delivered = Math.max(room.delivered, message.order);
    else if (message.type === 'chat_read') this.#read(room, user, message.order);
    else if (message.type === 'chat_typing') this.#typing(room, user, message.typing);
    else return true;
    this.#changed();
    return true;
  }

  forget() {
    this.#rooms.clear();
    this.#changed();
  }

  #arrive(room, message) {
    const { conversation } = room;
    this.#acknowledge(room);
    const isNew = this.#keep(room, message);
    room.typing.delete(message.from);
    if (!isNew || message.from === this.#me()) return;
    room.unread += 1;
    this.dispatchEvent(new CustomEvent('arrived', { detail: { conversation, message } }));
  }

  #acknowledge(room) {
    if (this.#unacknowledged.size === 0) setTimeout(() => this.#flush(), ACK_MS);
    this.#unacknowledged.add(room);
  }

  #flush() {
    for (const { conversation, messages } of this.#unacknowledged) {
      const order = messages.at(-1)?.order;
      if (order) this.#say({ type: 'chat_delivered', conversation, order });
    }
    this.#unacknowledged.clear();
  }

  #read(room, user, order) {
    if (user === this.#me()) {
      room.seen = Math.max(room.seen, order);
      if (room.seen >= (room.messages.at(-1)?.order ?? 0)) room.unread = 0;
    } else room.read.set(user, Math.max(room.read.get(user) ?? 0, order));
  }

  #typing(room, user, typing) {
    clearTimeout(room.typing.get(user));
    room.typing.delete(user);
    if (!typing) return;
    room.typing.set(user, setTimeout(() => {
      room.typing.delete(user);
      this.#changed();
    }, TYPING_MS));
  }

  /** In its place, once; whether it wasn't there before. */
  #keep(room, message) {
    const { messages } = room;
    let at = messages.length;
    while (at > 0 && messages[at - 1].order > message.order) at -= 1;
    if (messages[at - 1]?.order === message.order) return false;
    messages.splice(at, 0, message);
    return true;
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}
