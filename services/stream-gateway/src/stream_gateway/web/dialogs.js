// Questions that wait for an answer, in the browser's own modal dialogs.

import { button, element, iconButton } from "./dom.js";

function open(title, body, { class: style = "" } = {}) {
  const dialog = element(
    "dialog",
    { class: `dialog ${style}`, "aria-label": title },
    element(
      "div",
      { class: "dialog-head" },
      element("h2", {}, title),
      iconButton("close", "Close", () => dialog.close()),
    ),
    body,
  );
  dialog.addEventListener("close", () => dialog.remove());
  // A press on the backdrop, but not one that merely ends there, closes it.
  dialog.addEventListener("mousedown", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Ask for something; `submit` does it, and what it throws is shown while the dialog stays.
 * @param {{title: string, text?: string|Node, action: string, danger?: boolean,
 *   fields?: {name: string, label: string, hint?: string, value?: string, properties?: object}[],
 *   submit: (values: Record<string, string>) => Promise<void>}} question
 */
export function ask({ title, text, action, danger = false, fields = [], submit }) {
  const problem = element("p", { class: "dialog-problem", role: "alert" });
  const send = element("button", { type: "submit", class: danger ? "button danger" : "button primary" }, action);
  const cancel = button("button", () => dialog.close(), "Cancel");
  const form = element(
    "form",
    { class: "dialog-body", novalidate: true },
    text && element("p", {}, text),
    ...fields.map(({ name, label, hint, value = "", properties = {} }) => {
      const input = element("input", {
        name,
        id: `field-${name}`,
        autocomplete: "off",
        "aria-describedby": hint ? `hint-${name}` : null,
        ...properties,
      });
      input.value = value;
      return element(
        "div",
        { class: "field" },
        element("label", { for: `field-${name}` }, label),
        input,
        hint && element("p", { class: "hint", id: `hint-${name}` }, hint),
      );
    }),
    problem,
    element("div", { class: "dialog-actions" }, cancel, send),
  );
  const dialog = open(title, form);
  (form.querySelector("input") ?? (danger ? cancel : send)).focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (send.disabled) return;
    send.disabled = true;
    problem.textContent = "";
    try {
      await submit(Object.fromEntries([...new FormData(form)].map(([key, value]) => [key, String(value)])));
      dialog.close();
    } catch (error) {
      problem.textContent = error.message;
    } finally {
      send.disabled = false;
    }
  });
}

const SHORTCUTS = [
  [["Ctrl", "K"], "Search the sessions"],
  [["Alt", "↑"], "The session above"],
  [["Alt", "↓"], "The session below"],
  [["↑", "↓"], "Move through the list, Enter opens"],
  [["Enter"], "Send the message"],
  [["Shift", "Enter"], "A new line in the message"],
  [["Esc"], "Leave the search, close what is open"],
  [["Ctrl", "/"], "This help"],
];

/** Which keys do what. */
export function showHelp() {
  if (document.querySelector("dialog.help")) return;
  open(
    "Keyboard",
    element(
      "dl",
      { class: "dialog-body shortcuts" },
      ...SHORTCUTS.flatMap(([keys, words]) => [
        element("dt", {}, ...keys.map((key) => element("kbd", {}, key))),
        element("dd", {}, words),
      ]),
    ),
    { class: "help" },
  );
}
