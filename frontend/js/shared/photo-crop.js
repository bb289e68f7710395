// A selection over a photo, drawn with Cropper.js: with the mouse, a finger or the arrow keys. Its crops are in source pixels.
import { make } from "./page.js";

/** A selection smaller than this (in CSS pixels) is a click, and ends without a crop. */
const SMALLEST_DRAG = 8;
/** The part of the photo's sides that a selection covers if nobody has drawn it. */
const FIRST_COVERAGE = 0.7;
/** How far one press of an arrow key moves an edge, as a part of the photo's longer side. */
const KEY_STEP = 0.02;
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const EDGES = ["n", "e", "s", "w", "ne", "nw", "se", "sw"];

export class PhotoCrop {
  /**
   * Put a selection over `photo` (an image) in `place` (an element with the size of the image). `source`: {width, height} of
   * the picture as people see it. `onChange(crop)` is called with {x, y, width, height}, or with null for no selection;
   * `onConfirm()` when Enter is pressed in the selection.
   */
  static async over(photo, place, { source, onChange, onConfirm }) {
    await import("../../vendor/cropperjs/cropper.esm.min.js");
    return new PhotoCrop(photo, place, { source, onChange, onConfirm });
  }

  constructor(photo, place, { source, onChange, onConfirm }) {
    Object.assign(this, { photo, source, onChange, crop: null });
    this.selection = make(
      "cropper-selection",
      { movable: true, resizable: true, precise: true, outlined: true, hidden: true, tabindex: "0", role: "application" },
      make("cropper-handle", { action: "move", plain: true }),
      ...EDGES.map((edge) => make("cropper-handle", { action: `${edge}-resize` })),
    );
    const select = make("cropper-handle", { action: "select", plain: true });
    this.canvas = make("cropper-canvas", {}, make("cropper-shade", { hidden: true }), select, this.selection);
    place.replaceChildren(this.canvas);
    // The wheel scrolls the page, as everywhere else. Cropper.js would zoom with it.
    place.addEventListener("wheel", (event) => event.stopPropagation(), { capture: true });
    this.selection.addEventListener("change", (event) => this.limit(event));
    this.canvas.addEventListener("actionend", () => this.end());
    this.selection.addEventListener("keydown", (event) => this.onKey(event, onConfirm));
    this.resized = new ResizeObserver(() => this.crop && this.show(this.crop));
    this.resized.observe(photo);
  }

  /** CSS pixels per source pixel. */
  get scale() {
    return this.photo.clientWidth / this.source.width;
  }

  /** The ratio that the sides of the selection keep, width by height. 0: any. */
  get ratio() {
    return this.selection.aspectRatio || 0;
  }

  set ratio(ratio) {
    this.selection.aspectRatio = ratio || NaN;
  }

  /** Show a crop in source pixels, or nothing for null. */
  show(crop) {
    if (!crop) {
      this.selection.$clear();
      this.tell(null);
      return;
    }
    const { scale } = this;
    this.selection.$change(crop.x * scale, crop.y * scale, crop.width * scale, crop.height * scale, NaN);
    this.tell(crop);
  }

  /** Keep the sides of the selection at `ratio` (width by height; 0: any). Without a selection, begin one in the middle. */
  keepRatio(ratio) {
    this.ratio = ratio;
    if (this.crop && !ratio) return;
    const { width, height } = this.source;
    const { x, y, ...most } = this.crop ?? {
      x: (width * (1 - FIRST_COVERAGE)) / 2,
      y: (height * (1 - FIRST_COVERAGE)) / 2,
      width: width * FIRST_COVERAGE,
      height: height * FIRST_COVERAGE,
    };
    const fitted = { width: Math.min(most.width, most.height * (ratio || Infinity)), height: most.height };
    if (ratio) fitted.height = fitted.width / ratio;
    else fitted.width = most.width;
    this.show(this.rounded({ x: x + (most.width - fitted.width) / 2, y: y + (most.height - fitted.height) / 2, ...fitted }));
  }

