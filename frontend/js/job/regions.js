// The regions of the open picture: a box for each on the picture, and buttons that choose whose labels are shown.
import { $, make, say } from "../shared/page.js";

export class Regions {
  /** `choose(part)` is called with the region to show, or with null for the whole picture. */
  constructor(names, choose) {
    this.names = names;
    this.choose = choose;
    this.buttons = [];
  }

  /** Draw the regions of an item and show the whole picture. Nothing is drawn for items without regions. */
  show({ regions, prediction, image }) {
    this.regions = prediction ? regions : [];
    this.boxes = this.regions.map(({ name, box, prediction }) => {
      const label = make("span", {}, `${name}: ${this.names().label(prediction.label.id)}`);
      const drawn = make("div", { class: "box" }, label);
      drawn.style.left = `${(100 * box.x) / image.width}%`;
      drawn.style.top = `${(100 * box.y) / image.height}%`;
      drawn.style.width = `${(100 * box.width) / image.width}%`;
      drawn.style.height = `${(100 * box.height) / image.height}%`;
      return drawn;
    });
    $("viewer-boxes").replaceChildren(...this.boxes);
    this.buttons = this.regions.length ? [say("wholePicture"), ...this.regions.map(({ name }) => name)].map(this.button, this) : [];
    $("viewer-regions").replaceChildren(...this.buttons);
    $("viewer-regions").hidden = !this.buttons.length;
    this.press(0);
  }

  button(text, index) {
    const button = make("button", { class: "quiet", type: "button" }, text);
    button.addEventListener("click", () => this.press(index));
    return button;
  }

  /** Choose the whole picture (0) or a region (from 1). */
  press(index) {
    this.pressed = index;
    this.buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(other === index)));
    this.boxes.forEach((box, other) => box.classList.toggle("chosen", other + 1 === index));
    this.choose(index ? this.regions[index - 1] : null);
  }

  /** Choose the next region, and the whole picture after the last one. */
  next() {
    if (this.buttons.length) this.press((this.pressed + 1) % this.buttons.length);
  }
}
