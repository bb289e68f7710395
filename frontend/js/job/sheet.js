// The contact sheet: as many cells as the window shows, whatever the length of the list. A cell is moved and filled again
// when it leaves the window. The sheet itself has the keyboard focus; `aria-activedescendant` names the current cell.
import { $, say } from "../shared/page.js";
import { Cell } from "./cell.js";
import { Lasso } from "./lasso.js";

/** Smallest width of a cell in pixels, except on phones, which show three cells in a row. */
const CELL_WIDTH = 148;
const GAP = 4;
const ROW_GAP = 14;
/** Height of the lines of text below a picture: its label, its name and, for products, its price. */
const CAPTION = 46;
const PRICE = 18;
/** Rows above and below the window that are filled already, so that scrolling finds them. */
const OVERSCAN = 2;
/** Pixels per millisecond of scrolling above which pictures pass too fast to be seen, and milliseconds until it has ended. */
const HURRY = 2.5;
const SETTLED = 120;

/** Whether the window is as narrow as that of a phone. As in job.css, the filters then scroll away with the page. */
const isNarrow = () => innerWidth <= 720;

export class Sheet {
  /**
   * `list`: an ItemList. `selection`: a Selection. `look`: {names, threshold} of the moment. `open(index)` opens an item,
   * `onPlace(index)` hears of every new current cell and `onScroll(first)` of the first visible index.
   */
  constructor({ list, selection, look, open, onPlace, onScroll }) {
    Object.assign(this, { list, selection, look, open, onPlace, onScroll });
    this.element = $("sheet");
    this.cells = new Map();
    this.spare = [];
    this.current = 0;
    this.withPrice = false;
    Object.assign(this, { hurried: false, lastPlace: 0, lastTime: 0 });
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.element.addEventListener("click", (event) => this.onClick(event));
    this.element.addEventListener("focus", () => this.reveal(this.current));
    addEventListener("scroll", () => this.drawSoon(), { passive: true });
    new ResizeObserver(() => this.measure()).observe(this.element);
    new Lasso(this);
    this.measure();
  }

  get length() {
    return this.list.total;
  }

  /** Compute the size of cells from the width of the sheet, and draw. The first visible item stays where it is. */
  measure() {
    const width = this.element.clientWidth;
    if (!width) return;
    const first = this.firstVisible();
    this.columns = isNarrow() ? 3 : Math.max(1, Math.floor((width + GAP) / (CELL_WIDTH + GAP)));
    this.cellWidth = (width - GAP * (this.columns - 1)) / this.columns;
    this.frameHeight = Math.round((this.cellWidth * 4) / 3);
    this.rowHeight = this.frameHeight + CAPTION + (this.withPrice ? PRICE : 0) + ROW_GAP;
    this.element.style.setProperty("--cell-width", `${this.cellWidth}px`);
    this.element.style.setProperty("--frame-height", `${this.frameHeight}px`);
    // The bulk actions stay below the filters, which may take several lines.
    $("bulk").style.setProperty("--filters-height", `${$("filters").offsetHeight}px`);
    this.resize();
    if (first) this.scrollTo(first);
    for (const [index, cell] of this.cells) this.place(cell, index);
    this.draw();
  }

  /** Give the sheet the height of all its rows. */
  resize() {
    if (!this.columns) return;
    this.element.style.height = `${Math.ceil(this.length / this.columns) * this.rowHeight}px`;
    $("end").textContent = this.length || !this.list.query.sort ? "" : say("nothing");
  }

  /** The index of the first item in the window: 0 while the sheet begins below the top of the window. */
  firstVisible() {
    if (!this.columns) return 0;
    const above = Math.max(0, -this.element.getBoundingClientRect().top + this.headHeight());
    return Math.min(Math.round(above / this.rowHeight) * this.columns, Math.max(0, this.length - 1));
  }

  /** Pixels at the top of the window that the filters and the bulk actions cover while the sheet scrolls below them. */
  headHeight() {
    return (isNarrow() ? 0 : $("filters").offsetHeight) + $("bulk").offsetHeight;
  }

  scrollTo(index) {
    const top = this.element.getBoundingClientRect().top + scrollY - this.headHeight();
    scrollTo({ top: index ? top + Math.floor(index / this.columns) * this.rowHeight : 0, behavior: "instant" });
  }

