// What stands in the main column when there are no messages to show, and what stands around them when there are.

import { config } from "./config.js";
import { copyButton } from "./copy.js";
import { button, element, icon } from "./dom.js";
import { resumeCommand } from "./shell.js";

const NEW_NAME = /^[A-Za-z0-9][A-Za-z0-9._@:~-]{0,127}$/;

/** Whether a session of that name could be created. @param {string} name */
export const isNewName = (name) => NEW_NAME.test(name);

/** A command to be typed into a terminal, with a button that copies it. */
export function commandLine(command) {
  return element(
    "div",
    { class: "command" },
    element("code", { tabindex: 0, role: "group", "aria-label": "Command" }, command),
    copyButton({ name: "copy", label: "Copy the command", done: "Copied", text: () => command }),
  );
}

const resumeLine = (name) => commandLine(resumeCommand(config.grpcAddress, name));

/** What to do where there is no session yet. */
export function invitation() {
  return element("p", { class: "note" }, "No sessions yet. The first message anybody sends starts one.");
}

function card(title, ...children) {
  return element("div", { class: "card" }, element("h2", {}, title), ...children);
}

/**
 * What stands in place of the messages; null where the messages are to be shown.
 * @param {import("./conversation.js").Conversation} conversation
 * @param {number} pending how many messages are on their way
 * @param {{create: (() => void)|null, retry: () => void}} actions create: null where nobody may
 */
export function placeholder({ state, name, log, error, replies, notices }, pending, { create, retry }) {
  switch (state) {
    case "none":
      return element(
        "div",
        { class: "card welcome" },
        element("img", { src: "static/icon.svg", alt: "", width: 52, height: 52 }),
        element("h2", {}, "Pick up a conversation"),
        element(
          "p",
          {},
          "Choose a session from the list to read it and watch it live, or start one from any terminal:",
        ),
        resumeLine("my-project"),
        create && button("button primary", create, "New session"),
      );
    case "loading":
      return element(
        "div",
        { class: "loading", "aria-label": "Loading the conversation", role: "img" },
        ...["right", "left", "left", "right", "left"].map((side) =>
          element("div", { class: `skeleton skeleton-${side}` }),
        ),
      );
    case "failed":
      return card(
        "This conversation could not be loaded",
        element("p", {}, error?.message ?? ""),
        button("button primary", retry, "Try again"),
      );
    case "missing":
      if (pending > 0) return null;
      return card(
        "No such session",
        element("p", {}, "There is no session of this name now. It appears here as soon as somebody writes in it."),
        isNewName(name) &&
          element(
            "p",
            {},
            config.canWrite ? "Your first message below starts it. From a terminal:" : "From a terminal:",
          ),
        isNewName(name) && resumeLine(name),
      );
    case "deleted":
      if (pending > 0) return null;
      return card(
        "This session was deleted",
        element("p", {}, "Everything said in it is gone. Should somebody write under its name again, it appears here."),
      );
    default:
      if (log.messages.length + replies.drafts.length + notices.length + pending > 0) return null;
      return card("Nothing said yet", element("p", {}, "Messages appear here as they are written."), resumeLine(name));
  }
}

/** What stands above the oldest message. */
export function historyTop({ log, loadingOlder, messagesShown }, older) {
  if (loadingOlder === "failed")
    return [icon("alert"), "Older messages could not be loaded.", button("button small", older, "Try again")];
  if (loadingOlder === "yes") return [element("span", { class: "spinner" }), "Loading older messages…"];
  if (log.before !== null) return [button("button quiet small", older, "Older messages")];
  return messagesShown ? ["The beginning of this conversation"] : [];
}

/** What stands in place of the composer where the page may only read. */
export function readOnly(name) {
  return element(
    "div",
    { class: "read-only" },
    element("p", {}, "This page only shows. Write from a terminal:"),
    resumeLine(name),
  );
}
