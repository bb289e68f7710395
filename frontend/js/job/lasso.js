// A rectangle drawn over the sheet with the mouse selects the cells that it touches. Shift and the arrow keys do the same.
import { make } from "../shared/page.js";

/** Pixels that the mouse moves before a click becomes a lasso. */
const SLACK = 8;

export class Lasso {
  constructor(sheet) {
    this.sheet = sheet;
    this.box = make("div", { class: "lasso", "aria-hidden": "true", hidden: true });
    sheet.element.append(this.box);
    sheet.element.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse" && event.button === 0) this.begin(event);
    });
  }

  begin(down) {
    const start = this.pointOf(down);
    const adding = down.ctrlKey || down.metaKey;
    let drawn = false;
    const move = (event) => {
      const point = this.pointOf(event);
      drawn ||= Math.hypot(point.x - start.x, point.y - start.y) > SLACK;
      if (drawn) this.draw(start, point, adding);
    };
    const end = () => {
      removeEventListener("pointermove", move);
      this.box.hidden = true;
      if (!drawn) return;
      // The click that ends a lasso must not open a picture. It follows at once, if the mouse is still over the sheet.
      const swallow = (event) => event.stopPropagation();
      addEventListener("click", swallow, { capture: true, once: true });
      setTimeout(() => removeEventListener("click", swallow, { capture: true }));
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end, { once: true });
  }

  pointOf({ clientX, clientY }) {
    const { left, top } = this.sheet.element.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  }

  draw(a, b, adding) {
    const { sheet, box } = this;
    const [left, right] = [Math.min(a.x, b.x), Math.max(a.x, b.x)];
    const [top, bottom] = [Math.min(a.y, b.y), Math.max(a.y, b.y)];
    box.hidden = false;
    box.style.transform = `translate(${left}px, ${top}px)`;
    box.style.width = `${right - left}px`;
    box.style.height = `${bottom - top}px`;
    const touched = [...sheet.cells.entries()].filter(([index]) => {
      const { x, y } = sheet.cornerOf(index);
      return x < right && x + sheet.cellWidth > left && y < bottom && y + sheet.frameHeight > top;
    });
    sheet.selection.choose(touched.map(([index]) => index), adding);
  }
}
