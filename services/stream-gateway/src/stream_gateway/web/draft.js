// A reply while it is being written.

import { button, element, icon, soon } from "./dom.js";
import { GrowingMarkdown } from "./markdown.js";
import { byline } from "./message.js";
import { partText, partView } from "./part.js";
import { furnish } from "./prose.js";

/** How much there is of a piece, in characters. */
const sizeOf = (piece) => (typeof piece === "string" ? piece.length : partText(piece).length);

const REST = 4; // Rendering takes at most one part in so many of the page's time.

export class DraftView {
  #at = 0; // The piece that is being shown, how much of it is, and the view that it grows in.
  #size = 0;
  #view = null;
  #scheduled = false;

  /**
   * @param {import("./replies.js").Draft} draft
   * @param {(() => void)|null} stop what the button does; null: there is none
   * @param {() => void} grown called after the draft was rendered
   */
  constructor(draft, stop, grown) {
    this.draft = draft;
    this.grown = grown;
    this.body = element("div", { class: "prose" });
    const pulse = element(
      "span",
      { class: "writing" },
      element("i"),
      element("i"),
      element("i"),
      element("span", {}, "writing"),
    );
    this.stop = stop && button("button small stop", stop, icon("stop"), "Stop");
    this.node = element(
      "article",
      { class: "message role-assistant draft", "aria-label": "Reply being written", "aria-busy": "true" },
      byline({ role: "assistant", ...draft }, pulse, this.stop),
      element("div", { class: "bubble" }, this.body),
    );
    this.update();
  }

  update() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    soon(() => this.#render());
  }

  #render() {
    const started = performance.now();
    const { pieces } = this.draft;
    for (; this.#at < pieces.length; this.#at++) {
      const piece = pieces[this.#at];
      if (sizeOf(piece) > this.#size) this.#grow(piece);
      this.#size = sizeOf(piece);
      if (this.#at === pieces.length - 1) break; // It may grow.
      this.#view = null;
      this.#size = 0;
    }
    furnish(this.body);
    this.grown();
    setTimeout(
      () => {
        this.#scheduled = false;
        if (this.#behind) this.update();
      },
      (performance.now() - started) * REST,
    );
  }

  get #behind() {
    const { pieces } = this.draft;
    const rest = pieces.length - 1 - this.#at;
    return rest > 0 || (rest === 0 && sizeOf(pieces[this.#at]) > this.#size);
  }

  #grow(piece) {
    if (typeof piece === "string") {
      this.#view ??= new GrowingMarkdown(this.#section());
      this.#view.append(piece.slice(this.#size));
    } else if (this.#view === null) this.body.append((this.#view = partView(piece)));
    else this.#view.querySelector("pre").textContent = partText(piece);
  }

  #section() {
    const section = element("div");
    this.body.append(section);
    return section;
  }
}
