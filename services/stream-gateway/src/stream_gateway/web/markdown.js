// Markdown to nodes. What people and models write is hostile until shown otherwise: markdown-it makes the markup with raw
// HTML off, and DOMPurify lets through only what is listed here.

import MarkdownIt from "./vendor/markdown-it-15.0.3/markdown-it.esm.min.mjs";
import DOMPurify from "./vendor/dompurify-3.4.18/purify.es.mjs";
import hljs from "./vendor/highlightjs-cdn-assets-11.12.0/highlight.min.js";

const HIGHLIGHT_MOST = 20_000; // Characters; colouring more would hold up the page.
const WEB_LINK = /^(https?:\/\/|mailto:)/i;
const INLINE_IMAGE = /^data:image\/(png|gif|jpeg|webp);/i;

const SAFE = {
  ALLOWED_TAGS: [
    "a",
    "blockquote",
    "br",
    "code",
    "del",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "span",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
  ],
  ALLOWED_ATTR: ["alt", "class", "href", "src", "start", "title"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

function build(highlight) {
  const markdown = new MarkdownIt({ html: false, linkify: true, highlight });
  const { rules } = markdown.renderer;
  // The policy of the page forbids style attributes, so the alignment of a column is a class.
  for (const cell of ["th_open", "td_open"]) {
    rules[cell] = (tokens, index, options, _env, renderer) => {
      const align = /text-align:(left|center|right)/.exec(tokens[index].attrGet("style") ?? "");
      tokens[index].attrs = align ? [["class", `align-${align[1]}`]] : null;
      return renderer.renderToken(tokens, index, options);
    };
  }
  // The page's own headings are h1 and h2; what a message brings goes on from there without skipping a level.
  rules.heading_open = (tokens, index, _options, env) => {
    const written = Number(tokens[index].tag.slice(1));
    env.level = Math.min(written + 2, (env.level ?? 2) + 1, 6);
    return `<h${env.level} class="level-${written}">`;
  };
  rules.heading_close = (_tokens, _index, _options, env) => `</h${env.level}>\n`;
  // An image from another host would tell that host who reads what: it is a link instead.
  rules.image = (tokens, index, options, env, renderer) => {
    const token = tokens[index];
    const source = token.attrGet("src") ?? "";
    const { escapeHtml } = markdown.utils;
    const label = renderer.renderInlineAsText(token.children ?? [], options, env);
    if (INLINE_IMAGE.test(source)) return `<img src="${escapeHtml(source)}" alt="${escapeHtml(label)}">`;
    return `<a href="${escapeHtml(source)}" class="image-link">${escapeHtml(label || source)}</a>`;
  };
  return markdown;
}

function colour(code, language) {
  if (code.length > HIGHLIGHT_MOST || !hljs.getLanguage(language)) return "";
  return hljs.highlight(code, { language, ignoreIllegals: true }).value;
}

const coloured = build(colour);
const plain = build(null);

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.nodeName !== "A") return;
  const href = node.getAttribute("href") ?? "";
  if (WEB_LINK.test(href)) {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer nofollow");
    return;
  }
  // A path in somebody's project is no place on this page.
  node.removeAttribute("href");
  if (href) node.setAttribute("title", href);
});

/** @returns {DocumentFragment} */
const clean = (html) => /** @type {any} */ (DOMPurify.sanitize(html, SAFE));

/** @param {string} text */
export function renderMarkdown(text) {
  return clean(coloured.render(text));
}

/**
 * Renders a text that grows. Blocks that can no longer change stay in the page as they are; only the last is made again.
 */
export class GrowingMarkdown {
  #tail = "";
  /** What later blocks know of earlier ones: link references, the level of the last heading. */
  #env = { references: {} };
  #open;

  /** @param {HTMLElement} target */
  constructor(target) {
    this.#open = document.createElement("div");
    this.#open.className = "open-block";
    target.append(this.#open);
  }

  /** @param {string} text what came since the last call */
  append(text) {
    this.#tail += text;
    const settled = this.#lastBlock();
    if (settled > 0) {
      this.#open.before(clean(coloured.render(this.#tail.slice(0, settled), this.#env)));
      this.#tail = this.#tail.slice(settled);
    }
    this.#open.replaceChildren(clean(plain.render(this.#tail, { ...this.#env })));
  }

  /** Where the last block starts; 0 while its first line is not whole, for half a line may yet continue the block before. */
  #lastBlock() {
    const blocks = plain
      .parse(this.#tail, { ...this.#env })
      .filter((token) => token.level === 0 && token.map && token.nesting >= 0);
    const line = blocks.length > 1 ? blocks.at(-1).map[0] : 0;
    let start = 0;
    for (let count = 0; count < line; count++) start = this.#tail.indexOf("\n", start) + 1;
    return this.#tail.indexOf("\n", start) < 0 ? 0 : start;
  }
}
