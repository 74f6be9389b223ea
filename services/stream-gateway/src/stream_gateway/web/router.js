// Which session the address names: `s/<name>` below the page's base, or none.

// The gateway writes the base relative to the address that was asked for; it stays when the address changes.
const base = new URL("./", document.baseURI);

/** One segment of a path, so that the link also survives being pasted into prose or a shell. @param {string} name */
const segment = (name) =>
  encodeURIComponent(name).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);

/** Whether a path takes this name for a step, so that no address leads to such a session. @param {string} name */
export const isStep = (name) => name === "." || name === "..";

/** The address of a session, relative to the page's base. @param {string} name */
export const sessionHref = (name) => (isStep(name) ? "./" : `s/${segment(name)}`);

/** The absolute link to a session, for somebody else's browser. @param {string} name */
export const sessionLink = (name) => new URL(sessionHref(name), base).href;

/** @returns {string|null} */
export function currentSession() {
  const path = location.pathname;
  const before = `${base.pathname}s/`;
  const last = path.startsWith(before) ? path.slice(before.length) : "";
  if (!last || last.includes("/")) return null;
  try {
    return decodeURIComponent(last);
  } catch {
    return null;
  }
}

export class Router {
  #show;

  /** @param {(name: string|null) => void} show called for every address the page comes to */
  constructor(show) {
    this.#show = show;
    addEventListener("popstate", () => this.#show(currentSession()));
    document.addEventListener("click", (event) => this.#click(event));
  }

  /** @param {string|null} name null: no session */
  go(name) {
    if (name !== currentSession()) {
      history.pushState(null, "", name === null ? base : new URL(sessionHref(name), base));
    }
    this.#show(name);
  }

  // Links stay links: with a modifier or another button the browser opens them as always.
  #click(event) {
    const link = event.target.closest?.("a[data-session]");
    if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.go(link.dataset.session);
  }
}
