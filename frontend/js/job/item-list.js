// The items of a job under a filter and an order, by index. Pages are fetched when they are looked at, wherever they are.
// In the plain list (all items, in their order) the index is the position. For other lists, the server's marks say with
// which cursor each page begins.
import { get, Unreachable } from "../shared/api.js";

export const PAGE_SIZE = 100;
/** Pages that are kept in memory. Those that were looked at longest ago are dropped. */
const KEPT_PAGES = 60;

export class ItemList {
  /** `onChange()` is called when the length or an item has changed. */
  constructor(job, onChange) {
    this.path = `/v1/jobs/${encodeURIComponent(job)}`;
    this.onChange = onChange;
    this.clear({});
  }

  clear(query) {
    this.aborter?.abort();
    this.aborter = new AbortController();
    this.query = query;
    this.total = 0;
    this.cursors = null;
    /** Page number -> items, least recently used first. */
    this.pages = new Map();
    /** Page number -> promise of the request that runs. */
    this.loading = new Map();
    /** Item id -> what this page changed itself since the item was fetched. */
    this.changes = new Map();
  }

  /**
   * Show another filter or order. Resolves when the first page and the length are known. `total`: the number of items of
   * the job, which is the length of a plain list.
   */
  async show(query, total) {
    this.clear(query);
    if (this.isPlain) {
      this.grow(total);
      await this.loadPage(0);
    } else {
      await Promise.all([this.loadPage(0), this.readMarks()]);
    }
  }

  /** A plain list has grown at its end. */
  grow(total) {
    if (total === this.total) return;
    this.total = total;
    this.onChange();
  }

  /** Read the length, and the cursor of each page. */
  async readMarks() {
    const { signal } = this.aborter;
    const query = new URLSearchParams({ ...this.query, every: PAGE_SIZE });
    await whileCurrent(signal, async () => {
      const { body } = await get(`${this.path}/marks?${query}`, { signal });
      const grown = body.total !== this.total;
      this.total = body.total;
      this.cursors = body.cursors;
      if (grown) this.onChange();
    });
  }

  /** The item at an index; undefined while it is not loaded. */
  at(index) {
    const number = Math.floor(index / PAGE_SIZE);
    const page = this.pages.get(number);
    if (!page) return undefined;
    this.pages.delete(number);
    this.pages.set(number, page);
    return page[index % PAGE_SIZE];
  }

  /** The item at an index, fetched if necessary. Undefined beyond the end, or if the server does not answer. */
  async fetched(index) {
    if (index < 0 || index >= this.total) return undefined;
    if (!this.at(index)) await this.loadPage(Math.floor(index / PAGE_SIZE));
    return this.at(index);
  }

  /** The index of an item among the loaded pages, or -1. */
  indexOf(id) {
    for (const [number, page] of this.pages) {
      const found = page.findIndex((item) => item.id === id);
      if (found >= 0) return number * PAGE_SIZE + found;
    }
    return -1;
  }

  /** A loaded item by its id. */
  find(id) {
    const index = this.indexOf(id);
    return index < 0 ? undefined : this.at(index);
  }

  /** Fetch the pages of the items from `first` to `last` that are not loaded yet. */
  async load(first, last) {
    const numbers = [];
    const end = Math.floor(Math.min(last, this.total - 1) / PAGE_SIZE);
    for (let number = Math.floor(Math.max(0, first) / PAGE_SIZE); number <= end; number += 1) {
      if (!this.pages.has(number)) numbers.push(number);
    }
    await Promise.all(numbers.map((number) => this.loadPage(number)));
  }

  /** Fetch a page again, or for the first time. Whoever asks while it is on its way waits for the same request. */
  loadPage(number) {
    // Another list gets another map, so that the end of an old request does not touch it.
    const { loading } = this;
    if (!loading.has(number)) loading.set(number, this.requestPage(number).finally(() => loading.delete(number)));
    return loading.get(number);
  }

  async requestPage(number) {
    const start = this.startOf(number);
    if (!start) return;
    const { signal } = this.aborter;
    const query = new URLSearchParams({ ...this.query, limit: PAGE_SIZE, ...start });
    await whileCurrent(signal, async () => {
      const { body } = await get(`${this.path}/items?${query}`, { signal });
      this.put(number, body.data);
    });
  }

  /** How the API is asked for a page: nothing for the first one. Null while it is not known where the page begins. */
  startOf(number) {
    if (!number) return {};
    if (this.isPlain) return { after: number * PAGE_SIZE - 1 };
    const cursor = this.cursors?.[number];
    return cursor ? { cursor } : null;
  }

  put(number, items) {
    this.pages.delete(number);
    this.pages.set(number, items.map((item) => ({ ...item, ...this.changes.get(item.id) })));
    for (const old of this.pages.keys()) {
      if (this.pages.size <= KEPT_PAGES) break;
      this.pages.delete(old);
    }
    this.total = Math.max(this.total, number * PAGE_SIZE + items.length);
    this.onChange();
  }

  /** Put items that the poll brought in their places. Only for the plain list. */
  update(items) {
    for (const item of items) {
      const page = this.pages.get(Math.floor(item.position / PAGE_SIZE));
      if (page) page[item.position % PAGE_SIZE] = { ...item, ...this.changes.get(item.id) };
    }
    this.onChange();
  }

  /** Note a change that this page made itself, such as a review, without moving the item. */
  change(id, members) {
    this.changes.set(id, { ...this.changes.get(id), ...members });
    const index = this.indexOf(id);
    if (index >= 0) Object.assign(this.at(index), members);
  }

  /** Whether index and position are the same: no filter, in the original order. A plain list only grows at its end. */
  get isPlain() {
    return Object.keys(this.query).every((name) => name === "sort") && this.query.sort === "position";
  }
}

/** Do `work` unless another list is shown meanwhile. If the server does not answer, the next look asks again. */
async function whileCurrent(signal, work) {
  try {
    await work();
  } catch (error) {
    if (!signal.aborted && !(error instanceof Unreachable)) throw error;
  }
}
