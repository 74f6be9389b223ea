// The page's one live connection: it resumes where it was, and comes back by itself for ever.
//
// Read with fetch, not with EventSource: EventSource gives up for good on an answer other than 200, hides why, and cannot
// see the server's heartbeats, so a connection that died silently would look alive (docs/adr/0030).

import { ApiError, query, refusal } from "./api.js";
import { EventDecoder } from "./sse.js";

const SILENCE_MS = 45_000; // Three heartbeats.
const FIRST_DELAY_MS = 400;
const LAST_DELAY_MS = 10_000;
const MOST_DELAY_MS = 60_000; // Whatever the server asks for.
const RESTART_MS = 3_000;
const STEADY_MS = 5_000; // Open for so long, a connection counts as having worked.

/**
 * @typedef {"idle"|"connecting"|"open"|"lost"} StreamState
 *   idle: not wanted, or yielded to another tab; lost: was or could not be open, and is being tried again
 */

export class LiveStream {
  #session = null;
  #after = null;
  #wanted = false;
  #attempt = 0;
  #abort = null;
  #restarted = -Infinity;
  #timer = 0;
  #handlers;

  /**
   * @param {{onEvent: (event: any) => void, onOpen: () => void,
   *   onState: (state: StreamState, problem: ApiError|null) => void}} handlers
   */
  constructor(handlers) {
    this.#handlers = handlers;
    /** @type {StreamState} */
    this.state = "idle";
    addEventListener("online", () => this.retryNow());
    addEventListener("pagehide", () => this.#suspend());
    addEventListener("pageshow", (event) => event.persisted && this.#resume());
    this.#shareConnections();
  }

  /**
   * Follow a session after a position, and the list of sessions with it.
   * @param {string|null} session null: the list alone
   * @param {string|null} after "" means from the first message
   */
  follow(session, after) {
    this.#session = session;
    this.#after = after;
    this.#wanted = true;
    this.#connect();
  }

  /** Read again what is missing: close and resume at once, though not over and over. */
  restart() {
    const now = performance.now();
    if (!this.#wanted || now - this.#restarted < RESTART_MS) return;
    this.#restarted = now;
    this.#connect();
  }

  /** Do not wait for the next attempt. */
  retryNow() {
    if (this.state === "lost") this.#connect();
  }

  #suspend() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = null;
    this.#setState("idle", null);
  }

  #resume() {
    if (this.#wanted && this.state === "idle") this.#connect();
  }

  // A browser opens six connections to one origin, so the seventh tab would hang. A hidden tab gives up its stream as soon
  // as another tab of ours is looked at, and goes on where it was when somebody comes back to it.
  #shareConnections() {
    const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("ai-chat:visible") : null;
    channel?.addEventListener("message", () => document.hidden && this.#suspend());
    const seen = () => {
      if (document.hidden) return;
      channel?.postMessage("visible");
      this.#resume();
      this.retryNow();
    };
    document.addEventListener("visibilitychange", seen);
    seen();
  }

  #setState(state, problem) {
    this.state = state;
    this.#handlers.onState(state, problem);
  }

  async #connect() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    if (this.state !== "lost") this.#setState("connecting", null);
    const started = performance.now();
    const decoder = new EventDecoder(this.#after ?? "");
    let problem = null;
    try {
      await this.#read(abort, decoder);
    } catch (error) {
      if (this.#abort !== abort) return;
      problem = error instanceof ApiError ? error : null;
    }
    if (this.#abort !== abort) return;
    if (this.state === "open" && performance.now() - started > STEADY_MS) this.#attempt = 0;
    this.#setState("lost", problem);
    const ceiling = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#attempt++);
    const asked = Math.max((problem?.retryAfter ?? 0) * 1000, decoder.retry ?? 0);
    // Random, so that those who were cut off together do not come back together.
    const wait = Math.max(ceiling * (0.5 + Math.random() / 2), asked * (1 + Math.random() / 2));
    this.#timer = setTimeout(() => this.#connect(), Math.min(wait, MOST_DELAY_MS));
  }

  async #read(abort, decoder) {
    let watchdog = 0;
    const heard = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
    };
    heard();
    try {
      const parameters = query({ session: this.#session, list: 1, after: this.#session === null ? null : this.#after });
      const response = await fetch(`api/stream${parameters}`, {
        headers: { Accept: "text/event-stream" },
        signal: abort.signal,
        cache: "no-store",
      });
      if (!response.ok) throw await refusal(response);
      this.#setState("open", null);
      this.#handlers.onOpen();
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || this.#abort !== abort) return;
        heard();
        for (const frame of decoder.push(value)) {
          this.#deliver(frame);
          if (this.#abort !== abort) return;
        }
        if (decoder.lastId) this.#after = decoder.lastId;
      }
    } finally {
      clearTimeout(watchdog);
    }
  }

  #deliver(frame) {
    let event;
    try {
      event = JSON.parse(frame.data);
    } catch {
      console.warn("The stream carried a frame that is no JSON; it was left out.");
      return;
    }
    if (frame.id) this.#after = frame.id;
    this.#handlers.onEvent(event);
  }
}
