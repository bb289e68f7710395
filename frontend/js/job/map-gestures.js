// The mouse, the pen and fingers on a map: drag to move it, the wheel or two fingers to zoom, a lasso, and taps.

/** Pixels that a pointer moves before a tap becomes a drag. */
const SLACK = 6;

export class MapGestures {
  /**
   * `view`: a MapCanvas. `on`: {lasso(): whether a drag draws a lasso, hover(px, py), leave(), tap(px, py, event),
   * drawn(corners, event)}. Corners are in units of the map.
   */
  constructor(view, on) {
    Object.assign(this, { view, on, pointers: new Map(), drawing: false, moved: false });
    const { canvas } = view;
    canvas.addEventListener("pointerdown", (event) => this.onDown(event));
    canvas.addEventListener("pointermove", (event) => this.onMove(event));
    canvas.addEventListener("pointerup", (event) => this.onUp(event));
    canvas.addEventListener("pointercancel", (event) => this.onCancel(event));
    // A finger always leaves when it is lifted.
    canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && on.leave());
    canvas.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
  }

  onWheel(event) {
    event.preventDefault();
    const [px, py] = this.pixelOf(event);
    this.view.zoomAt(px, py, Math.exp(-event.deltaY / 300));
  }

  pixelOf({ clientX, clientY }) {
    const { left, top } = this.view.canvas.getBoundingClientRect();
    return [clientX - left, clientY - top];
  }

  onDown(event) {
    if (event.button) return;
    this.view.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.pixelOf(event));
    if (this.pointers.size > 1) {
      this.endLasso();
      this.moved = true;
      return;
    }
    this.start = this.pixelOf(event);
    this.moved = false;
    this.drawing = this.on.lasso() || event.shiftKey;
  }

  onMove(event) {
    const [px, py] = this.pixelOf(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse") this.on.hover(px, py);
      return;
    }
    if (this.pointers.size === 2) this.pinch(event.pointerId, [px, py]);
    else if (this.moved || Math.hypot(px - this.start[0], py - this.start[1]) > SLACK) this.drag(before, [px, py]);
    this.pointers.set(event.pointerId, [px, py]);
  }

  drag(before, [px, py]) {
    if (!this.moved) this.on.leave();
    this.moved = true;
    if (!this.drawing) {
      this.view.pan(px - before[0], py - before[1]);
      return;
    }
    this.view.lasso ??= [this.view.placeOf(...this.start)];
    this.view.lasso.push(this.view.placeOf(px, py));
    this.view.drawSoon();
  }

  /** Zoom by the change of the distance of two fingers, and move with the place between them. */
  pinch(id, now) {
    const [other] = [...this.pointers].filter(([key]) => key !== id).map(([, pixel]) => pixel);
    const before = this.pointers.get(id);
    const distance = (a, b) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
    this.view.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    this.view.zoomAt((now[0] + other[0]) / 2, (now[1] + other[1]) / 2, distance(now, other) / distance(before, other));
  }

  onUp(event) {
    if (!this.pointers.delete(event.pointerId) || this.pointers.size) return;
    const corners = this.view.lasso;
    if (corners) {
      this.endLasso();
      this.on.drawn(corners, event);
    } else if (!this.moved) {
      this.on.tap(...this.pixelOf(event), event);
    }
    this.drawing = false;
  }

  onCancel(event) {
    this.pointers.delete(event.pointerId);
    this.endLasso();
  }

  endLasso() {
    this.drawing = false;
    this.view.lasso = null;
    this.view.drawSoon();
  }
}
