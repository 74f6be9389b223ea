// The scrolling column of a session: messages, replies being written, messages not yet sent.

import { byId, element, icon, soon } from "./dom.js";
import { DraftView } from "./draft.js";
import { messageView } from "./message.js";
import { day } from "./time.js";

const NEAR_PX = 90; // So close to the end counts as reading along.
const AHEAD_PX = 600; // Older messages are asked for so long before the top is reached.
const GROUP_MS = 5 * 60_000;

export class Timeline {
  /** @type {WeakMap<import("./log.js").Message, HTMLLIElement>} */
  #nodes = new WeakMap();
  /** @type {Map<import("./replies.js").Draft, DraftView>} */
  #drafts = new Map();
  #scheduled = false;
  #stuck = true;
  #last = null;
  #unseen = 0;
  #source;

  /**
   * @param {{log: () => import("./log.js").MessageLog, drafts: () => import("./replies.js").Draft[],
   *   pending: () => HTMLElement[], older: () => void, stop: ((replyId: string) => void)|null}} source
   *   what is to be shown; `older` is called when the reader comes near the top
   */
  constructor(source) {
    this.#source = source;
    this.scroller = byId("scroller");
    this.list = byId("messages");
    this.top = byId("history-top");
    this.latest = byId("latest");
    this.latest.addEventListener("click", () => this.toEnd());
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // Heights change after the fact: code is coloured, a window is resized, messages come into view.
    new ResizeObserver(() => this.#stuck && this.#jump()).observe(byId("column"));
    new ResizeObserver(() => this.#stuck && this.#jump()).observe(this.scroller);
  }

  /** Whether the reader is at the end, so that what is new is in view. */
  get isAtEnd() {
    return this.#stuck;
  }

  /** Show another session: nothing of the one before is kept. */
  reset() {
    this.list.replaceChildren();
    this.#nodes = new WeakMap();
    this.#drafts.clear();
    byId("drafts").replaceChildren();
    byId("pending").replaceChildren();
    this.#last = null;
    this.#stuck = true;
    this.#setUnseen(0);
  }

  /** Render soon what the source holds; calls in one frame are one rendering. */
  update() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    soon(() => {
      this.#scheduled = false;
      this.render();
    });
  }

  render() {
    const { messages } = this.#source.log();
    const anchor = this.#stuck ? null : this.#anchor();
    this.#renderMessages(messages);
    this.#renderDrafts();
    this.#renderPending(this.#source.pending());
    if (this.#stuck) this.#jump();
    else if (anchor?.node.isConnected) {
      this.scroller.scrollTop += anchor.node.getBoundingClientRect().top - anchor.top;
    }
    this.#count(messages);
    this.#askForOlder();
  }

  toEnd() {
    this.#stuck = true;
    this.#jump();
    this.#setUnseen(0);
  }

  #renderMessages(messages) {
    const wanted = new Set();
    let previous = null;
    let at = this.list.firstElementChild;
    for (const message of messages) {
      let node = this.#nodes.get(message);
      if (!node) this.#nodes.set(message, (node = messageView(message)));
      wanted.add(node);
      this.#relate(node, message, previous);
      while (at && at !== node && !this.#isWanted(at, messages)) {
        const gone = at;
        at = at.nextElementSibling;
        gone.remove();
      }
      if (at === node) at = at.nextElementSibling;
      else this.list.insertBefore(node, at);
      previous = message;
    }
    for (const node of [...this.list.children].slice(wanted.size)) node.remove();
  }

  #isWanted(node, messages) {
    const first = messages[0].sequence;
    const message = messages[Number(node.dataset.sequence) - first];
    return message !== undefined && this.#nodes.get(message) === node;
  }

  /** What a message looks like beside the one before it: a new day, or the same author going on. */
  #relate(node, message, previous) {
    const label =
      message.timestamp && (!previous?.timestamp || day(previous.timestamp) !== day(message.timestamp))
        ? day(message.timestamp)
        : "";
    if ((node.dataset.day ?? "") !== label) {
      node.querySelector(".day")?.remove();
      if (label) node.prepend(element("p", { class: "day" }, element("span", {}, label)));
      node.dataset.day = label;
    }
    const goesOn =
      !label &&
      previous?.role === message.role &&
      previous.author === message.author &&
      previous.model === message.model &&
      (message.timestamp ?? 0) - (previous.timestamp ?? 0) < GROUP_MS;
    node.classList.toggle("goes-on", Boolean(goesOn));
  }

  #renderDrafts() {
    const drafts = this.#source.drafts();
    for (const [draft, view] of this.#drafts) {
      if (drafts.includes(draft)) continue;
      view.node.remove();
      this.#drafts.delete(draft);
    }
    for (const draft of drafts) {
      const known = this.#drafts.get(draft);
      if (known) known.update();
      else {
        const stop = this.#source.stop && draft.id ? () => this.#source.stop(draft.id) : null;
        const view = new DraftView(draft, stop, () => this.#stuck && this.#jump());
        this.#drafts.set(draft, view);
        byId("drafts").append(view.node);
      }
    }
  }

  #renderPending(nodes) {
    const box = byId("pending");
    if (nodes.length === box.children.length && nodes.every((node, index) => box.children[index] === node)) return;
    box.replaceChildren(...nodes);
  }

  /** The first message in view and where it is, to be put there again. */
  #anchor() {
    const { top } = this.scroller.getBoundingClientRect();
    for (const item of this.list.children) {
      // The article, because a line that names the day comes and goes above it.
      const node = item.lastElementChild;
      const box = node.getBoundingClientRect();
      if (box.bottom > top) return { node, top: box.top };
    }
    return null;
  }

  #count(messages) {
    const last = messages.at(-1) ?? null;
    const known = this.#last ? messages.lastIndexOf(this.#last) : -1;
    if (!this.#stuck && known >= 0) this.#setUnseen(this.#unseen + messages.length - 1 - known);
    this.#last = last;
  }

  #setUnseen(count) {
    this.#unseen = count;
    this.latest.hidden = this.#stuck;
    this.latest.replaceChildren(
      icon("down"),
      count > 0 ? `${count} new ${count === 1 ? "message" : "messages"}` : "Latest",
    );
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const stuck = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    if (stuck !== this.#stuck) {
      this.#stuck = stuck;
      this.#setUnseen(0);
    }
    this.#askForOlder();
  }

  #askForOlder() {
    const log = this.#source.log();
    if (log.before !== null && this.scroller.scrollTop < AHEAD_PX) this.#source.older();
  }

  #jump() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }
}
