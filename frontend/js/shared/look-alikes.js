// Pictures that look alike, as a strip: each with its label and its similarity, and a link to it.
import { make, say } from "./page.js";

/** The page on which an item opens. */
const pageOf = ({ job_id, id, position }) => `/jobs/${encodeURIComponent(job_id)}?${new URLSearchParams({ item: id, index: position })}`;

/**
 * List items for the rows of an answer. `names`: the names of labels; `onOpen(item)` may open one in this page, and then
 * returns true.
 */
export function lookAlikes(rows, names, onOpen = () => false) {
  return rows.map(({ item, similarity, relation }) => {
    const label = item.label ? names.label(item.label.id) : say("noLabelFits");
    const picture = make("img", { src: item.image.thumbnail, alt: item.source.alt || item.source.name, loading: "lazy" });
    const caption = make("span", { class: "caption" }, make("span", { class: "label" }, label), make("span", { class: "muted" }, similarity.toFixed(2)));
    const parts = [picture, caption];
    if (relation) parts.push(make("span", { class: "relation" }, say(relation === "variant" ? "otherColour" : "sameProduct")));
    const anchor = make("a", { href: pageOf(item), title: item.source.name, "data-item": item.id }, ...parts);
    anchor.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      if (onOpen(item)) event.preventDefault();
    });
    return make("li", {}, anchor);
  });
}
