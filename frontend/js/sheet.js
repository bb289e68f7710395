// The contact sheet: pages of items, fetched as they are scrolled to. It never jumps: a cell keeps its place once it is
// there, and what arrives later fills waiting cells or joins at the end.
import { get, Unreachable } from "./api.js";
import { $, link, make, money, percent, say, sayError, webAddress } from "./page.js";

const PAGE = 100;

/** The server is away: the next scroll, or the next change of the job, asks again. */
function laterAgain(error) {
  if (!(error instanceof Unreachable)) throw error;
}

export class Sheet {
  pageItems = new Map();

  constructor({ job, doubt, names, open }) {
    Object.assign(this, { job, doubt, names, open });
    this.element = $("sheet");
    this.cells = new Map();
    this.generation = 0;
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.element.addEventListener("click", (event) => this.onClick(event));
    const scrolled = (entries) => entries.some((entry) => entry.isIntersecting) && this.more().catch(laterAgain);
    new IntersectionObserver(scrolled, { rootMargin: "800px" }).observe($("end"));
  }

  /** Start anew with another filter or order. */
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
    // A tall window may have room for more at once.
    if ($("end").getBoundingClientRect().top < innerHeight + 800) await this.more();
  }

  /** Look again at the pages that are shown: fill what was waiting, append what is new. */
  async refresh() {
    if (this.busy) return;
    for (const cursor of [...this.pages]) {
      // At the end more may have come, be it an empty page.
      const end = cursor === this.pages.at(-1) && this.next === null;
      if (!end && this.settled(cursor)) continue;
      const page = await this.fetch(cursor);
      if (!page) return;
      this.put(page.data);
      if (end) this.next = page.next_cursor;
    }
    await this.more();
  }

  /** Whether a page of the whole list, in order of arrival, has nothing left to change. */
  settled(cursor) {
    const whole = this.query.sort === "position" && Object.keys(this.query).length === 1;
    return whole && this.pageItems.get(cursor)?.every((id) => this.cells.get(id)?.item.status !== "pending");
  }

  async fetch(cursor) {
    const { generation } = this;
    const query = new URLSearchParams({ ...this.query, limit: PAGE, ...(cursor && { cursor }) });
    const { body } = await get(`/v1/jobs/${this.job}/items?${query}`);
    if (generation !== this.generation) return null;
    this.pageItems.set(cursor, body.data.map((item) => item.id));
    return body;
  }

  put(items) {
    const fresh = document.createDocumentFragment();
    for (const item of items) {
      const cell = this.cells.get(item.id);
      if (!cell) fresh.append(this.add(item));
      else if (cell.item.status !== item.status) this.fill(cell, item);
    }
    this.element.append(fresh);
    const first = this.element.querySelector(".cell");
    if (first && !this.current()) reachable(first, true);
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
    const doubtful = prediction && prediction.confidence < this.doubt;
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

  /** The language changed. */
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

  /** The neighbour's item, for the viewer's arrow keys; the sheet's focus goes along. */
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

  /** The cell that Tab leads to. */
  current() {
    return this.element.querySelector('.cell[tabindex="0"]');
  }

  focus(element) {
    const before = this.current();
    if (before) reachable(before, false);
    reachable(element, true);
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

/** What a page says of a picture's product: its title, leading to its page, and its price. */
function product({ title, price, currency, product_url, page_url }) {
  if (!title && !price) return [];
  const line = make("span", { class: "product" });
  if (title) {
    const leading = link(webAddress(product_url) ?? page_url ?? "", title);
    if (leading.tabIndex === 0) leading.tabIndex = -1;
    line.append(make("span", { class: "title", title }, leading));
  }
  if (price) line.append(make("span", { class: "price" }, money(price, currency)));
  return [line];
}

/** Tab leads to one cell, and to the link below it: not through thousands of them. */
function reachable(element, on) {
  for (const target of [element, element.parentElement.querySelector(".product a")]) if (target) target.tabIndex = on ? 0 : -1;
}
