// Draws the points of a map on a canvas, at the place and scale that the person chooses. Nothing is drawn while nothing
// changes.
import { SIDE } from "./map-points.js";
import { Stamps } from "./map-stamps.js";

/** Pixels between the map and the edge of the canvas. */
const MARGIN = 24;
const LARGEST_ZOOM = 400;
/** With at most so many points in view, the map shows the pictures themselves. */
const MAX_PICTURES = 60;
/** Height of these pictures in pixels. */
const PICTURE = 72;
/** Pictures that are kept in memory. */
const KEPT = 300;
/** How visible points are that do not belong to the highlighted category, and those that are not selected. */
const FAINT = 0.12;
const BEHIND = 0.4;

export class MapCanvas {
  /** `state`: {points, colouring, highlighted, current, selection} of the moment; `colourOf(category)`. */
  constructor(canvas, state, colourOf) {
    Object.assign(this, { canvas, state, colourOf, zoom: 1, smallest: 1, x: SIDE / 2, y: SIDE / 2, lasso: null });
    this.context = canvas.getContext("2d");
    this.images = new Map();
    this.stamps = new Stamps();
    new ResizeObserver(() => this.measure()).observe(canvas);
  }

  /** Give the canvas the resolution of the screen. */
  measure() {
    const { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth) return;
    this.ratio = devicePixelRatio || 1;
    const isFirst = !this.width;
    Object.assign(this, { width: clientWidth, height: clientHeight });
    this.canvas.width = Math.round(clientWidth * this.ratio);
    this.canvas.height = Math.round(clientHeight * this.ratio);
    if (isFirst && this.state.points) this.fit();
    this.drawSoon();
  }

  /** Pixels per unit of the map. */
  get scale() {
    return ((Math.min(this.width, this.height) - 2 * MARGIN) / SIDE) * this.zoom;
  }

  /** The place on the map below a pixel of the canvas. */
  placeOf(px, py) {
    return [(px - this.width / 2) / this.scale + this.x, (py - this.height / 2) / this.scale + this.y];
  }

  /** The pixel of the canvas at which a point is. */
  pixelOf(index) {
    const { points } = this.state;
    return [(points.x[index] - this.x) * this.scale + this.width / 2, (points.y[index] - this.y) * this.scale + this.height / 2];
  }

  /** Show all points, as large as the canvas allows. */
  fit() {
    const { left, right, top, bottom } = this.state.points.bounds();
    this.zoom = this.smallest = 1;
    const room = Math.min((this.width - 2 * MARGIN) / Math.max(1, right - left), (this.height - 2 * MARGIN) / Math.max(1, bottom - top));
    this.zoom = this.smallest = Math.min(LARGEST_ZOOM, room / this.scale);
    Object.assign(this, { x: (left + right) / 2, y: (top + bottom) / 2 });
    this.drawSoon();
  }

  pan(dx, dy) {
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this.keepInside();
    this.drawSoon();
  }

  /** Multiply the scale so that the place below a pixel stays where it is. */
  zoomAt(px, py, factor) {
    const [x, y] = this.placeOf(px, py);
    this.zoom = Math.max(this.smallest, Math.min(LARGEST_ZOOM, this.zoom * factor));
    this.x = x - (px - this.width / 2) / this.scale;
    this.y = y - (py - this.height / 2) / this.scale;
    this.keepInside();
    this.drawSoon();
  }

  /** The middle of the canvas never leaves the map. */
  keepInside() {
    this.x = Math.max(0, Math.min(SIDE, this.x));
    this.y = Math.max(0, Math.min(SIDE, this.y));
  }

  /** Move the map so that a point is in view. */
  reveal(index) {
    const [px, py] = this.pixelOf(index);
    if (px > MARGIN && py > MARGIN && px < this.width - MARGIN && py < this.height - MARGIN) return;
    this.x = this.state.points.x[index];
    this.y = this.state.points.y[index];
  }

  /** The indexes of the points that are on the canvas. */
  inView() {
    const { points } = this.state;
    const [left, top] = this.placeOf(0, 0);
    const [right, bottom] = this.placeOf(this.width, this.height);
    const found = [];
    for (let index = 0; index < points.length; index += 1) {
      const [x, y] = [points.x[index], points.y[index]];
      if (x >= left && x <= right && y >= top && y <= bottom) found.push(index);
    }
    return found;
  }

