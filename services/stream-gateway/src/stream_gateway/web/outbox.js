// Messages on their way: shown at once, sent in order, once each, kept until the server has them.

import { appendMessages, newKey } from "./api.js";
import { forget, recall, remember, remembered } from "./drafts.js";

const PREFIX = "ai-chat:outbox:"; // One entry a message, so that two tabs do not overwrite one another.
const MOST = 50;
const FIRST_DELAY_MS = 1000;
const LAST_DELAY_MS = 30_000;
const REMEMBERED_MS = 20 * 3600_000; // The server knows a key for at least a day.

/**
 * @typedef {{key: string, session: string, content: string, author: string, at: number, messages?: object[],
 *   state: "held"|"waiting"|"sending"|"sent"|"refused", problem: string}} Outgoing
 *   held: not to be sent yet; waiting: will be tried again by itself; refused: a person has to decide; sent: stored, not
 *   yet seen on the stream; messages: what is sent instead of one message of `content`, the last one's id is the key
 */

export class Outbox extends EventTarget {
  /** @type {Outgoing[]} */
  #items = [];
  #busy = false;
  #attempt = 0;
  #timer = 0;

  constructor() {
    super();
    this.#items = remembered(PREFIX)
      .map((key) => recall(key, null))
      .filter((item) => [item?.key, item?.session, item?.content].every((field) => typeof field === "string"))
      .toSorted((a, b) => a.at - b.at)
      .map(revived);
  }

  /** @param {string|null} session @returns {Outgoing[]} */
  of(session) {
    return this.#items.filter((item) => item.session === session);
  }

  get isFull() {
    return this.#items.length >= MOST;
  }

  add(session, content, author) {
    this.#put({ key: newKey(), session, content, author, at: Date.now(), state: "waiting", problem: "" });
    this.flush();
  }

  /** Write down messages that are about to be taken out of a session. @returns {string} the key to go on with */
  hold(session, messages) {
    const { id: key, author = "" } = messages.at(-1);
    const content = messages.map((message) => message.content).join("\n\n");
    this.#put({ key, session, content, author, messages, at: Date.now(), state: "held", problem: "" });
    return key;
  }

  /** What was held cannot be sent without somebody's decision. @param {string} key @param {string} problem why */
  refuse(key, problem) {
    this.#set(key, { state: "refused", problem });
  }

  /** Try again, by a person's wish. */
  retry(key) {
    this.#set(key, { state: "waiting", problem: "" });
    this.flush();
  }

  /** @param {string} key the message was seen in the session, or is not wanted any more */
  drop(key) {
    if (!this.#items.some((item) => item.key === key)) return;
    this.#items = this.#items.filter((item) => item.key !== key);
    forget(PREFIX + key);
    this.#changed();
  }

  /** Send what waits, one after the other; stops at the first that the server cannot take now. */
  async flush() {
    if (this.#busy) return;
    this.#busy = true;
    clearTimeout(this.#timer);
    try {
      for (let item; (item = this.#items.find(({ state }) => state === "waiting"));) {
        const wait = await this.#send(item);
        this.#attempt = wait === null ? 0 : this.#attempt + 1;
        if (wait === null) continue;
        this.#timer = setTimeout(
          () => this.flush(),
          Math.max(wait, Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#attempt)),
        );
        break;
      }
    } finally {
      this.#busy = false;
    }
  }

  /** @returns {Promise<number|null>} ms to wait before the same may be tried again; null: go on with the next */
  async #send({ key, session, content, author, messages }) {
    this.#set(key, { state: "sending", problem: "" });
    try {
      // The key is the message's id too, so the stream's copy is known as the same message.
      const one = { id: key, role: "user", content, ...(author ? { author } : {}) };
      await appendMessages(session, messages ?? [one], key);
    } catch (error) {
      // Who has to sign in again comes back, and then it is sent.
      const later = error.isTransient || error.status === 401;
      this.#set(key, { state: later ? "waiting" : "refused", problem: error.message });
      return later ? (error.retryAfter ?? 0) * 1000 : null;
    }
    this.#set(key, { state: "sent", problem: "" });
    this.dispatchEvent(new CustomEvent("sent", { detail: { session, key } }));
    return null;
  }

  #put(item) {
    this.#items.push(item);
    remember(PREFIX + item.key, item);
    this.#changed();
  }

  #set(key, change) {
    this.#items = this.#items.map((item) => (item.key === key ? { ...item, ...change } : item));
    const item = this.#items.find((one) => one.key === key);
    if (item?.state === "sent") forget(PREFIX + key);
    else if (item) remember(PREFIX + key, item);
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** What a page that is gone has left, as far as this one can know what became of it. @param {Outgoing} item */
function revived(item) {
  if (item.state === "held")
    return { ...item, state: "refused", problem: "The page was closed while it was asked again. See whether it is here." };
  if (Date.now() - item.at >= REMEMBERED_MS)
    return { ...item, state: "refused", problem: "It was left long ago and may have been sent." };
  return { ...item, state: item.state === "refused" ? "refused" : "waiting" };
}
