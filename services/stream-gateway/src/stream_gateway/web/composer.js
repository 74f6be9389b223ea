// Where a person writes: Enter sends, Shift+Enter is a new line, what is typed is kept.

import { config } from "./config.js";
import { ask } from "./dialogs.js";
import { draftOf, keepDraft, recall, remember } from "./drafts.js";
import { button, element, icon } from "./dom.js";

const AUTHOR_KEY = "ai-chat:author";
const MOST_BYTES = 1024 * 1024;
const MOST_HEIGHT_PX = 240;

export class Composer {
  #session = null;
  #problem = element("p", { class: "composer-problem", role: "alert" });
  #send = element(
    "button",
    { type: "submit", class: "send", "aria-label": "Send", title: "Send (Enter)", disabled: true },
    icon("send"),
  );
  #author = button("as", () => this.#askAuthor());

  /** @param {import("./outbox.js").Outbox} outbox @param {() => void} sent called when a message was handed over */
  constructor(outbox, sent) {
    this.outbox = outbox;
    this.sent = sent;
    this.input = element("textarea", {
      id: "message",
      rows: 1,
      "aria-label": "Message",
      placeholder: "Write a message",
      autocomplete: "off",
      enterkeyhint: "send",
      "aria-describedby": "composer-hint",
    });
    const hint = element(
      "span",
      { class: "composer-hint", id: "composer-hint" },
      "Enter sends, Shift+Enter starts a new line",
    );
    this.node = element(
      "form",
      { class: "composer", "aria-label": "Write a message" },
      this.#problem,
      element("div", { class: "composer-box" }, this.input, this.#send),
      element("div", { class: "composer-foot" }, hint, config.signsIn ? null : this.#author),
    );
    this.node.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.input.addEventListener("input", () => this.#typed());
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.#showAuthor();
  }

  /** Write to another session; what was typed there is there again. @param {string} name */
  show(name) {
    if (name === this.#session) return;
    this.#session = name;
    this.#fill(draftOf(name));
  }

  /** Take a message that was not sent back to be edited. @param {string} text */
  edit(text) {
    this.#fill(this.input.value ? `${this.input.value}\n${text}` : text);
    this.#typed();
    this.input.focus();
  }

  focus() {
    this.input.focus();
  }

  /** What the person wants to be called; nothing where the server knows it by the token. */
  get author() {
    if (config.signsIn) return "";
    const author = recall(AUTHOR_KEY, "");
    return typeof author === "string" ? author : "";
  }

  #fill(text) {
    this.input.value = text;
    this.#problem.textContent = "";
    this.#fit();
  }

  #typed() {
    keepDraft(this.#session, this.input.value);
    this.#problem.textContent = "";
    this.#fit();
  }

  #fit() {
    this.#send.disabled = this.input.value.trim() === "";
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(MOST_HEIGHT_PX, this.input.scrollHeight)}px`;
  }

  #key(event) {
    // An Enter that ends the composition of a character belongs to the input method.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    // On a phone's keyboard there is no Shift+Enter.
    if (matchMedia("(pointer: coarse)").matches && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.#submit();
  }

  #submit() {
    const text = this.input.value;
    if (text.trim() === "") return;
    if (new TextEncoder().encode(text).length > MOST_BYTES) {
      this.#problem.textContent = "This message is over 1 MiB; send it in parts.";
      return;
    }
    if (this.outbox.isFull) {
      this.#problem.textContent = "Too many messages are waiting to be sent; wait for the connection, or discard some.";
      return;
    }
    this.outbox.add(this.#session, text, this.author);
    this.#fill("");
    keepDraft(this.#session, "");
    this.sent();
  }

  #showAuthor() {
    this.#author.replaceChildren(
      this.author ? "as " : "Add your name",
      this.author && element("strong", {}, this.author),
    );
  }

  #askAuthor() {
    ask({
      title: "Your name",
      action: "Save",
      text: "It stands above the messages that you send from this browser.",
      fields: [{ name: "author", label: "Name", value: this.author, properties: { maxlength: 64 } }],
      submit: async ({ author }) => {
        remember(AUTHOR_KEY, author.trim());
        this.#showAuthor();
      },
    });
  }
}

/**
 * A message on its way, as the conversation shows it.
 * @param {import("./outbox.js").Outgoing} item
 * @param {{retry: () => void, discard: () => void, edit: () => void}} actions
 */
export function outgoingView({ content, author, state, problem }, { retry, discard, edit }) {
  const words = {
    held: "Asking again…",
    waiting: problem ? `Not sent yet: ${problem}` : "Waiting to be sent…",
    sending: "Sending…",
    sent: "Sent",
    refused: `Not sent: ${problem}`,
  }[state];
  return element(
    "article",
    { class: `message role-user outgoing outgoing-${state}`, "aria-label": "Message on its way" },
    element("div", { class: "byline" }, element("span", { class: "author" }, author || "User")),
    element("div", { class: "bubble" }, element("div", { class: "plain" }, content)),
    element(
      "p",
      { class: "outgoing-state", role: state === "refused" ? "alert" : null },
      state === "refused" && icon("alert"),
      element("span", {}, words),
      state === "refused" || (state === "waiting" && problem) ? button("button small", retry, "Retry") : null,
      state === "refused" ? button("button small", edit, "Edit") : null,
      state === "refused" ? button("button small", discard, "Discard") : null,
    ),
  );
}