  drawSoon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      // Read all sizes before anything is written, because the browser computes the layout again after a change.
      const first = this.firstVisible();
      this.watchSpeed();
      this.draw();
      this.onScroll(first);
    });
  }

  /** While the pictures pass too fast to be seen, none is fetched. They are, as soon as the scrolling slows down. */
  watchSpeed() {
    const now = performance.now();
    const speed = Math.abs(scrollY - this.lastPlace) / Math.max(1, now - this.lastTime);
    Object.assign(this, { lastPlace: scrollY, lastTime: now, hurried: speed > HURRY });
    clearTimeout(this.settling);
    if (!this.hurried) return;
    this.settling = setTimeout(() => {
      this.hurried = false;
      this.draw();
    }, SETTLED);
  }

  /** Show the cells that belong in the window, and fetch the items that are missing. */
  draw() {
    if (!this.columns || this.element.offsetParent === null) return;
    const { top } = this.element.getBoundingClientRect();
    const firstRow = Math.max(0, Math.floor(-top / this.rowHeight) - OVERSCAN);
    const lastRow = Math.floor((innerHeight - top) / this.rowHeight) + OVERSCAN;
    const first = firstRow * this.columns;
    const last = Math.min(this.length, (lastRow + 1) * this.columns) - 1;
    for (const [index, cell] of this.cells) if (index < first || index > last) this.drop(index, cell);
    for (let index = first; index <= last; index += 1) this.show(index);
    if (last >= first) this.list.load(first, last);
  }

  show(index) {
    let cell = this.cells.get(index);
    if (!cell) {
      cell = this.spare.pop() ?? new Cell(this.look);
      this.cells.set(index, cell);
      this.place(cell, index);
      if (!cell.element.isConnected) this.element.append(cell.element);
    }
    cell.count(this.length);
    cell.fill(this.list.at(index), this.hurried);
    this.mark(index, cell);
  }

  mark(index, cell = this.cells.get(index)) {
    cell?.mark(index === this.current, this.selection.has(cell.item?.id));
  }

  drop(index, cell) {
    this.cells.delete(index);
    this.spare.push(cell);
    cell.park();
  }

  place(cell, index) {
    const { x, y } = this.cornerOf(index);
    cell.place(index, x, y);
  }

  /** Where a cell is, in pixels from the corner of the sheet. */
  cornerOf(index) {
    return { x: (index % this.columns) * (this.cellWidth + GAP), y: Math.floor(index / this.columns) * this.rowHeight };
  }

  /** Fill all cells again: the list, the language, the threshold or the selection has changed. */
  redraw() {
    this.resize();
    for (const cell of this.cells.values()) cell.forget();
    this.draw();
  }

  /** Begin again with another list. */
  reset() {
    for (const [index, cell] of [...this.cells]) this.drop(index, cell);
    this.current = 0;
    this.redraw();
  }

  /** Make a cell the current one, scroll so that it is seen, and focus the sheet. */
  focus(index) {
    this.setCurrent(index);
    this.reveal(this.current);
    if (document.activeElement !== this.element) this.element.focus({ preventScroll: true });
  }

  setCurrent(index) {
    const before = this.current;
    this.current = Math.max(0, Math.min(index, this.length - 1));
    this.mark(before);
    this.mark(this.current);
    this.onPlace(this.current);
  }

  reveal(index) {
    if (!this.length) return;
    const top = this.element.getBoundingClientRect().top + Math.floor(index / this.columns) * this.rowHeight;
    const head = this.headHeight();
    if (top < head) scrollBy({ top: top - head, behavior: "instant" });
    else if (top + this.rowHeight > innerHeight) scrollBy({ top: top + this.rowHeight - innerHeight, behavior: "instant" });
    this.draw();
    const cell = this.cells.get(index);
    if (cell) this.element.setAttribute("aria-activedescendant", cell.element.id);
  }

  onClick(event) {
    const element = event.target.closest(".cell");
    if (!element) return;
    const index = Number(element.dataset.index);
    if (event.shiftKey) this.selection.extendTo(index, this.current);
    else if (event.ctrlKey || event.metaKey || event.target.closest(".tick")) this.selection.toggle(index);
    else this.open(index);
    this.focus(index);
  }

  onKey(event) {
    const rows = Math.max(1, Math.floor((innerHeight - this.headHeight()) / this.rowHeight));
    const steps = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -this.columns,
      ArrowDown: this.columns,
      PageUp: -this.columns * rows,
      PageDown: this.columns * rows,
      Home: -Infinity,
      End: Infinity,
    };
    if (event.key in steps && !event.altKey) {
      event.preventDefault();
      const target = Math.max(0, Math.min(this.current + steps[event.key], this.length - 1));
      if (event.shiftKey) this.selection.extendTo(target, this.current);
      else this.selection.anchorAt(target);
      this.focus(target);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.open(this.current);
    } else if (event.key === "s" && !event.ctrlKey && !event.metaKey) {
      this.selection.toggle(this.current);
    } else if (event.key === "a" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.selection.selectAll();
    } else if (event.key === "Escape") {
      this.selection.clear();
    }
  }
}
