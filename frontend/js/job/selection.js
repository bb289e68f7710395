// The selected items, by id. A range begins at the anchor: the cell that was current before Shift was pressed.

export class Selection {
  /** `list`: an ItemList. `onChange()` is called after every change. */
  constructor(list, onChange) {
    this.list = list;
    this.onChange = onChange;
    this.ids = new Set();
    this.anchor = null;
  }

  get size() {
    return this.ids.size;
  }

  has(id) {
    return this.ids.has(id);
  }

  clear() {
    this.anchor = null;
    if (!this.ids.size) return;
    this.ids.clear();
    this.onChange();
  }

  /** A step without Shift: the next range begins here. */
  anchorAt(index) {
    this.anchor = index;
  }

  async toggle(index) {
    const item = await this.list.fetched(index);
    if (!item) return;
    this.anchor = index;
    if (!this.ids.delete(item.id)) this.ids.add(item.id);
    this.onChange();
  }

  /** Select exactly the items between the anchor (else `from`) and an index. */
  async extendTo(index, from) {
    this.anchor ??= from;
    const [first, last] = [Math.min(this.anchor, index), Math.max(this.anchor, index)];
    await this.list.load(first, last);
    this.ids = new Set(this.#idsOf(first, last));
    this.onChange();
  }

  /** Select the items at these indexes; with `adding`, in addition to those that are selected. */
  choose(indexes, adding) {
    const ids = indexes.map((index) => this.list.at(index)?.id).filter(Boolean);
    this.ids = new Set(adding ? [...this.ids, ...ids] : ids);
    this.onChange();
  }

  /** Select exactly these items, at most `LARGEST`. */
  chooseIds(ids) {
    this.ids = new Set(ids.slice(0, LARGEST));
    this.onChange();
  }

  /** Select every item of the list, at most `LARGEST`. */
  async selectAll() {
    const last = Math.min(this.list.total, LARGEST) - 1;
    for (let first = 0; first <= last; first += STEP) {
      await this.list.load(first, Math.min(first + STEP - 1, last));
      for (const id of this.#idsOf(first, Math.min(first + STEP - 1, last))) this.ids.add(id);
    }
    this.onChange();
  }

  #idsOf(first, last) {
    const ids = [];
    for (let index = first; index <= last; index += 1) {
      const item = this.list.at(index);
      if (item) ids.push(item.id);
    }
    return ids;
  }
}

/** Items that one action may concern, as in the API's `POST /v1/jobs/{id}/export`. */
export const LARGEST = 10_000;
/** Items that are loaded at a time, well below the number that the list keeps. */
const STEP = 2000;
