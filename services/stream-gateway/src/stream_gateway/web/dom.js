// The one way this page builds elements: text is always text, never markup.

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  again: "M20 12a8 8 0 1 1-2.6-5.9L20 8.5M20 4v4.5h-4.5",
  alert: "M12 8v5m0 3.5v.01M10.3 3.9 2.4 17.6A2 2 0 0 0 4.1 20.6h15.8a2 2 0 0 0 1.7-3L13.7 3.9a2 2 0 0 0-3.4 0Z",
  check: "m4.5 12.5 5 5 10-11",
  chevron: "m6 9 6 6 6-6",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  down: "M12 5v14m-6-6 6 6 6-6",
  hash: "M9 4 7 20M17 4l-2 16M4.5 9h16M3.5 15h16",
  help: "M9.2 9.2a2.9 2.9 0 1 1 4.4 2.5c-1 .6-1.6 1.2-1.6 2.3m0 3.2v.01M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0Z",
  link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7L12 7M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7L12 17",
  menu: "M4 7h16M4 12h16M4 17h16",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  pencil: "M4 20h4L19 9l-4-4L4 16v4ZM13 7l4 4",
  plus: "M12 5v14M5 12h14",
  search: "m20 20-4.5-4.5M17.5 11a6.5 6.5 0 1 1-13 0 6.5 6.5 0 0 1 13 0Z",
  leave: "M14 8V5H5v14h9v-3M10 12h10m-3.5-3.5L20 12l-3.5 3.5",
  send: "M12 20V5m-6.5 6.5L12 5l6.5 6.5",
  stop: "M7 7h10v10H7z",
  terminal: "m5 8 4 4-4 4M12 16h7",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  eraser:
    "M8 20h12M4.6 14.6 14 5.2a1.8 1.8 0 0 1 2.6 0l3 3a1.8 1.8 0 0 1 0 2.6L11 20H8l-3.4-3a1.7 1.7 0 0 1 0-2.4ZM9.5 9.7l5.5 5.5",
};

/**
 * Build an element.
 * @param {string} tag
 * @param {Record<string, unknown>} [properties] `class`, `data` (an object), `on` (listeners), else attributes;
 *   null, undefined and false are left out, true is an empty attribute
 * @param {...(Node|string|null|undefined|false)} children
 * @returns {any}
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    else if (key === "data") Object.assign(node.dataset, value);
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/**
 * A button with words on it.
 * @param {string} style its classes
 * @param {() => void} click
 * @param {...(Node|string)} children
 * @returns {HTMLButtonElement}
 */
export function button(style, click, ...children) {
  return element("button", { type: "button", class: style, on: { click } }, ...children);
}

/**
 * A decorative line icon; what it means must stand beside it as text or `aria-label`.
 * @param {keyof ICONS} name
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button of an icon alone, named for whoever cannot see it and for the pointer that rests on it. */
export function iconButton(name, label, onClick, properties = {}) {
  return element(
    "button",
    { type: "button", class: "icon-button", "aria-label": label, title: label, on: { click: onClick }, ...properties },
    icon(name),
  );
}

/** @param {string} id */
export const byId = (id) => /** @type {any} */ (document.getElementById(id));

/** Say something to a screen reader without moving anything on the page. */
export function announce(text) {
  const region = byId("announcer");
  region.textContent = "";
  // A region that is emptied and filled in one task is not read again when the words are the same.
  setTimeout(() => {
    region.textContent = text;
  }, 50);
}

/** Run `task` before the next paint, or soon where nothing is painted because the page is hidden. */
export function soon(task) {
  if (document.hidden) setTimeout(task, 50);
  else requestAnimationFrame(task);
}
