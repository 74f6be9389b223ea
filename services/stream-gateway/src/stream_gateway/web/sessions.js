// The list of sessions: latest activity first, paged, kept current by the stream.

import { listSessions } from "./api.js";

const PAGE = 50;
const MOST = 1000; // What one request may ask for.

/**
 * A session as /api/sessions tells it.
 * @typedef {{name: string, title?: string, titleSource?: string, owner?: string, lastMessage?: number,
 *   messageCount?: number, createdAt?: number, expiresAt?: number, labels?: Record<string, string>, lastRole?: string,
 *   preview?: string, awaitingReply?: boolean, reply?: {id: string, author?: string, model?: string}}} Session
 */

/** Whether nobody chose this name. @param {string} name */
export const isGenerated = (name) => /^session-\d+-[a-z0-9]+$/.test(name);

/** What a person knows the session by: the title somebody gave it, else its name, unless that is a generated one. */
export function displayName(session) {
  if (session.title && (session.titleSource?.toLowerCase() === "user" || isGenerated(session.name)))
    return session.title;
  return session.name;
}

export class SessionList extends EventTarget {
  /** @type {Map<string, Session>} */
  #sessions = new Map();
  #cursor = null;
  #text = "";
  #abort = null;
  #meanwhile = null;
  /** @type {"loading"|"ready"|"failed"} */
  state = "loading";
  /** @type {Error|null} */
  error = null;
  loadingMore = false;

  /** @returns {Session[]} */
  get sessions() {
    return [...this.#sessions.values()].toSorted(
      (a, b) => (b.lastMessage ?? 0) - (a.lastMessage ?? 0) || (a.name < b.name ? 1 : -1),
    );
  }

  get hasMore() {
    return this.#cursor !== null;
  }

  get text() {
    return this.#text;
  }

  /** @param {string} name */
  get(name) {
    return this.#sessions.get(name);
  }

  /** Show only sessions with this part in their name or title. */
  search(text) {
    if (text === this.#text) return;
    this.#text = text;
    this.#sessions.clear();
    this.#cursor = null;
    this.state = "loading";
    this.#changed();
    this.refresh();
  }

  /** Read again as many as are shown. */
  async refresh() {
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    this.loadingMore = false;
    this.#meanwhile = [];
    try {
      const limit = Math.min(MOST, Math.max(PAGE, this.#sessions.size));
      const page = await listSessions({ limit, cursor: null, text: this.#text, signal: abort.signal });
      this.#sessions = new Map(page.sessions.map((session) => [session.name, session]));
      this.#cursor = page.cursor;
      // What came live while the page was under way may be newer than the page.
      for (const change of this.#meanwhile) this.#apply(change);
      this.state = "ready";
      this.error = null;
    } catch (error) {
      if (abort.signal.aborted) return;
      this.error = error;
      if (this.state === "loading") this.state = "failed";
    } finally {
      if (this.#abort === abort) this.#meanwhile = null;
    }
    this.#changed();
  }

  /** Read the next page, if there is one and none is under way. */
  async more() {
    if (this.#cursor === null || this.loadingMore || this.#meanwhile) return;
    const abort = this.#abort;
    this.loadingMore = true;
    this.#changed();
    try {
      const page = await listSessions({ limit: PAGE, cursor: this.#cursor, text: this.#text, signal: abort.signal });
      for (const session of page.sessions)
        if (!this.#sessions.has(session.name)) this.#sessions.set(session.name, session);
      this.#cursor = page.cursor;
    } catch (error) {
      if (abort.signal.aborted) return;
      // A cursor that the server no longer takes is of no use; the list as it is now is.
      if (error.reason === "POSITION_CONFLICT" || error.reason === "INVALID_PAGE_TOKEN") return void this.refresh();
    }
    this.loadingMore = false;
    this.#changed();
  }

  /**
   * Take a change from the stream.
   * @param {{change: string, session: Session}} change
   */
  take(change) {
    this.#meanwhile?.push(change);
    this.#apply(change);
    this.#changed();
  }

  /** Take a session that an answer told. */
  put(session) {
    this.take({ change: "updated", session });
  }

  #apply({ change, session }) {
    if (change === "deleted" || !this.#matches(session)) this.#sessions.delete(session.name);
    else this.#sessions.set(session.name, session);
  }

  #matches(session) {
    const text = this.#text.toLowerCase();
    return !text || session.name.toLowerCase().includes(text) || (session.title ?? "").toLowerCase().includes(text);
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
