// The messages of one session that this page holds: one unbroken run of sequences that ends at the head.

import { compareEpochs, isAtOrBelow, parsePosition } from "./position.js";

/**
 * Message JSON, as the contract has it.
 * @typedef {{id: string, sequence: number, role: string, content: string, author?: string, model?: string,
 *   timestamp?: number, status?: string, statusReason?: string, attributes?: any}} Message
 */

export class MessageLog {
  /** @type {Message[]} oldest first */
  messages = [];
  #epoch = null;
  /** Opaque cursor of the page before the oldest message held; null: the first message is held. @type {string|null} */
  before = null;

  /** The head as this page knows it, to be sent as expected position. */
  get position() {
    return this.#epoch === null ? "" : `${this.#epoch}.${this.#last}`;
  }

  get #last() {
    return this.messages.at(-1)?.sequence ?? 0;
  }

  /** @param {string} id */
  has(id) {
    return this.messages.some((message) => message.id === id);
  }

  /**
   * Take what was read as the newest page. Older messages already held stay where the two runs meet.
   * @param {Message[]} messages
   * @param {string} head
   * @param {string|null} before
   */
  replace(messages, head, before) {
    const position = parsePosition(head);
    const same = position !== null && position.epoch === this.#epoch;
    const held = new Map(same ? this.messages.map((message) => [message.sequence, message]) : []);
    const first = messages[0]?.sequence ?? 1;
    const older = same && held.has(first - 1) ? this.messages.filter((message) => message.sequence < first) : [];
    this.messages = [...older, ...messages.map((message) => held.get(message.sequence) ?? message)];
    if (older.length === 0) this.before = before;
    this.#epoch = position?.epoch ?? null;
  }

  /** Forget the pages that were read by scrolling up. */
  keepNewest(messages, before) {
    const first = messages[0]?.sequence ?? 1;
    this.messages = this.messages.filter((message) => message.sequence >= first);
    this.before = before;
  }

  /** Put an older page before what is held. */
  prepend(messages, before) {
    const first = this.messages[0]?.sequence ?? Infinity;
    this.messages = [...messages.filter((message) => message.sequence < first), ...this.messages];
    this.before = before;
  }

  /** Whether everything that an event at this position tells is held already. */
  contains(position) {
    return this.#epoch !== null && isAtOrBelow(position, { epoch: this.#epoch, sequence: this.#last });
  }

  /**
   * Take a message that arrived live.
   * @returns {"added"|"known"|"gap"} gap: something before it is missing, read the history again
   */
  append(message, position) {
    const order = this.#epoch === null ? 1 : compareEpochs(position.epoch, this.#epoch);
    if (order < 0 || (order === 0 && message.sequence <= this.#last)) return "known";
    if (order > 0) {
      if (message.sequence !== 1) return "gap";
      this.clear(position);
    } else if (message.sequence !== this.#last + 1) return "gap";
    this.messages.push(message);
    return "added";
  }

  clear(position) {
    this.messages = [];
    this.before = null;
    this.#epoch = position.epoch;
  }

  /** Only the first `keep` messages of the session are left. */
  truncate(keep, position) {
    this.messages = this.messages.filter((message) => message.sequence <= keep);
    if (this.messages.length === 0 && keep > 0) return "gap";
    this.#epoch = position.epoch;
    return "added";
  }

  forget() {
    this.messages = [];
    this.before = null;
    this.#epoch = null;
  }
}
