// Times as people say them; a <time> that carries data-relative is kept fresh by one timer.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const dayMonth = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const fullDay = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const otherYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "long" });
const relativeDay = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

const midnight = (ms) => new Date(ms).setHours(0, 0, 0, 0);
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** For the narrow column of the list: now, 5m, 3h, Tue, 12 Nov. */
export function brief(ms, now = Date.now()) {
  const age = Math.max(0, now - ms);
  if (age < MINUTE) return "now";
  if (age < HOUR) return `${Math.floor(age / MINUTE)}m`;
  if (age < DAY) return `${Math.floor(age / HOUR)}h`;
  if (age < 6 * DAY) return weekday.format(ms);
  return (new Date(ms).getFullYear() === new Date(now).getFullYear() ? dayMonth : otherYear).format(ms);
}

/** For a message: relative within the hour, then the clock; the day stands above. */
export function spoken(ms, now = Date.now()) {
  const age = Math.max(0, now - ms);
  if (age < MINUTE) return "just now";
  if (age < HOUR) return relative.format(-Math.floor(age / MINUTE), "minute");
  return clock.format(ms);
}

/** The day of a message: Today, Yesterday, Tuesday 3 November. */
export function day(ms, now = Date.now()) {
  const days = Math.round((midnight(now) - midnight(ms)) / DAY);
  if (days <= 0) return capital(relativeDay.format(0, "day"));
  if (days === 1) return capital(relativeDay.format(-1, "day"));
  return (new Date(ms).getFullYear() === new Date(now).getFullYear() ? fullDay : otherYear).format(ms);
}

/** How long from now: "in 3 days". */
export function until(ms, now = Date.now()) {
  const left = Math.max(0, ms - now);
  if (left < 2 * MINUTE) return relative.format(Math.round(left / 1000), "second");
  if (left < 2 * HOUR) return relative.format(Math.round(left / MINUTE), "minute");
  if (left < 2 * DAY) return relative.format(Math.round(left / HOUR), "hour");
  return relative.format(Math.round(left / DAY), "day");
}

const STYLES = { brief, spoken, until };

/**
 * Show a moment in a <time>: its style's words, the exact time when pointed at.
 * @param {HTMLTimeElement} node
 * @param {number} ms
 * @param {"brief"|"spoken"|"until"} style
 */
export function showTime(node, ms, style) {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return;
  node.dateTime = date.toISOString();
  node.title = absolute.format(date);
  node.dataset.relative = style;
  node.textContent = STYLES[style](ms);
}

/** Keep every such <time> on the page fresh. */
export function keepTimesFresh() {
  setInterval(() => {
    if (document.hidden) return;
    const now = Date.now();
    for (const node of document.querySelectorAll("time[data-relative]")) {
      const text = STYLES[node.dataset.relative](Date.parse(node.dateTime), now);
      if (node.textContent !== text) node.textContent = text;
    }
  }, 20_000);
}
