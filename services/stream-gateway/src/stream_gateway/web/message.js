// One message, finished: who, when, what, and what became of it.

import { element, icon } from "./dom.js";
import { partView, pushPart } from "./part.js";
import { prose } from "./prose.js";
import { showTime } from "./time.js";

const ROLE_NAMES = { user: "User", assistant: "Assistant", system: "System", tool: "Tool" };
const FOLD_OVER = 280; // Characters of a system or tool message that are shown unasked.

/** What session-svc writes where nobody gave a reason, as people say it; other reasons are shown as they are. */
const REASONS = {
  stopped: "Somebody stopped it.",
  "the writer was lost": "The one who wrote it went away.",
};

/** Who wrote it, in words. */
export function authorName({ role, author }) {
  return author || ROLE_NAMES[role] || "Unknown";
}

const isRoleWorthSaying = ({ role, author }) =>
  role !== "user" && role in ROLE_NAMES && Boolean(author) && author.toLowerCase() !== role;

/** The line above a message or a draft: author, model, whatever stands to the right of them. */
export function byline(message, ...more) {
  return element(
    "div",
    { class: "byline" },
    element("span", { class: "author" }, authorName(message)),
    isRoleWorthSaying(message) && element("span", { class: "badge" }, ROLE_NAMES[message.role]),
    message.model && element("span", { class: "model" }, message.model),
    ...more,
  );
}

/** A notice under a message that did not end as it should. */
function ending({ status, statusReason }) {
  if (!status || status === "complete") return null;
  const known = REASONS[statusReason] ?? statusReason ?? "";
  const [title, words] = {
    interrupted: ["Interrupted", known],
    failed: ["Failed", known || "No reason was given."],
    unreadable: ["Unreadable entry", known || "It is shown as it is stored."],
  }[status] ?? [status, known];
  return element(
    "p",
    { class: `ending ending-${status}` },
    icon(status === "interrupted" ? "stop" : "alert"),
    element("span", {}, element("strong", {}, title), words ? ` · ${words}` : ""),
  );
}

const BEHIND = new Set(["source", "details"]); // What one looks up after the answer; the rest led to it.

/** What came with the text: parts, and whatever else a framework has stored. @returns {import("./part.js").Part[]} */
function partsOf(attributes) {
  let value = attributes;
  if (typeof value === "string") {
    try {
      value = JSON.parse(value);
    } catch {
      return [{ type: "details", data: { text: attributes } }];
    }
  }
  if (!value || typeof value !== "object" || Object.keys(value).length === 0) return [];
  const { parts, ...rest } = value;
  const shown = [];
  for (const part of Array.isArray(parts) ? parts : []) if (part && typeof part === "object") pushPart(shown, part);
  if (Object.keys(rest).length > 0) shown.push({ type: "details", data: rest });
  return shown;
}

function content(message) {
  if (message.status === "unreadable") return element("pre", { class: "raw" }, message.content);
  if (message.content === "") return message.status ? null : element("p", { class: "nothing" }, "Nothing was said.");
  const body = prose(message.content);
  if (message.role !== "system" && message.role !== "tool") return body;
  return element(
    "details",
    { class: "fold", open: message.content.length <= FOLD_OVER },
    element(
      "summary",
      {},
      icon("chevron"),
      element("span", {}, message.role === "system" ? "Instructions" : "Tool output"),
    ),
    body,
  );
}

/**
 * @param {import("./log.js").Message} message
 * @returns {HTMLLIElement}
 */
export function messageView(message) {
  const time = element("time");
  if (message.timestamp) showTime(time, message.timestamp, "spoken");
  const parts = partsOf(message.attributes);
  const status = message.status && message.status !== "complete" ? ` is-${message.status}` : "";
  return element(
    "li",
    {
      class: `message role-${message.role in ROLE_NAMES ? message.role : "other"}${status}`,
      data: { sequence: message.sequence },
    },
    element(
      "article",
      { "aria-label": `${authorName(message)}, message ${message.sequence}` },
      byline(message, message.timestamp ? time : null),
      element(
        "div",
        { class: "bubble" },
        ...parts.filter(({ type }) => !BEHIND.has(type)).map(partView),
        content(message),
        ...parts.filter(({ type }) => BEHIND.has(type)).map(partView),
        ending(message),
      ),
    ),
  );
}
