// What a person has typed and not sent, kept through reloads, for each session.

const KEY = "ai-chat:drafts";
const MOST = 50;

/** Read JSON from the browser's storage; what is missing, broken or forbidden is `otherwise`. */
export function recall(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Write JSON to the browser's storage. A full or forbidden storage costs the memory, not the page. */
export function remember(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    console.warn("The browser's storage is full or off: drafts do not survive a reload.");
  }
}

/** Remove from the browser's storage. */
export function forget(key) {
  try {
    localStorage.removeItem(key);
  } catch {
    // What cannot be reached holds nothing of ours.
  }
}

/** @param {string} prefix @returns {string[]} the keys in the browser's storage that start so */
export function remembered(prefix) {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(prefix));
  } catch {
    return [];
  }
}

/** @param {string} name */
export const draftOf = (name) => recall(KEY, {})[name]?.text ?? "";

/** @param {string} name @param {string} text */
export function keepDraft(name, text) {
  const { [name]: _, ...drafts } = recall(KEY, {});
  if (text) drafts[name] = { text, at: Date.now() };
  const newest = Object.entries(drafts)
    .toSorted(([, a], [, b]) => b.at - a.at)
    .slice(0, MOST);
  remember(KEY, Object.fromEntries(newest));
}

/** Forget everything that was typed in this browser and not sent, and the name it was to be sent under. */
export function forgetTyped() {
  for (const key of remembered("ai-chat:")) forget(key);
}
