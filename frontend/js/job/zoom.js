// Zoom and move the open picture: double click or double tap, the wheel, or two fingers. A swipe goes to the next picture.

const LARGEST = 6;
/** Pixels that a finger moves to the side before it is a swipe. */
const SWIPE = 60;

export class Zoom {
  /** `stage` holds the picture and what lies over it. `onSwipe(1 | -1)` asks for the next or the previous picture. */
  constructor(stage, { onSwipe }) {
    this.stage = stage;
    this.onSwipe = onSwipe;
    this.pointers = new Map();
    this.reset();
    this.listen("dblclick", (event) => (this.scale > 1 ? this.reset() : this.zoomAt(event, 2.5)));
    this.listen("wheel", (event) => this.onWheel(event));
    this.listen("pointerdown", (event) => this.onDown(event));
    this.listen("pointermove", (event) => this.onMove(event));
    for (const end of ["pointerup", "pointercancel"]) this.listen(end, (event) => this.onEnd(event));
  }

  /** What happens in the selection of a crop concerns the crop only. */
  listen(type, listener) {
    this.stage.addEventListener(type, (event) => event.target.closest(".crop") || listener(event), { passive: false });
  }

  reset() {
    Object.assign(this, { scale: 1, x: 0, y: 0 });
    this.apply();
  }

  apply() {
    this.stage.classList.toggle("zoomed", this.scale > 1);
    this.stage.style.transform = this.scale > 1 ? `translate(${this.x}px, ${this.y}px) scale(${this.scale})` : "";
  }

  /** Multiply the scale so that the point below the pointer stays where it is. */
  zoomAt({ clientX, clientY }, factor) {
    const scale = Math.min(LARGEST, Math.max(1, this.scale * factor));
    if (scale === 1) {
      this.reset();
      return;
    }
    const { left, top, width, height } = this.stage.getBoundingClientRect();
    const ratio = scale / this.scale - 1;
    this.x -= (clientX - left - width / 2) * ratio;
    this.y -= (clientY - top - height / 2) * ratio;
    this.scale = scale;
    this.apply();
  }

  onWheel(event) {
    event.preventDefault();
    this.zoomAt(event, Math.exp(-event.deltaY / 300));
  }

  onDown(event) {
    this.pointers.set(event.pointerId, event);
    this.start = event;
    if (this.scale > 1) this.stage.setPointerCapture(event.pointerId);
  }

  onMove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    if (this.pointers.size === 2) {
      const [other] = [...this.pointers.values()].filter(({ pointerId }) => pointerId !== event.pointerId);
      this.zoomAt(event, distance(event, other) / Math.max(1, distance(before, other)));
    } else if (this.scale > 1) {
      this.x += event.clientX - before.clientX;
      this.y += event.clientY - before.clientY;
      this.apply();
    }
    this.pointers.set(event.pointerId, event);
  }

  onEnd(event) {
    const single = this.pointers.size === 1 && this.pointers.delete(event.pointerId);
    this.pointers.delete(event.pointerId);
    if (!single || event.pointerType === "mouse" || this.scale > 1) return;
    const [dx, dy] = [event.clientX - this.start.clientX, event.clientY - this.start.clientY];
    if (Math.abs(dx) > SWIPE && Math.abs(dx) > 2 * Math.abs(dy)) this.onSwipe(dx < 0 ? 1 : -1);
  }
}

const distance = (a, b) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