  remove() {
    this.resized.disconnect();
    this.canvas.remove();
  }

  focus() {
    this.selection.focus();
  }

  /** Keep a change of the selection inside the photo. */
  limit(event) {
    const wanted = event.detail;
    if (!wanted.width && !wanted.height) return; // The selection was cleared.
    const allowed = inside(wanted, this.selection, { width: this.photo.clientWidth, height: this.photo.clientHeight }, this.ratio);
    if (["x", "y", "width", "height"].some((side) => Math.abs(wanted[side] - allowed[side]) > 0.01)) {
      event.preventDefault();
      this.selection.$change(allowed.x, allowed.y, allowed.width, allowed.height, NaN);
      return;
    }
    const { scale } = this;
    this.tell(this.rounded({ x: wanted.x / scale, y: wanted.y / scale, width: wanted.width / scale, height: wanted.height / scale }));
  }

  /** After a drag: a mere click selects nothing. */
  end() {
    if (!this.crop) return;
    const { width, height } = this.selection;
    if (Math.max(width, height) < SMALLEST_DRAG) this.show(null);
    else this.focus();
  }

  tell(crop) {
    this.crop = crop;
    this.onChange(crop);
  }

  /** Whole source pixels, at least one, and none outside the picture. */
  rounded({ x, y, width, height }) {
    const [left, top] = [Math.round(x), Math.round(y)].map((value) => Math.max(value, 0));
    const right = Math.min(Math.max(Math.round(x + width), left + 1), this.source.width);
    const bottom = Math.min(Math.max(Math.round(y + height), top + 1), this.source.height);
    return { x: Math.min(left, right - 1), y: Math.min(top, bottom - 1), width: Math.max(right - left, 1), height: Math.max(bottom - top, 1) };
  }

  /** Arrows move the selection; with Shift they move its right and its lower edge. */
  onKey(event, onConfirm) {
    if (event.key === "Enter") onConfirm();
    else if (event.key === "Escape") this.show(null);
    else if (event.key in DIRECTIONS) this.step(DIRECTIONS[event.key], event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  step([right, down], resizes) {
    const by = Math.max(1, Math.round(Math.max(this.source.width, this.source.height) * KEY_STEP)) * this.scale;
    const { x, y, width, height } = this.selection;
    if (!resizes) {
      this.selection.$change(x + right * by, y + down * by, width, height, NaN);
      return;
    }
    const wide = Math.max(width + (right + (this.ratio ? down * this.ratio : 0)) * by, this.scale);
    const high = this.ratio ? wide / this.ratio : Math.max(height + down * by, this.scale);
    this.selection.$change(x, y, wide, high, NaN);
  }
}

/** The rectangle `wanted` inside `bounds`. An edge of `before` that did not move stays; the sides keep `ratio` unless it is 0. */
function inside(wanted, before, bounds, ratio) {
  const across = span(wanted.x, wanted.width, before.x, before.width, bounds.width);
  const down = span(wanted.y, wanted.height, before.y, before.height, bounds.height);
  let width = Math.min(wanted.width, across.most);
  let height = Math.min(wanted.height, down.most);
  if (ratio) {
    width = Math.min(width, height * ratio);
    height = width / ratio;
  }
  return { x: across.start(width), y: down.start(height), width, height };
}

/** On one axis: the greatest length, and the start of a given length. */
function span(start, length, startBefore, lengthBefore, bound) {
  const same = (a, b) => Math.abs(a - b) < 0.01;
  if (same(length, lengthBefore)) return { most: bound, start: (size) => Math.max(0, Math.min(start, bound - size)) };
  if (same(start, startBefore)) return { most: bound - start, start: () => start };
  const end = start + length;
  if (same(end, startBefore + lengthBefore)) return { most: end, start: (size) => end - size };
  const middle = Math.min(Math.max(start + length / 2, 0), bound);
  return { most: 2 * Math.min(middle, bound - middle), start: (size) => middle - size / 2 };
}
