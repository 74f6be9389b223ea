// Replies while they are being written: text and typed parts in one order, numbered by the store.

import { pushPart } from "./part.js";

const FOREIGN = ""; // chat.ai's replies have no id, and there is one at a time.
const FOREIGN_SILENCE_MS = 30_000;

/**
 * @typedef {{type: string, data: unknown}} Part
 * @typedef {{id: string, author: string, model: string, pieces: (string|Part)[], next: number, confirmed: boolean}} Draft
 *   pieces: text (neighbours joined) and parts, in order; next: the number of the chunk that comes next;
 *   confirmed: heard of since the connection was last opened
 */

export class Replies {
  /** @type {Map<string, Draft>} */
  #drafts = new Map();
  #silence = 0;
  #changed;

  /** @param {() => void} changed called when a foreign reply ended by silence */
  constructor(changed) {
    this.#changed = changed;
  }

  /** @returns {Draft[]} */
  get drafts() {
    return [...this.#drafts.values()];
  }

  start({ replyId, author, model }) {
    if (this.#drafts.has(replyId)) this.#drafts.get(replyId).confirmed = true;
    else this.#add(replyId, author, model);
  }

  /** Learn who writes a reply whose start was missed. @param {{id: string, author?: string, model?: string}} [reply] */
  identify(reply) {
    const draft = reply && this.#drafts.get(reply.id);
    if (!draft || draft.author || draft.model || !(reply.author || reply.model)) return;
    this.#drafts.set(draft.id, { ...draft, author: reply.author ?? "", model: reply.model ?? "" });
  }

  /** What the viewer has of that reply is replaced. */
  snapshot({ replyId, author, model, chunks = [], next }) {
    const draft = this.#add(replyId, author, model);
    for (const chunk of chunks) push(draft, chunk);
    draft.next = next ?? chunks.length;
  }

  /**
   * Take chunks `from` to `to`, exclusive; chat.ai's have neither number nor id.
   * @param {string|Part} piece
   * @returns {boolean} false when chunks before it are missing: join again for a snapshot
   */
  chunk(piece, { replyId = FOREIGN, from = null, to = null }) {
    let draft = this.#drafts.get(replyId);
    if (replyId === FOREIGN) {
      push(draft ?? this.#add(FOREIGN, "", ""), piece);
      clearTimeout(this.#silence);
      this.#silence = setTimeout(() => this.endForeign() && this.#changed(), FOREIGN_SILENCE_MS);
      return true;
    }
    if (draft && to !== null && to <= draft.next) return true;
    if (from !== (draft?.next ?? 0)) return false;
    draft ??= this.#add(replyId, "", "");
    draft.confirmed = true;
    draft.next = to ?? from + 1;
    push(draft, piece);
    return true;
  }

  /** @returns {boolean} whether there was such a draft */
  end(replyId) {
    return this.#drafts.delete(replyId);
  }

  endForeign() {
    clearTimeout(this.#silence);
    return this.#drafts.delete(FOREIGN);
  }

  endAll() {
    clearTimeout(this.#silence);
    this.#drafts.clear();
  }

  /** The connection was opened anew: what is not heard of again may have ended meanwhile, having said nothing. */
  doubt() {
    for (const draft of this.#drafts.values()) draft.confirmed = draft.id === FOREIGN;
  }

  /** Drop doubted drafts but the one that the session says is still being written. */
  settle(currentId) {
    for (const draft of this.drafts) if (!draft.confirmed && draft.id !== currentId) this.#drafts.delete(draft.id);
  }

  #add(id, author, model) {
    const draft = { id, author: author ?? "", model: model ?? "", pieces: [], next: 0, confirmed: true };
    this.#drafts.set(id, draft);
    return draft;
  }
}

function push(draft, piece) {
  const last = draft.pieces.length - 1;
  if (typeof piece === "string" && typeof draft.pieces[last] === "string") draft.pieces[last] += piece;
  else if (typeof piece === "string") draft.pieces.push(piece);
  else pushPart(draft.pieces, piece);
}
