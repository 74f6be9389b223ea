// The open session: its history, what happens in it, and how the two are joined without a gap.

import { ApiError, getSession, stopReply } from "./api.js";
import { History } from "./history.js";
import { parsePosition } from "./position.js";
import { Replies } from "./replies.js";

const LAST_DELAY_MS = 10_000;
const NOTICES = 3;

/**
 * @typedef {"none"|"loading"|"ready"|"missing"|"deleted"|"failed"} ConversationState
 *   missing: no such session, it may come; failed: it could not be read
 */

export class Conversation extends EventTarget {
  /** @type {string|null} */
  name = null;
  /** @type {ConversationState} */
  state = "none";
  /** @type {import("./sessions.js").Session|null} */
  session = null;
  /** @type {ApiError|null} */
  error = null;
  replies = new Replies(() => this.#changed());
  /** What went wrong and is stored nowhere. @type {{words: string}[]} */
  notices = [];
  #live = false;
  #queue = null;
  #told = 0;
  #abort = new AbortController();
  #history = new History(null, this.#abort.signal, () => this.#changed());
  #stream;

  /** @param {import("./stream.js").LiveStream|null} stream null: the server has no stream */
  constructor(stream) {
    super();
    this.#stream = stream;
  }

  /** @param {string|null} name null: no session */
  async open(name) {
    this.#abort.abort();
    const { signal } = (this.#abort = new AbortController());
    Object.assign(this, {
      name,
      session: null,
      error: null,
      notices: [],
      state: name === null ? "none" : "loading",
    });
    this.#history = new History(name, signal, () => this.#changed());
    this.replies.endAll();
    this.#live = false;
    this.#queue = null;
    this.dispatchEvent(new Event("open"));
    this.#changed();
    if (name === null) return void this.#stream?.follow(null, null);
    await this.#join(signal);
  }

  /** The messages that are held. */
  get log() {
    return this.#history.log;
  }

  /** @returns {"no"|"yes"|"failed"} */
  get loadingOlder() {
    return this.#history.loadingOlder;
  }

  /** Whether the session waits for somebody to answer, and nobody does; where nobody is to answer it never waits. */
  get isAwaiting() {
    return Boolean(this.session?.awaitingReply) && !this.isWritten && this.session.labels?.assistant !== "none";
  }

  /** Whether a reply is being written. */
  get isWritten() {
    return this.replies.drafts.length > 0 || Boolean(this.session?.reply);
  }

  /** Read the session after that failed. */
  async retry() {
    if (this.state !== "failed") return;
    this.state = "loading";
    this.#changed();
    await this.#join(this.#abort.signal);
  }

  /** The connection is open: learn what happened to the session meanwhile that leaves no message. */
  async streamOpened() {
    if (this.state === "failed") return void this.retry();
    if (this.name === null || !this.#live) return;
    this.replies.doubt();
    await this.#readSession(this.#abort.signal);
  }

  /** Take an event of the session from the stream. */
  take(event) {
    if (!this.#live) return;
    if (this.#queue) this.#queue.push(event);
    else this.#apply(event);
  }

  /** Take what the list was told of a session, in case it is this one. */
  takeSession({ change, session }) {
    if (session.name !== this.name) return;
    if (change === "deleted") return void (this.state === "deleted" || this.#deleted());
    this.#told++;
    this.session = session;
    this.replies.identify(session.reply);
    if (this.state === "missing" || this.state === "deleted") this.state = "ready";
    this.#changed();
  }

  /** Read the page before the oldest message held. */
  async older() {
    if (this.state === "ready" && !(await this.#history.older())) await this.reload({ fresh: true });
  }

  /** Let go of what lies far above the reader. */
  shed() {
    return this.#history.shed();
  }

  /**
   * Read the newest page again; events wait until it is there, and those it holds already are dropped.
   * @param {{fresh?: boolean}} [options] fresh: keep no older page
   */
  async reload({ fresh = false } = {}) {
    if (this.name === null || this.#queue) return;
    const { signal } = this.#abort;
    this.#queue = [];
    for (let delay = 500; ; delay = Math.min(LAST_DELAY_MS, delay * 2)) {
      try {
        await this.#readHistory(signal, fresh);
        break;
      } catch {
        if (signal.aborted) return;
        await new Promise((resolve) => setTimeout(resolve, delay * (0.5 + Math.random() / 2)));
        if (signal.aborted) return;
      }
    }
    const queue = this.#queue;
    this.#queue = null;
    for (const event of queue) this.take(event);
    this.#changed();
  }

  /** Stop the reply that is being written. */
  async stop(replyId) {
    try {
      await stopReply(this.name, replyId);
    } catch (error) {
      if (error.reason !== "REPLY_NOT_FOUND") this.notice(`The reply could not be stopped: ${error.message}`);
    }
  }

  async #join(signal) {
    try {
      await Promise.all([this.#readHistory(signal), this.#readSession(signal)]);
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
      this.state = "failed";
      this.#changed();
      // The list goes on, and its connection tells when it is worth another attempt.
      this.#stream?.follow(null, null);
      return;
    }
    if (signal.aborted) return;
    this.#live = this.#stream !== null;
    this.#stream?.follow(this.name, this.log.position);
    this.#changed();
  }

  async #readHistory(signal, fresh = false) {
    try {
      await this.#history.newest({ fresh });
      for (const { id } of this.replies.drafts) if (this.log.has(id)) this.replies.end(id);
      this.state = "ready";
    } catch (error) {
      if (signal.aborted || !(error instanceof ApiError) || error.status !== 404) throw error;
      this.log.forget();
      this.state = "missing";
    }
  }

  async #readSession(signal) {
    const told = this.#told;
    try {
      const session = await getSession(this.name, signal);
      // What came live while the answer was under way is newer, and nothing would correct it.
      if (told === this.#told) this.session = session;
      this.replies.settle(this.session?.reply?.id);
      this.replies.identify(this.session?.reply);
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 404) this.session = null;
      // Otherwise the history tells what is wrong, or the list tells the session.
    }
    this.#changed();
  }

  #apply(event) {
    const payload = event.payload ?? {};
    const position = parsePosition(event.position);
    switch (event.type) {
      case "user":
      case "message":
        this.#append(payload, position);
        if (event.type === "message") this.replies.endForeign();
        break;
      case "complete":
        this.replies.end(payload.replyId);
        if (payload.id) this.#append(payload, position);
        break;
      case "clear":
      case "truncate":
        this.#shorten(event.type, payload, position);
        break;
      case "reset":
        this.replies.endAll();
        this.reload();
        break;
      case "updated":
        this.session = { ...this.session, ...payload };
        break;
      case "deleted":
        this.#deleted();
        break;
      case "start":
        if (!this.log.has(payload.replyId)) this.replies.start(payload);
        break;
      case "snapshot":
        if (!this.log.has(payload.replyId)) this.replies.snapshot(payload);
        break;
      case "chunk":
      case "part": {
        const piece =
          event.type === "chunk" ? String(payload.content ?? "") : { type: payload.type, data: payload.data };
        const ended = payload.replyId !== undefined && this.log.has(payload.replyId);
        if (!ended && !this.replies.chunk(piece, payload)) this.#stream?.restart();
        this.replies.identify(this.session?.reply);
        break;
      }
      case "error":
        this.replies.endForeign();
        this.notice(String(payload.content ?? payload.message ?? "chat.ai reported an error"));
        break;
      default: // chat.ai's other types are the furniture of its own screen.
        return;
    }
    this.#changed();
  }

  #append(message, position) {
    if (!position) return;
    const outcome = this.log.append(message, position);
    if (outcome === "gap") return void this.reload();
    this.replies.end(message.id);
    if (outcome === "known") return;
    if (this.state !== "ready") this.state = "ready";
    this.notices = [];
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
    if (this.#history.isLong) this.dispatchEvent(new Event("long"));
  }

  #shorten(type, payload, position) {
    if (!position || this.log.contains(position)) return;
    this.replies.endAll();
    if (type === "clear") this.log.clear(position);
    else if (this.log.truncate(payload.keep, position) === "gap") this.reload();
  }

  #deleted() {
    this.#told++;
    this.log.forget();
    this.replies.endAll();
    this.session = null;
    this.state = "deleted";
    this.#changed();
  }

  /** Tell what went wrong and is stored nowhere. @param {string} words */
  notice(words) {
    this.notices = [...this.notices, { words }].slice(-NOTICES);
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
