// The contact sheet: pages of items, fetched when they are scrolled to. It never jumps: a cell keeps its place, new
// predictions fill pending cells, and new items are appended.
import { get, Unreachable } from "../shared/api.js";
import { $, link, make, money, percent, say, sayError, webUrl } from "../shared/page.js";

const PAGE_SIZE = 100;
/** Pixels below the window within which the next page is fetched. */
const PREFETCH = 800;

/** Ignore that the server does not answer: the next scroll or the next change of the job asks again. */
function ignoreUnreachable(error) {
  if (!(error instanceof Unreachable)) throw error;
}

export class Sheet {
  /** Cursor of a page -> ids of its items. */
  pageItems = new Map();

  /** `names()` gives the names of labels; `open(item, step)` shows an item large. */
  constructor({ job, doubtfulBelow, names, open }) {
    Object.assign(this, { job, doubtfulBelow, names, open });
    this.element = $("sheet");
    this.cells = new Map();
    this.generation = 0;
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.element.addEventListener("click", (event) => this.onClick(event));
    const scrolled = (entries) => entries.some((entry) => entry.isIntersecting) && this.more().catch(ignoreUnreachable);
    new IntersectionObserver(scrolled, { rootMargin: `${PREFETCH}px` }).observe($("end"));
  }

  /** Empty the sheet and fill it with another filter or order. */
  async show(query) {
    this.query = query;
    this.generation += 1;
    this.pages = [];
    this.next = "";
    this.busy = false;
    this.cells.clear();
    this.element.replaceChildren();
    await this.more();
  }

  async more() {
    if (this.busy || this.next === null || this.next === undefined) return;
    this.busy = true;
    const cursor = this.next;
    const { generation } = this;
    try {
      const page = await this.fetch(cursor);
      if (!page) return;
      this.pages.push(cursor);
      this.next = page.next_cursor;
      this.put(page.data);
    } finally {
      if (generation === this.generation) this.busy = false;
    }
    // A tall window may have room for another page.
    if ($("end").getBoundingClientRect().top < innerHeight + PREFETCH) await this.more();
  }

  /** Fetch the pages that are shown again: fill pending cells and append new items. */
  async refresh() {
    if (this.busy) return;
    for (const cursor of [...this.pages]) {
      // The last page may have grown, even if it was empty.
      const last = cursor === this.pages.at(-1) && this.next === null;
      if (!last && this.isFinal(cursor)) continue;
      const page = await this.fetch(cursor);
      if (!page) return;
      this.put(page.data);
      if (last) this.next = page.next_cursor;
    }
    await this.more();
  }

  /** Whether a page cannot change any more: the list is unfiltered, in original order, and no item of it is pending. */
  isFinal(cursor) {
    const unfiltered = this.query.sort === "position" && Object.keys(this.query).length === 1;
    return unfiltered && this.pageItems.get(cursor)?.every((id) => this.cells.get(id)?.item.status !== "pending");
  }

  async fetch(cursor) {
    const { generation } = this;
    const query = new URLSearchParams({ ...this.query, limit: PAGE_SIZE, ...(cursor && { cursor }) });
    const { body } = await get(`/v1/jobs/${this.job}/items?${query}`);
    if (generation !== this.generation) return null;
    this.pageItems.set(cursor, body.data.map((item) => item.id));
    return body;
  }

  put(items) {
    const added = document.createDocumentFragment();
    for (const item of items) {
      const cell = this.cells.get(item.id);
      if (!cell) added.append(this.add(item));
      else if (cell.item.status !== item.status) this.fill(cell, item);
    }
    this.element.append(added);
    const first = this.element.querySelector(".cell");
    if (first && !this.current()) setTabbable(first, true);
    $("end").textContent = this.cells.size ? "" : say("nothing");
  }

  add(item) {
    const element = make("button", { type: "button", tabindex: "-1", "data-id": item.id });
    const cell = { element, item };
    this.cells.set(item.id, cell);
    this.fill(cell, item);
    return make("div", { class: "slot" }, element, ...product(item.source));
  }

  fill(cell, item) {
    cell.item = item;
    const { prediction, error } = item;
    const doubtful = prediction && prediction.confidence < this.doubtfulBelow;
    cell.element.className = `cell ${item.status}${doubtful ? " doubtful" : ""}`;
    const frame = make("span", { class: "frame" });
    const caption = make("span", { class: "caption" }, make("span"), make("span"));
    if (prediction) {
      const image = make("img", { src: item.image.thumbnail, alt: "", loading: "lazy", decoding: "async" });
      image.addEventListener("load", () => image.classList.add("in"), { once: true });
      frame.append(image);
    }
    if (error) frame.append(make("span"));
    cell.element.replaceChildren(frame, caption);
    this.label(cell);
  }

  label({ element, item }) {
    const [left, right] = element.querySelectorAll(".caption span");
    const { prediction, error, source } = item;
    element.title = source.name;
    left.textContent = prediction ? this.names().label(prediction.label.id) : source.name;
    right.textContent = prediction ? percent(prediction.confidence) : "";
    if (error) element.querySelector(".frame span").textContent = sayError(error.code, error.detail);
  }

  /** Write all captions again, after the language has changed. */
  relabel() {
    for (const cell of this.cells.values()) {
      this.label(cell);
      const price = cell.element.parentElement.querySelector(".price");
      if (price) price.textContent = money(cell.item.source.price, cell.item.source.currency);
    }
  }

  onClick(event) {
    const element = event.target.closest(".cell");
    if (element) this.openCell(element);
  }

  openCell(element) {
    const { item } = this.cells.get(element.dataset.id);
    if (item.status === "pending") return;
    this.focus(element);
    this.open(item, (step) => this.step(step));
  }

  /** Focus the next or previous item that is not pending, and return it; null at the ends. The viewer's arrow keys use it. */
  step(step) {
    let slot = this.current()?.parentElement;
    let item;
    do {
      slot = step > 0 ? slot?.nextElementSibling : slot?.previousElementSibling;
      item = slot && this.cells.get(slot.firstElementChild.dataset.id).item;
    } while (item?.status === "pending");
    if (!item) return null;
    this.focus(slot.firstElementChild);
    return item;
  }

  /** The one cell that the Tab key reaches. */
  current() {
    return this.element.querySelector('.cell[tabindex="0"]');
  }

  focus(element) {
    const before = this.current();
    if (before) setTabbable(before, false);
    setTabbable(element, true);
    element.focus();
  }

  onKey(event) {
    const columns = getComputedStyle(this.element).gridTemplateColumns.split(" ").length;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const all = [...this.element.children];
    const target = all[all.indexOf(event.target.closest(".slot")) + steps[event.key]];
    if (!(event.key in steps) || !target) return;
    event.preventDefault();
    this.focus(target.firstElementChild);
  }
}

/** The line below a picture with its product's title, linked to the product's page, and price. Empty without both. */
function product({ title, price, currency, product_url, page_url }) {
  if (!title && !price) return [];
  const line = make("span", { class: "product" });
  if (title) {
    const titleLink = link(webUrl(product_url) ?? page_url ?? "", title);
    if (titleLink.tabIndex === 0) titleLink.tabIndex = -1;
    line.append(make("span", { class: "title", title }, titleLink));
  }
  if (price) line.append(make("span", { class: "price" }, money(price, currency)));
  return [line];
}

/** Let the Tab key reach a cell and the link below it, or not. One cell at a time is enough: a sheet has thousands. */
function setTabbable(element, on) {
  for (const target of [element, element.parentElement.querySelector(".product a")]) if (target) target.tabIndex = on ? 0 : -1;
}
