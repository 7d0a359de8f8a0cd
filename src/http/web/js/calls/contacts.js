// The user's contacts and requests, and the names that go with ids.

import { account } from '../account.js';
import { api } from '../api.js';

/** Events: `change`. */
class Contacts extends EventTarget {
  contacts = [];
  sent = [];
  received = [];
  blocks = [];
  #names = new Map();
  #asked = new Set();

  async refresh() {
    if (!account.me) return;
    const [{ contacts, sent, received }, blocks] = await Promise.all([api.contacts(), api.blocks()]);
    Object.assign(this, { contacts, sent, received, blocks });
    for (const person of [...contacts, ...sent, ...received, ...blocks]) this.#names.set(person.id, person.display_name);
    this.#changed();
  }

  forget() {
    Object.assign(this, { contacts: [], sent: [], received: [], blocks: [] });
    this.#names.clear();
    this.#asked.clear();
    this.#changed();
  }

  /** What to call a user; the id where the server has no accounts, or until the name is known. */
  nameOf(id) {
    if (!account.me) return id;
    if (id === account.me.id) return account.me.display_name;
    if (!this.#names.has(id)) this.#learn(id);
    return this.#names.get(id) ?? 'Somebody';
  }

  /** Of someone who isn't a contact, and is in the same call. */
  async #learn(id) {
    if (this.#asked.has(id)) return;
    this.#asked.add(id);
    try {
      this.#names.set(id, (await api.person(id)).display_name);
      this.#changed();
    } catch {
      // It stays unknown.
    }
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}

export const contacts = new Contacts();
