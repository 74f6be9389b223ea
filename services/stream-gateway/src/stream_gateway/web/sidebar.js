// The list of sessions on the left; on a phone, a drawer.

import { button, byId, element, icon, iconButton, soon } from "./dom.js";
import { displayName, isGenerated } from "./sessions.js";
import { sessionHref } from "./router.js";
import { showTime } from "./time.js";

const SEARCH_MS = 180;
const NEAR_PX = 400;

export class Sidebar {
  /** @type {Map<string, {node: HTMLLIElement, session: object, current: boolean}>} */
  #items = new Map();
  #current = null;
  #list;
  #tab = null;
  #scheduled = false;

  /**
   * @param {import("./sessions.js").SessionList} list
   * @param {{create: (() => void)|null, help: () => void, leave: (() => void)|null, invitation: () => Node}} options
   *   create: null where nobody may; leave: sign out, null where nobody signs in; invitation: what to show where there is no session at all
   */
  constructor(list, { create, help, leave, invitation }) {
    this.#list = list;
    this.invitation = invitation;
    this.ul = byId("sessions");
    this.scroller = byId("sessions-scroll");
    this.search = byId("search");
    byId("sidebar-actions").append(
      iconButton("help", "Keyboard shortcuts", help, { class: "icon-button only-wide" }),
      ...(leave ? [iconButton("leave", "Sign out", leave)] : []),
      ...(create ? [iconButton("plus", "New session", create, { id: "new-session" })] : []),
      iconButton("close", "Close the list of sessions", () => this.close(), { class: "icon-button only-narrow" }),
    );
    this.button = byId("drawer-button");
    this.button.append(icon("menu"));
    this.button.addEventListener("click", () => this.open());
    byId("scrim").addEventListener("click", () => this.close());
    let timer = 0;
    this.search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => list.search(this.search.value.trim()), SEARCH_MS);
    });
    this.search.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown") return;
      event.preventDefault();
      this.#focus(0);
    });
    this.scroller.addEventListener("scroll", () => this.#more(), { passive: true });
    this.ul.addEventListener("keydown", (event) => this.#keys(event));
    this.ul.addEventListener("focusin", (event) => this.#setTab(event.target.closest("a")));
    list.addEventListener("change", () => this.#update());
    this.narrow = matchMedia("(max-width: 820px)");
    this.narrow.addEventListener("change", () => this.close());
    this.render();
  }

  /** @param {string|null} name the session that is open */
  setCurrent(name) {
    this.#current = name;
    this.render();
    this.#items.get(name)?.node.scrollIntoView({ block: "nearest" });
  }

  /** Show the drawer; beside a wide page the list is always there. */
  open() {
    if (!this.narrow.matches) return;
    document.body.classList.add("drawer-open");
    this.button.setAttribute("aria-expanded", "true");
    byId("main").inert = true;
    this.search.focus({ preventScroll: true });
  }

  close() {
    if (!document.body.classList.contains("drawer-open")) return;
    document.body.classList.remove("drawer-open");
    this.button.setAttribute("aria-expanded", "false");
    byId("main").inert = false;
    if (this.narrow.matches) this.button.focus();
  }

  focusSearch() {
    this.open();
    this.search.focus();
    this.search.select();
  }

  /** Whether there was a search to leave. */
  leaveSearch() {
    if (document.activeElement !== this.search && !this.search.value) return false;
    const had = this.search.value !== "";
    this.search.value = "";
    this.#list.search("");
    return had;
  }

  /** The name of the session `step` places from the open one. */
  neighbour(step) {
    const names = this.#list.sessions.map((session) => session.name);
    const at = names.indexOf(this.#current);
    return names[at < 0 ? 0 : Math.min(names.length - 1, Math.max(0, at + step))] ?? null;
  }

  #update() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    soon(() => {
      this.#scheduled = false;
      this.render();
    });
  }

  render() {
    const { sessions } = this.#list;
    const focused = this.ul.contains(document.activeElement) ? document.activeElement : null;
    const names = new Set(sessions.map((session) => session.name));
    for (const [name, { node }] of this.#items) {
      if (names.has(name)) continue;
      node.remove();
      this.#items.delete(name);
    }
    sessions.forEach((session, index) => {
      const node = this.#item(session);
      if (this.ul.children[index] !== node) this.ul.insertBefore(node, this.ul.children[index] ?? null);
    });
    // A node that moves loses the focus.
    if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
    const tab = this.#tab?.isConnected
      ? this.#tab
      : (this.ul.querySelector("[aria-current]") ?? this.ul.querySelector("a"));
    this.#setTab(tab);
    byId("sessions-note").replaceChildren(...this.#note(sessions.length));
    this.#more();
  }

  #item(session) {
    const current = session.name === this.#current;
    const known = this.#items.get(session.name);
    if (known?.session === session && known.current === current) return known.node;
    const node = known?.node ?? element("li");
    const link = known
      ? node.firstElementChild
      : element("a", { href: sessionHref(session.name), data: { session: session.name }, tabindex: -1 });
    link.replaceChildren(...summary(session));
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (!known) node.append(link);
    this.#items.set(session.name, { node, session, current });
    return node;
  }

  #note(count) {
    const { state, text, error, hasMore, loadingMore } = this.#list;
    if (state === "loading")
      return Array.from({ length: 6 }, () => element("div", { class: "skeleton", "aria-hidden": "true" }));
    if (state === "failed") {
      const retry = button("button", () => this.#list.refresh(), "Try again");
      return [element("p", { class: "note" }, icon("alert"), error.message), retry];
    }
    if (count === 0)
      return text ? [element("p", { class: "note" }, `No session matches “${text}”.`)] : [this.invitation()];
    if (loadingMore) return [element("p", { class: "note" }, "Loading more…")];
    if (!hasMore) return [];
    return [button("button quiet", () => this.#list.more(), "Show more")];
  }

  #more() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroller;
    if (scrollTop > 0 && scrollHeight - scrollTop - clientHeight < NEAR_PX) this.#list.more();
  }

  #setTab(link) {
    if (!link || (link === this.#tab && link.tabIndex === 0)) return;
    if (this.#tab) this.#tab.tabIndex = -1;
    link.tabIndex = 0;
    this.#tab = link;
  }

  #focus(index) {
    const links = [...this.ul.querySelectorAll("a")];
    links[Math.min(links.length - 1, Math.max(0, index))]?.focus();
  }

  #keys(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const links = [...this.ul.querySelectorAll("a")];
    const at = links.indexOf(event.target.closest("a"));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    if (to < 0) this.search.focus();
    else this.#focus(to);
  }
}

function summary(session) {
  const shown = displayName(session);
  const time = element("time");
  if (session.lastMessage) showTime(time, session.lastMessage, "brief");
  const preview = session.preview
    ?.replace(/\*\*|`+|^#+ /gm, "")
    .replace(/\s+/g, " ")
    .trim();
  return [
    element(
      "span",
      { class: "session-line" },
      element("span", { class: "session-name", dir: "auto" }, shown),
      session.reply
        ? element(
            "span",
            { class: "session-live", title: "A reply is being written" },
            element("span", { class: "visually-hidden" }, "a reply is being written"),
          )
        : null,
      time,
    ),
    element(
      "span",
      { class: "session-preview", dir: "auto" },
      shown === session.name || isGenerated(session.name)
        ? null
        : element("span", { class: "session-id" }, session.name),
      preview || (session.messageCount ? "The last message is empty" : "No messages yet"),
    ),
  ];
}
