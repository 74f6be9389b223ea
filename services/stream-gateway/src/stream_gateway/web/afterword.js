// What stands below the last message: whether an answer is awaited, and the way to ask again.

import { button, element, icon } from "./dom.js";

const PATIENCE_MS = 20_000; // An assistant begins within seconds; after this, nobody seems to be there.

/**
 * @typedef {"waiting"|"unanswered"|"broken"|"answered"} Standing
 *   waiting: somebody may begin any moment; unanswered: nobody did; broken: the answer did not end as it should
 */

/**
 * How things stand at the end of a session in which nobody writes.
 * @param {import("./log.js").Message|undefined} last
 * @param {boolean} awaiting whether the session waits for a reply
 * @param {number} [now]
 * @returns {Standing|null} null: there is nothing to be said
 */
export function standing(last, awaiting, now = Date.now()) {
  if (last?.role === "user") {
    if (!awaiting) return null;
    return last.timestamp && now - last.timestamp < PATIENCE_MS ? "waiting" : "unanswered";
  }
  if (last?.role !== "assistant") return null;
  return last.status === "interrupted" || last.status === "failed" ? "broken" : "answered";
}

/** When `standing` says something else of the same message, in ms from now; null: never. */
export function changesIn(last, now = Date.now()) {
  return last?.role === "user" && last.timestamp ? Math.max(0, last.timestamp + PATIENCE_MS - now) : null;
}

const WORDS = {
  waiting: "Waiting for an answer…",
  unanswered: "Nobody has answered yet.",
  broken: "",
  answered: "",
};

/**
 * @param {Standing} how
 * @param {(() => void)|null} again null: nobody may ask again here
 * @returns {HTMLElement|null}
 */
export function afterword(how, again) {
  const style = how === "answered" ? "button quiet small" : "button small";
  const ask =
    again && how !== "waiting" && button(style, again, icon("again"), how === "broken" ? "Try again" : "Ask again");
  if (!ask && WORDS[how] === "") return null;
  return element(
    "div",
    { class: `afterword afterword-${how}` },
    WORDS[how] && element("p", { role: "status" }, WORDS[how]),
    ask,
  );
}
