// A model card (Markdown) as elements. No HTML of a card is parsed: markdown-it only reads the card, and this module makes
// elements of its tokens. Only links to the web are links, and pictures are left out.
import markdownIt from "../../vendor/markdown-it/markdown-it.esm.min.js";
import { link, make } from "../shared/page.js";

/** Headings of a card are below the page's own headings. */
const DEEPER = { h1: "h3", h2: "h3", h3: "h4", h4: "h5", h5: "h5", h6: "h5" };
const markdown = markdownIt({ html: false, linkify: false }).disable("image");

/** The elements of a card. A heading that only repeats `title` is left out. */
export function renderCard(text, title) {
  const tokens = markdown.parse(text, {});
  if (tokens[0]?.type === "heading_open" && tokens[1].content === title) tokens.splice(0, 3);
  return render(tokens);
}

function render(tokens) {
  const root = make("div");
  const open = [root];
  for (const [index, token] of tokens.entries()) {
    if (token.hidden) continue;
    if (token.nesting === 1) {
      const element = elementOf(token, tokens[index + 1]);
      open.at(-1).append(element);
      open.push(element);
    } else if (token.nesting === -1) {
      open.pop();
    } else {
      open.at(-1).append(...leavesOf(token));
    }
  }
  return [...root.childNodes];
}

function elementOf(token, content) {
  // A heading without text would be a riddle in a screen reader.
  if (token.tag === "th" && !content.content) return make("td");
  if (token.type !== "link_open") return make(DEEPER[token.tag] ?? token.tag);
  const made = link(token.attrGet("href"), "");
  return typeof made === "string" ? make("span") : made;
}

function leavesOf(token) {
  switch (token.type) {
    case "inline":
      return render(token.children);
    case "code_block":
    case "fence":
      return [make("pre", { tabindex: "0" }, make("code", {}, token.content))];
    case "code_inline":
      return [make("code", {}, token.content)];
    case "softbreak":
      return ["\n"];
    case "hardbreak":
      return [make("br")];
    case "hr":
      return [make("hr")];
    default:
      return [token.content];
  }
}
