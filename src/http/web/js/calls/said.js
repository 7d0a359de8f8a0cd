// What was said over a socket and may not have arrived. The server takes what is said in order: an
// answer to something that was asked later says that it did.

const MOST = 50;
/** What may be said twice; of each kind the last counts. */
const REPEATABLE = ['decline', 'busy', 'media', 'tiles', 'capabilities', 'chat_read', 'chat_delivered'];

const kindOf = ({ type, call, conversation }) => JSON.stringify([type, call ?? conversation]);

export class Said {
  #kept = [];

  /** `asked`: the number of the last request before it. */
  keep(message, asked) {
    if (!REPEATABLE.includes(message.type)) return;
    const kind = kindOf(message);
    const others = this.#kept.filter((said) => said.kind !== kind);
    this.#kept = [...others, { kind, message, asked }].slice(-MOST);
  }

  /** `request` was answered. */
  acknowledge(request) {
    this.#kept = this.#kept.filter(({ asked }) => asked >= request);
  }

  /** What is to be said again, in order; then nothing is kept. */
  take() {
    return this.#kept.splice(0).map(({ message }) => message);
  }
}
