// The products of a job: a card each, with the verdict of its photos. Pages of cards are fetched when they are scrolled to.
import { get, Unreachable } from "../shared/api.js";
import { $, make, number, onLanguage, say, sayFailure, sayOf } from "../shared/page.js";
import { pushState, readState } from "../shared/url-state.js";
import { productCard } from "./product-card.js";

const PAGE_SIZE = 60;
/** Pixels below the window within which the next page is fetched. */
const PREFETCH = 800;
/** Confidence below which a verdict is called doubtful. */
const DOUBTFUL = "0.6";
/** Member of the page's URL -> filter of the API. The items have filters of the same names. */
const FILTERS = { verdict: "label", contradicts: "contradicts", apart: "set_apart", unsure: "max_confidence" };

export class Products {
  /** `look`: {names} of the moment; `show()` is called when the URL asks for another view. */
  constructor(job, look, show) {
    Object.assign(this, { look, show, path: `/v1/jobs/${encodeURIComponent(job)}/products`, generation: 0 });
    for (const link of $("show-as").children) link.addEventListener("click", (event) => this.choose(event, link));
    for (const button of $("product-filters").querySelectorAll("[data-filter]")) {
      button.addEventListener("click", () => this.press(button.dataset.filter));
    }
    $("product-verdict").addEventListener("change", () => this.set({ verdict: $("product-verdict").value }));
    $("products").addEventListener("click", (event) => this.openPhoto(event));
    new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.more(), {
      rootMargin: `${PREFETCH}px`,
    }).observe($("products-end"));
    onLanguage(() => this.job && this.relabel());
  }

  /** Whether the products are shown instead of the pictures. */
  get isShown() {
    return Boolean(this.job?.products) && readState().view === "products";
  }

  /** The filters in the page's URL, for the API. */
  get query() {
    const state = readState();
    return Object.fromEntries(Object.entries(FILTERS).filter(([name]) => state[name]).map(([name, filter]) => [filter, state[name]]));
  }

  /** Show the view that the URL asks for. Returns whether it is this one. */
  draw(job) {
    this.job = job;
    const { isShown } = this;
    $("show-as").hidden = !job.products;
    $("show-as").children[1].hidden = !job.products;
    $("items-view").hidden = isShown;
    $("products-view").hidden = !isShown;
    const [pictures, products] = $("show-as").children;
    pictures.textContent = say("eachPicture", { count: number(job.counts.total) });
    products.textContent = say("byProduct", { count: number(job.products) });
    pictures.setAttribute("aria-current", String(!isShown));
    products.setAttribute("aria-current", String(isShown));
    if (isShown) this.drawFilters();
    return isShown;
  }

  choose(event, link) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.set({ view: link.dataset.view || null });
  }

  press(name) {
    const none = Object.fromEntries(Object.keys(FILTERS).map((filter) => [filter, null]));
    const values = { contradicts: "true", apart: "true", unsure: DOUBTFUL };
    this.set(name === "all" ? none : { [name]: readState()[name] ? null : values[name] });
  }

  set(changes) {
    pushState({ ...changes, item: null, index: null, at: null });
    this.show();
  }

  /** A photo leads to the pictures of its product, with this one open. */
  openPhoto(event) {
    const link = event.target.closest("a[data-item]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState(null, "", link.href);
    this.show();
  }

  drawFilters() {
    const state = readState();
    for (const button of $("product-filters").querySelectorAll("[data-filter]")) {
      const { filter } = button.dataset;
      button.textContent = sayOf("productFilters", filter);
      button.setAttribute("aria-pressed", String(filter === "all" ? !Object.keys(this.query).length : Boolean(state[filter])));
    }
    const options = this.look.names().labels.map(({ id }) => make("option", { value: id }, this.look.names().label(id)));
    $("product-verdict").replaceChildren(make("option", { value: "" }, say("anyVerdict")), ...options);
    $("product-verdict").value = state.verdict ?? "";
  }

  /** Empty the list and fill it with the filter of the URL. */
  async load() {
    this.generation += 1;
    Object.assign(this, { pages: [], next: "", busy: false });
    $("products").replaceChildren();
    $("products-end").textContent = "";
    await this.more();
  }

  async more() {
    if (this.busy || !this.isShown || this.next === null || this.next === undefined) return;
    const page = { cursor: this.next, list: make("ul", { class: "products" }) };
    await this.exclusively(async () => {
      if (!(await this.fill(page))) return;
      $("products").append(page.list);
      this.pages.push(page);
      this.next = page.next;
      $("products-end").textContent = page.rows.length || this.pages.length > 1 ? "" : say("noProducts");
    });
    if (this.isShown && $("products-end").getBoundingClientRect().top < innerHeight + PREFETCH) await this.more();
  }

  /** Fetch the cards in the window again while the job runs. A card that has the focus stays as it is. */
  async refresh() {
    if (this.busy || !this.pages) return;
    const shown = this.pages.filter(({ list }) => isVisible(list) && !list.contains(document.activeElement));
    await this.exclusively(async () => {
      for (const page of shown) await this.fill(page);
      if (this.next === null) this.next = this.pages.at(-1)?.next;
    });
    await this.more();
  }

  /** Load one thing at a time. If the server does not answer, the next scroll or change tries again. */
  async exclusively(load) {
    this.busy = true;
    const { generation } = this;
    try {
      await load();
    } catch (error) {
      if (error instanceof Unreachable) return;
      $("products-end").textContent = sayFailure(error);
      this.next = null;
    } finally {
      if (generation === this.generation) this.busy = false;
    }
  }

  /** Fetch the cards of a page. Resolves to false if another filter was chosen meanwhile. */
  async fill(page) {
    const { generation } = this;
    const query = { limit: PAGE_SIZE, ...this.query, ...(page.cursor && { cursor: page.cursor }) };
    const { body } = await get(`${this.path}?${new URLSearchParams(query)}`);
    if (generation !== this.generation) return false;
    const changed = JSON.stringify(body.data) !== JSON.stringify(page.rows);
    Object.assign(page, { rows: body.data, next: body.next_cursor });
    if (changed) this.write(page);
    return true;
  }

  write({ list, rows }) {
    list.replaceChildren(...rows.map((row) => productCard(row, this.look.names())));
  }

  relabel() {
    this.draw(this.job);
    for (const page of this.pages ?? []) this.write(page);
    if (this.pages?.length === 1 && !this.pages[0].rows.length) $("products-end").textContent = say("noProducts");
  }
}

function isVisible(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}
