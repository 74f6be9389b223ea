// Having the last question answered again: what has to be removed, what has to be said anew, and doing so.

import { listMessages, newKey, truncateSession } from "./api.js";

const FRESH_MS = 60_000; // So young a question is answered where it stands; who answers leaves old ones alone.

/**
 * Shorten the session to `keep` messages; then append `messages`, in one request.
 * @typedef {{keep: number, messages: {id: string, role: string, content: string, author?: string, attributes?: any}[]}} Plan
 */

/**
 * @param {import("./log.js").Message[]} messages the newest of the session, oldest first
 * @param {{awaiting: boolean, named: boolean, now?: number}} facts awaiting: the session waits for a reply already;
 *   named: messages may say who wrote them
 * @returns {Plan|null} null: there is no question among these messages
 */
export function planAgain(messages, { awaiting, named, now = Date.now() }) {
  const last = messages.findLastIndex(({ role }) => role === "user");
  if (last < 0) return null;
  const question = messages[last];
  const age = question.timestamp ? now - question.timestamp : Infinity;
  // Shortening to where the session ends already changes nothing, so the question must still be waiting.
  const reopens = last + 1 < messages.length || awaiting;
  if (age >= 0 && age < FRESH_MS && reopens) return { keep: question.sequence, messages: [] };
  // With the user's messages directly before it, so that at no moment one of these seems to be waiting.
  let first = last;
  while (first > 0 && messages[first - 1].role === "user") first--;
  return {
    keep: messages[first].sequence - 1,
    messages: messages.slice(first, last + 1).map(({ role, content, author, attributes }) => ({
      id: newKey(),
      role,
      content,
      ...(named && author ? { author } : {}),
      ...(attributes === undefined ? {} : { attributes }),
    })),
  };
}

/**
 * Carry the plan out. Between its two steps the question is nowhere but in the outbox, which survives a reload.
 * @param {string} session
 * @param {string} position the head that the plan was made for
 * @param {Plan} plan
 * @param {import("./outbox.js").Outbox} outbox
 * @throws {import("./api.js").ApiError} nothing was changed
 */
export async function askAgain(session, position, plan, outbox) {
  const key = plan.messages.length > 0 ? outbox.hold(session, plan.messages) : null;
  try {
    await truncateSession(session, plan.keep, position);
  } catch (error) {
    const happened = error.isTransient ? await isShortened(session, position, plan) : false;
    if (happened === null && key !== null) {
      outbox.refuse(key, "The server cannot be reached. Retry if it is not above any more.");
      return;
    }
    if (!happened) {
      if (key !== null) outbox.drop(key);
      throw error;
    }
  }
  if (key !== null) outbox.retry(key);
}

/** Whether a request without an answer was carried out; null: nobody can say. */
async function isShortened(session, position, plan) {
  try {
    const { messages, position: head } = await listMessages(session, { limit: 1 });
    return head !== position && (messages.at(-1)?.sequence ?? 0) === plan.keep;
  } catch {
    return null;
  }
}
