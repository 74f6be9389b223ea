// Copying to the clipboard, and buttons that say that they did.

import { announce, element, icon } from "./dom.js";

const SAID_MS = 1600;

/** Copy text, also where the page is served without TLS and the clipboard API is missing. */
export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = element("textarea", { class: "visually-hidden", readonly: true, "aria-hidden": "true" });
  field.value = text;
  // Inside an open dialog nothing outside of it can be selected.
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  const focused = /** @type {HTMLElement|null} */ (document.activeElement);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  focused?.focus();
  if (!done) throw new Error("The browser did not allow copying.");
}

/**
 * A button that copies what `text` returns.
 * @param {{label: string, done: string, text: () => string, name: Parameters<typeof icon>[0], caption?: string, class?: string}} options
 *   label: what the button does; done: what to say when it is done; caption: words beside the icon
 */
export function copyButton({ label, done, text, name, caption, class: style = "icon-button" }) {
  let timer = 0;
  const button = element(
    "button",
    { type: "button", class: style, "aria-label": label, title: label, on: { click } },
    icon(name),
    caption && element("span", {}, caption),
  );

  async function click() {
    let said = done;
    try {
      await copyText(text());
    } catch {
      said = "Not copied: the browser did not allow it";
    }
    clearTimeout(timer);
    button.dataset.said = said;
    button.querySelector("svg").replaceWith(icon(said === done ? "check" : "alert"));
    announce(said);
    timer = setTimeout(() => {
      delete button.dataset.said;
      button.querySelector("svg").replaceWith(icon(name));
    }, SAID_MS);
  }

  return button;
}