  drawSoon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.state.points && this.width) this.draw();
    });
  }

  draw() {
    const { context } = this;
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    const style = getComputedStyle(this.canvas);
    this.colours = { accent: style.getPropertyValue("--accent-fill"), ground: style.getPropertyValue("--ground"), stage: style.getPropertyValue("--ground-2") };
    const view = this.inView();
    if (view.length <= MAX_PICTURES && this.zoom > this.smallest) this.drawPictures(view);
    else this.drawDots(view);
    this.drawLasso();
  }

  drawDots(view) {
    const { points, colouring, highlighted, selection, current } = this.state;
    const radius = Math.min(7, Math.max(1.8, 60 / Math.sqrt(points.length)) * (this.zoom / this.smallest) ** 0.35);
    const { context, stamps, ratio } = this;
    const [dx, dy, scale] = [this.width / 2 - this.x * this.scale, this.height / 2 - this.y * this.scale, this.scale];
    stamps.begin(this.canvas.width, this.canvas.height, this.colours.stage);
    const colours = new Map();
    const chosen = [];
    for (const index of view) {
      if (selection.size && selection.has(points.ids[index])) {
        chosen.push(index);
        continue;
      }
      const category = points.category(index, colouring);
      if (!colours.has(category)) {
        const alpha = highlighted !== null && highlighted !== category ? FAINT : selection.size ? BEHIND : 1;
        colours.set(category, stamps.stamp(this.colourOf(category), radius * ratio, alpha));
      }
      stamps.put(colours.get(category), Math.round((points.x[index] * scale + dx) * ratio), Math.round((points.y[index] * scale + dy) * ratio));
    }
    context.putImageData(stamps.image, 0, 0);
    const dots = new Map();
    for (const index of chosen) {
      const category = points.category(index, colouring);
      if (!dots.has(category)) dots.set(category, this.dot(this.colourOf(category), radius));
      const dot = dots.get(category);
      context.drawImage(dot.image, points.x[index] * scale + dx - dot.middle, points.y[index] * scale + dy - dot.middle, dot.side, dot.side);
    }
    if (current >= 0) this.drawRing(current, radius + 4);
  }

  /** The drawn dot of a selected point, with a ring in the accent colour. */
  dot(colour, radius) {
    const middle = radius + 3;
    const image = document.createElement("canvas");
    image.width = image.height = Math.ceil(2 * middle * this.ratio);
    const context = image.getContext("2d");
    context.scale(this.ratio, this.ratio);
    context.beginPath();
    context.arc(middle, middle, radius, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = this.colours.accent;
    context.stroke();
    return { image, middle, side: image.width / this.ratio };
  }

  drawRing(index, radius) {
    const { context } = this;
    const [px, py] = this.pixelOf(index);
    for (const [width, colour] of [[5, this.colours.ground], [2.5, this.colours.accent]]) {
      context.beginPath();
      context.arc(px, py, radius, 0, 2 * Math.PI);
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.stroke();
    }
  }

  drawPictures(view) {
    const { points, colouring, selection, current, highlighted } = this.state;
    const { context } = this;
    // The current picture lies over the others.
    for (const index of [...view].sort((a, b) => (a === current) - (b === current))) {
      const [px, py] = this.pixelOf(index);
      const image = this.imageOf(points.ids[index]);
      const width = image.naturalWidth ? Math.min(PICTURE, (PICTURE * image.naturalWidth) / image.naturalHeight) : PICTURE * 0.75;
      const category = points.category(index, colouring);
      context.globalAlpha = highlighted === null || highlighted === category ? 1 : FAINT;
      const edge = index === current || selection.has(points.ids[index]) ? 4 : 2;
      context.fillStyle = selection.has(points.ids[index]) || index === current ? this.colours.accent : this.colourOf(category);
      context.fillRect(px - width / 2 - edge, py - PICTURE / 2 - edge, width + 2 * edge, PICTURE + 2 * edge);
      if (image.complete && image.naturalWidth) context.drawImage(image, px - width / 2, py - PICTURE / 2, width, PICTURE);
    }
    context.globalAlpha = 1;
  }

  /** The thumbnail of an item. It is drawn when it has arrived. */
  imageOf(id) {
    let image = this.images.get(id);
    if (!image) {
      image = new Image();
      image.addEventListener("load", () => this.drawSoon());
      image.src = thumbnailOf(id);
      this.images.set(id, image);
      if (this.images.size > KEPT) this.images.delete(this.images.keys().next().value);
    }
    return image;
  }

  drawLasso() {
    if (!this.lasso || this.lasso.length < 2) return;
    const { context } = this;
    context.beginPath();
    for (const [x, y] of this.lasso) context.lineTo((x - this.x) * this.scale + this.width / 2, (y - this.y) * this.scale + this.height / 2);
    context.closePath();
    context.globalAlpha = 0.12;
    context.fillStyle = this.colours.accent;
    context.fill();
    context.globalAlpha = 1;
    context.setLineDash([4, 3]);
    context.lineWidth = 1.5;
    context.strokeStyle = this.colours.accent;
    context.stroke();
    context.setLineDash([]);
  }
}

export const thumbnailOf = (id) => `/v1/items/${encodeURIComponent(id)}/thumbnail`;
