// One cell of the contact sheet: a picture with its label, its confidence and its name. Cells are used again for other items.
import { make, money, percent, say, sayError, sayOf } from "../shared/page.js";

let made = 0;

export class Cell {
  /** `look`: {names(), threshold()} of the moment. */
  constructor(look) {
    this.look = look;
    this.image = make("img", { alt: "", decoding: "async", draggable: "false" });
    this.image.addEventListener("load", () => this.image.classList.add("in"));
    this.reason = make("span", { class: "reason" });
    this.tick = make("span", { class: "tick", "aria-hidden": "true" });
    this.frame = make("span", { class: "frame" }, this.image, this.reason, this.tick);
    this.label = make("span", { class: "label" });
    this.confidence = make("span", { class: "confidence" });
    this.name = make("span", { class: "name" });
    this.price = make("span", { class: "price" });
    const caption = make("span", { class: "caption" }, this.label, this.confidence);
    this.element = make("div", { class: "cell", role: "option", id: `cell-${(made += 1)}` });
    this.element.append(this.frame, caption, this.name, this.price);
  }

  place(index, x, y) {
    this.element.dataset.index = index;
    this.element.setAttribute("aria-posinset", index + 1);
    this.element.style.transform = `translate(${x}px, ${y}px)`;
    this.element.hidden = false;
    this.forget();
  }

  /** Put the cell aside. It keeps its picture, because it may be needed for the same item again. */
  park() {
    this.element.hidden = true;
    this.item = undefined;
  }

  /** Let the next `fill` write everything again. */
  forget() {
    this.drawn = null;
  }

  /** Show an item; undefined while it is not loaded. `hurried`: without fetching its picture. */
  fill(item, hurried) {
    this.item = item;
    const path = item?.image?.thumbnail;
    this.showPicture(hurried && path !== this.image.getAttribute("src") ? null : path);
    if (item === this.drawn) return;
    this.drawn = item;
    const doubtful = isDoubtful(item, this.look.threshold());
    this.element.className = `cell ${item?.status ?? "unknown"}${doubtful ? " doubtful" : ""}${item?.review ? " reviewed" : item?.accepted ? " accepted" : ""}`;
    this.showText(item, doubtful);
  }

  showPicture(path) {
    if (this.image.getAttribute("src") === (path ?? null)) return;
    this.image.classList.remove("in");
    if (path) this.image.src = path;
    else this.image.removeAttribute("src");
  }

  showText(item, doubtful) {
    const { names } = this.look;
    const { source, product, error } = item ?? {};
    this.reason.textContent = error ? sayError(error.code, error.detail) : "";
    this.label.textContent = item ? (labelOf(item, names()) ?? sayOf("statuses", item.status)) : "";
    this.confidence.textContent = item?.prediction ? `${doubtful ? "? " : ""}${percent(item.prediction.confidence)}` : "";
    const name = item ? item.custom_id || product?.title || shortName(source.name) : "";
    this.name.textContent = name;
    this.name.title = item ? [source.name, item.custom_id, product?.title].filter(Boolean).join(" · ") : "";
    this.price.textContent = product?.price ? money(product.price, product.currency) : "";
    this.element.setAttribute("aria-label", item ? spoken(item, doubtful, this) : say("loading"));
  }

  mark(current, selected) {
    this.set("aria-current", current);
    this.set("aria-selected", selected);
  }

  /** Tell of how many cells this is one. */
  count(length) {
    this.set("aria-setsize", length);
  }

  /** Write an attribute only if it changes: every write makes the browser compute styles again. */
  set(name, value) {
    if (this.element.getAttribute(name) !== String(value)) this.element.setAttribute(name, value);
  }
}

/** The label under which an item is listed, in words. Undefined if it has none: it is pending or has failed. */
export function labelOf({ prediction, review }, names) {
  if (review) return review.rejected ? say("noLabelFits") : names.label(review.label.id);
  return prediction && names.label(prediction.label.id);
}

/** A prediction is doubtful while its confidence is below the threshold and no person has reviewed it, and no policy accepts it. */
export const isDoubtful = (item, threshold) =>
  Boolean(item?.prediction && !item.review && !item.accepted && item.prediction.confidence < threshold);

/** Characters of a path that fit below a picture. */
const LONGEST_PATH = 22;

/** The path of a file if it is short, else the name of the file alone: its end tells pictures apart. */
const shortName = (path) => (path.length > LONGEST_PATH ? path.split("/").pop() : path);

/** What a screen reader says about a cell. */
function spoken(item, doubtful, { label, confidence, name, reason }) {
  const parts = [label.textContent];
  if (item.prediction) parts.push(confidence.textContent.replace("? ", ""));
  if (doubtful) parts.push(say("doubtfulMark"));
  if (item.review) parts.push(say("reviewedMark"));
  else if (item.accepted) parts.push(say("acceptedMark"));
  if (item.duplicate_of) parts.push(say("duplicateMark"));
  parts.push(reason.textContent, name.textContent);
  return parts.filter(Boolean).join(", ");
}
