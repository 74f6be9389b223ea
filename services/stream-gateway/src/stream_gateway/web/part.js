// What is not answer text: reasoning, a tool call, a source; folded, because few want to read it.

import { element, icon } from "./dom.js";

const WEB_LINK = /^https?:\/\//i;
const HINT_MOST = 80; // Characters.

/** @typedef {import("./replies.js").Part} Part */

/** What there is to read in it. @param {Part} part */
export function partText({ data }) {
  for (const text of [data?.text, data?.content]) if (typeof text === "string") return text;
  return JSON.stringify(data, null, 2) ?? "";
}

/** What it is called: the tool, the page. */
function hintOf({ data }) {
  const hint = [data?.name, data?.title, data?.url].find((value) => typeof value === "string" && value !== "") ?? "";
  return hint.length > HINT_MOST ? `${hint.slice(0, HINT_MOST)}…` : hint;
}

/** @param {Part} part */
export function partView(part) {
  const hint = hintOf(part);
  const url = typeof part.data?.url === "string" && WEB_LINK.test(part.data.url) ? part.data.url : null;
  return element(
    "details",
    { class: "part" },
    element(
      "summary",
      {},
      icon("chevron"),
      element("span", { class: "part-type" }, String(part.type).replace(/[.-]/g, " ")),
      hint && element("span", { class: "part-hint", dir: "auto" }, hint),
    ),
    url && element("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow" }, url),
    element("pre", { class: "raw" }, partText(part)),
  );
}

/**
 * Put a part after others; one thought in pieces, nothing but text of the same type, becomes one part.
 * @param {unknown[]} pieces @param {Part} part
 */
export function pushPart(pieces, part) {
  const last = pieces.at(-1);
  if (typeof last === "object" && last?.type === part.type && isMereText(last.data) && isMereText(part.data))
    // Never in place: the part belongs to the event or the message that brought it.
    pieces[pieces.length - 1] = { ...part, data: { text: last.data.text + part.data.text } };
  else pieces.push(part);
}

const isMereText = (data) => typeof data?.text === "string" && Object.keys(data).length === 1;
