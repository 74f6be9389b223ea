// What the page holds of one session's messages, and how it reads the rest.

import { listMessages } from "./api.js";
import { MessageLog } from "./log.js";
import { parsePosition } from "./position.js";

const PAGE = 60;
const HOLD = 1500; // Messages kept in the page while the reader is at the end.
const KEEP = 200;

export class History {
  log = new MessageLog();
  /** @type {"no"|"yes"|"failed"} */
  loadingOlder = "no";
  #name;
  #signal;
  #changed;
  #shedding = false;

  /**
   * @param {string|null} name null: no session
   * @param {AbortSignal} signal aborted when the page goes on to another session
   * @param {() => void} changed called when what is held, or being read, has changed
   */
  constructor(name, signal, changed) {
    this.#name = name;
    this.#signal = signal;
    this.#changed = changed;
  }

  /** Whether the page holds more than it should for long. */
  get isLong() {
    return this.log.messages.length > HOLD;
  }

  /**
   * Read the newest page. What lies above it is kept where the two meet, unless `fresh`.
   * @throws {ApiError}
   */
  async newest({ fresh = false } = {}) {
    const page = await listMessages(this.#name, { limit: PAGE, signal: this.#signal });
    if (fresh) this.log.forget();
    this.log.replace(page.messages, page.position, page.before);
  }

  /**
   * Read the page before the oldest message held, if there is one and it is not under way.
   * @returns {Promise<boolean>} false: the log has become another one, the newest page tells which
   */
  async older() {
    const { before } = this.log;
    if (this.loadingOlder === "yes" || before === null) return true;
    this.loadingOlder = "yes";
    this.#changed();
    try {
      const page = await listMessages(this.#name, { limit: PAGE, before, signal: this.#signal });
      if (this.log.before === before) this.log.prepend(page.messages, page.before);
      this.loadingOlder = "no";
    } catch (error) {
      if (this.#signal.aborted) return true;
      if (error.reason === "POSITION_CONFLICT" || error.reason === "INVALID_PAGE_TOKEN") {
        this.loadingOlder = "no";
        return false;
      }
      this.loadingOlder = "failed";
    }
    this.#changed();
    return true;
  }

  /** Let go of what lies far above the reader; scrolling up reads it again. */
  async shed() {
    if (this.#shedding) return;
    this.#shedding = true;
    try {
      const page = await listMessages(this.#name, { limit: KEEP, signal: this.#signal });
      const head = parsePosition(page.position);
      if (head && this.log.contains(head)) this.log.keepNewest(page.messages, page.before);
      this.#changed();
    } catch {
      // The next message tries again.
    } finally {
      this.#shedding = false;
    }
  }
}
