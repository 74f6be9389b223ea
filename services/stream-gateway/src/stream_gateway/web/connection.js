// The bar that says when the page is not live.

import { button, byId, element, icon } from "./dom.js";

const PATIENCE_MS = 900; // A hiccup shorter than that is nobody's business.

export class ConnectionBar {
  #timer = 0;
  #problem = null;
  #lost = false;
  #source = "";

  /** @param {() => void} retry try now */
  constructor(retry) {
    this.bar = byId("connection");
    this.retry = retry;
  }

  /** @param {import("./stream.js").StreamState} state @param {Error|null} problem why, when the server said so */
  setStream(state, problem) {
    this.#problem = problem;
    const lost = state === "lost";
    if (state === "open") this.#source = "";
    if (lost === this.#lost) return this.#lost && !this.bar.hidden ? this.#render() : undefined;
    this.#lost = lost;
    clearTimeout(this.#timer);
    if (lost) this.#timer = setTimeout(() => this.#render(), PATIENCE_MS);
    else this.#render();
  }

  /** What the gateway says of its own sources: "" when they are there. */
  setSource(words) {
    this.#source = words;
    this.#render();
  }

  #render() {
    const words = this.#lost
      ? `Connection lost. Reconnecting…${this.#problem ? ` (${this.#problem.message})` : ""}`
      : this.#source;
    this.bar.hidden = words === "";
    if (this.bar.firstElementChild?.textContent === words && words) return;
    this.bar.replaceChildren(...(words ? [element("span", {}, words), ...(this.#lost ? [button("button small", this.retry, "Try now")] : [])] : []));
    if (words) this.bar.prepend(icon("alert"));
  }
}
