// Above a conversation: what it is called, facts about it, what can be done with it.

import { clearSession, deleteSession, renameSession } from "./api.js";
import { copyButton } from "./copy.js";
import { ask } from "./dialogs.js";
import { button, byId, element, icon, iconButton } from "./dom.js";
import { sessionLink } from "./router.js";
import { displayName } from "./sessions.js";
import { resumeCommand } from "./shell.js";
import { showTime } from "./time.js";

/** What a person may copy of a session. */
function copies(name, grpcAddress) {
  return [
    { name: "hash", caption: "Name", label: "Copy the session's name", done: "Name copied", text: () => name },
    {
      name: "terminal",
      caption: "Command",
      label: "Copy the command that resumes this session in a terminal",
      done: "Command copied",
      text: () => resumeCommand(grpcAddress, name),
    },
    {
      name: "link",
      caption: "Link",
      label: "Copy the link to this session",
      done: "Link copied",
      text: () => sessionLink(name),
    },
  ];
}

export class Topbar {
  #name = null;

  /**
   * @param {{grpcAddress: string, canWrite: boolean, position: () => string, onSession: (session: object) => void,
   *   onDeleted: (name: string) => void}} options
   *   position: the head that is on the screen; onSession, onDeleted: what an answer told
   */
  constructor(options) {
    this.options = options;
    this.title = byId("title");
    this.facts = byId("facts");
    this.actions = byId("actions");
  }

  /** @param {string|null} name @param {import("./sessions.js").Session|null} session null: not known, or there is none */
  show(name, session) {
    const shown = name === null ? "ai-chat" : displayName(session ?? { name });
    this.title.textContent = shown;
    this.title.title = shown;
    document.title = name === null ? "ai-chat" : `${shown} · ai-chat`;
    this.facts.replaceChildren(...(name === null ? [] : this.#facts(name, session, shown)));
    document.body.classList.toggle("has-session", name !== null);
    const exists = session !== null;
    if (name !== this.#name || exists !== this.exists)
      this.actions.replaceChildren(...(name === null ? [] : this.#actions(name, exists)));
    this.#name = name;
    this.exists = exists;
    this.session = session;
  }

  #facts(name, session, shown) {
    const facts = [];
    if (shown !== name) facts.push(element("span", { class: "session-id" }, name));
    if (!session) return facts;
    const count = session.messageCount ?? 0;
    facts.push(element("span", {}, `${count} ${count === 1 ? "message" : "messages"}`));
    if (session.owner) facts.push(element("span", {}, `by ${session.owner}`));
    if (session.expiresAt) {
      const time = element("time");
      showTime(time, session.expiresAt, "until");
      facts.push(element("span", {}, "expires ", time));
    }
    for (const [key, value] of Object.entries(session.labels ?? {}).slice(0, 6)) {
      facts.push(element("span", { class: "label" }, value ? `${key}: ${value}` : key));
    }
    return facts;
  }

  #actions(name, exists) {
    const wanted = copies(name, this.options.grpcAddress);
    const group = element(
      "div",
      { class: "copy-group", role: "group", "aria-label": "Copy" },
      element("span", { class: "copy-label", "aria-hidden": "true" }, "Copy"),
      ...wanted.map((copy) => copyButton({ ...copy, class: "button quiet" })),
    );
    const changes =
      this.options.canWrite && exists
        ? [
            this.#entry("pencil", "Rename…", () => this.#rename(name)),
            this.#entry("eraser", "Clear messages…", () => this.#clear(name)),
            this.#entry("trash", "Delete session…", () => this.#delete(name), "danger"),
          ]
        : [];
    const menu = element(
      "div",
      { class: "menu", popover: "auto", id: "session-menu" },
      ...wanted.map((copy) =>
        copyButton({ ...copy, caption: `Copy ${copy.caption.toLowerCase()}`, class: "menu-entry only-narrow" }),
      ),
      ...changes,
    );
    const more = iconButton("more", "More", () => {}, {
      popovertarget: "session-menu",
      class: changes.length > 0 ? "icon-button" : "icon-button only-narrow",
    });
    menu.addEventListener("beforetoggle", (event) => {
      if (event.newState !== "open") return;
      const box = more.getBoundingClientRect();
      menu.style.top = `${box.bottom + 6}px`;
      menu.style.right = `${Math.max(8, innerWidth - box.right)}px`;
    });
    return [group, more, menu];
  }

  #entry(name, words, action, style = "") {
    const click = () => {
      byId("session-menu").hidePopover();
      action();
    };
    return button(`menu-entry ${style}`, click, icon(name), element("span", {}, words));
  }

  #rename(name) {
    ask({
      title: "Rename session",
      action: "Rename",
      text: `The name ${name} stays; the title is what people see.`,
      fields: [{ name: "title", label: "Title", value: this.session?.title ?? "", properties: { maxlength: 200 } }],
      submit: async ({ title }) => this.options.onSession(await renameSession(name, title.trim())),
    });
  }

  #clear(name) {
    ask({
      title: "Clear all messages?",
      action: "Clear",
      danger: true,
      text: `Everything said in ${name} is removed for everybody, for good. The session itself stays.`,
      submit: async () => this.options.onSession(await guarded(clearSession(name, this.options.position()))),
    });
  }

  #delete(name) {
    ask({
      title: "Delete this session?",
      action: "Delete",
      danger: true,
      text: `${name} and everything said in it are removed for everybody, for good.`,
      submit: async () => {
        await guarded(deleteSession(name, this.options.position()));
        this.options.onDeleted(name);
      },
    });
  }
}

/** Say what a conflict means here: something was said that the person may not have read. */
async function guarded(answer) {
  try {
    return await answer;
  } catch (error) {
    if (error.reason === "POSITION_CONFLICT")
      error.message = "Something new was said meanwhile. Look at it, then try again.";
    throw error;
  }
}
