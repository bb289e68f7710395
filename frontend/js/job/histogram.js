// The histogram of the confidence, with the threshold below which a prediction is called doubtful.
import { $, make, number, percent, say } from "../shared/page.js";

export class Histogram {
  /** `onMove(threshold)` is called while the threshold moves, and `onSet(threshold)` when it stays. */
  constructor({ onMove, onSet }) {
    this.slider = $("threshold");
    this.slider.addEventListener("input", () => {
      this.shade(Number(this.slider.value));
      onMove(Number(this.slider.value));
    });
    this.slider.addEventListener("change", () => onSet(Number(this.slider.value)));
  }

  draw(bins, threshold) {
    $("histogram").hidden = !bins.some(Boolean);
    const largest = Math.max(1, ...bins);
    if (this.bars?.length !== bins.length) {
      this.bars = bins.map(() => make("i"));
      $("histogram-bars").replaceChildren(...this.bars);
    }
    this.bins = bins;
    this.bars.forEach((bar, index) => {
      bar.style.height = `${(100 * bins[index]) / largest}%`;
      const range = `${percent(index / bins.length)}–${percent((index + 1) / bins.length)}`;
      bar.title = `${range}: ${number(bins[index])}`;
    });
    this.slider.step = 1 / bins.length;
    if (document.activeElement !== this.slider) this.slider.value = threshold;
    this.shade(threshold);
  }

  /** Show which bars are below the threshold, and how many pictures they hold. */
  shade(threshold) {
    const edge = Math.round(threshold * this.bins.length);
    this.bars.forEach((bar, index) => bar.classList.toggle("below", index < edge));
    const count = this.bins.slice(0, edge).reduce((sum, n) => sum + n, 0);
    const text = say("belowThreshold", { threshold: percent(threshold), count: number(count) });
    $("histogram-text").textContent = text;
    this.slider.setAttribute("aria-valuetext", text);
  }
}
