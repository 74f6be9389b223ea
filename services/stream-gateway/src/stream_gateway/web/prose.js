// The body of a message: Markdown with what a reader needs around code and tables.

import { copyButton } from "./copy.js";
import { button, element } from "./dom.js";
import { renderMarkdown } from "./markdown.js";

const RENDER_MOST = 120_000; // Characters; a longer text is shown in part until somebody asks for all.
const EXCERPT = 20_000;

/** Put a frame around code (its language, a button that copies) and let wide tables scroll. */
export function furnish(root) {
  for (const pre of root.querySelectorAll("pre")) {
    if (pre.parentElement?.classList.contains("code-block")) continue;
    const code = pre.querySelector("code");
    const language = /language-([\w+#.-]+)/.exec(code?.className ?? "")?.[1] ?? "";
    const frame = element("div", { class: "code-block" });
    pre.replaceWith(frame);
    pre.tabIndex = 0;
    pre.setAttribute("role", "group"); // Not region: a page of landmarks named Code is no map.
    pre.setAttribute("aria-label", language ? `Code, ${language}` : "Code");
    const copy = copyButton({
      name: "copy",
      label: "Copy code",
      done: "Copied",
      class: "icon-button small",
      text: () => (code ?? pre).textContent.replace(/\n$/, ""),
    });
    frame.append(element("div", { class: "code-head" }, element("span", {}, language), copy), pre);
  }
  for (const table of root.querySelectorAll("table")) {
    if (table.parentElement?.classList.contains("table-frame")) continue;
    const frame = element("div", { class: "table-frame", tabindex: 0, role: "group", "aria-label": "Table" });
    table.replaceWith(frame);
    frame.append(table);
  }
}

/** @param {string} text */
export function prose(text) {
  const body = element("div", { class: "prose" });
  if (text.length <= RENDER_MOST) {
    body.append(renderMarkdown(text));
    furnish(body);
    return body;
  }
  const size = `${Math.round(text.length / 1000)} thousand characters`;
  const all = button("button", showAll, `Show all (${size})`);
  body.append(element("pre", { class: "raw" }, text.slice(0, EXCERPT), "…"), all);
  function showAll() {
    // As it was written: the Markdown of a text this long would hold up the page for seconds.
    body.replaceChildren(element("pre", { class: "raw", tabindex: -1 }, text));
    body.firstElementChild.focus();
  }
  return body;
}
