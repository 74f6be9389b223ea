// A reply while it is being written.

import { element, icon, soon } from "./dom.js";
import { GrowingMarkdown } from "./markdown.js";
import { byline, partView } from "./message.js";
import { furnish } from "./prose.js";

const REST = 4; // Rendering takes at most one part in so many of the page's time.

export class DraftView {
  #shown = 0;
  #text = 0;
  #growing = null;
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
    this.stop =
      stop &&
      element("button", { type: "button", class: "button small stop", on: { click: stop } }, icon("stop"), "Stop");
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
    for (; this.#shown < pieces.length; this.#shown++) {
      const piece = pieces[this.#shown];
      if (typeof piece === "string") {
        this.#growing ??= new GrowingMarkdown(this.#section());
        if (piece.length > this.#text) this.#growing.append(piece.slice(this.#text));
        this.#text = piece.length;
        if (this.#shown === pieces.length - 1) break; // It may grow.
      } else this.body.append(partView(piece));
      this.#growing = null;
      this.#text = 0;
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
    const last = pieces.at(-1);
    return (
      this.#shown < pieces.length - 1 ||
      (this.#shown === pieces.length - 1 && (typeof last !== "string" || last.length > this.#text))
    );
  }

  #section() {
    const section = element("div");
    this.body.append(section);
    return section;
  }
}
