// Which session the address names: `s/<name>` below the page's base, or none.

const root = () => new URL(document.baseURI).pathname.replace(/[^/]*$/, "");

/** The address of a session, relative to the page's base. @param {string} name */
export const sessionHref = (name) => `s/${encodeURIComponent(name)}`;

/** The absolute link to a session, for somebody else's browser. @param {string} name */
export const sessionLink = (name) => new URL(sessionHref(name), document.baseURI).href;

/** @returns {string|null} */
export function currentSession() {
  const path = location.pathname;
  const base = root();
  const segment = path.startsWith(`${base}s/`) ? path.slice(base.length + 2) : "";
  if (!segment || segment.includes("/")) return null;
  try {
    return decodeURIComponent(segment);
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
  go(name, { replace = false } = {}) {
    if (name !== currentSession()) {
      const href = name === null ? "./" : sessionHref(name);
      if (replace) history.replaceState(null, "", new URL(href, document.baseURI));
      else history.pushState(null, "", new URL(href, document.baseURI));
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
