// A position is `<epoch>.<sequence>`; an epoch that sorts later is a newer log of the same session.

/**
 * @typedef {{epoch: string, sequence: number}} Position
 * @param {string|null|undefined} text
 * @returns {Position|null} null for what is empty or no position at all
 */
export function parsePosition(text) {
  const dot = text ? text.lastIndexOf(".") : -1;
  if (dot < 1) return null;
  const sequence = Number(text.slice(dot + 1));
  return Number.isSafeInteger(sequence) && sequence >= 0 ? { epoch: text.slice(0, dot), sequence } : null;
}

/** Base 36 of different lengths: the longer is the later, then as text. */
export function compareEpochs(a, b) {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Whether `position` is at or below `head`: already contained in what was read at `head`. */
export function isAtOrBelow(position, head) {
  const order = compareEpochs(position.epoch, head.epoch);
  return order < 0 || (order === 0 && position.sequence <= head.sequence);
}
