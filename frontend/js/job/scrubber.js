// The scrubber beside a long sheet: it says where the window is, and jumps to any item.
import { $, number, say } from "../shared/page.js";

export class Scrubber {
  constructor(sheet) {
    this.sheet = sheet;
    this.input = $("scrubber");
    this.input.addEventListener("input", () => {
      sheet.scrollTo(Number(this.input.value));
      sheet.setCurrent(Number(this.input.value));
      this.draw();
    });
    $("jump").addEventListener("submit", (event) => {
      event.preventDefault();
      const wanted = Math.max(1, Math.min(Number($("jump-to").value) || 1, sheet.length));
      sheet.scrollTo(wanted - 1);
      sheet.focus(wanted - 1);
    });
  }

  /** Only lists of more than a few windows need it. */
  draw(first = this.sheet.firstVisible()) {
    const { sheet } = this;
    const window = Math.ceil(innerHeight / (sheet.rowHeight || 1)) * (sheet.columns || 1);
    $("scrub").hidden = sheet.length < 4 * window;
    if ($("scrub").hidden) return;
    this.input.max = Math.max(0, sheet.length - 1);
    this.input.value = first;
    const text = say("placeOf", { n: number(first + 1), total: number(sheet.length) });
    this.input.setAttribute("aria-valuetext", text);
    $("scrub-text").textContent = text;
    if (document.activeElement !== $("jump-to")) $("jump-to").value = first + 1;
  }
}
