// The viewer: one picture, large, with all its facts. It is also where a person reviews, one key a picture.
import { $, failureParts, number, onLanguage, percent, say, showRanks } from "../shared/page.js";
import { labelOf } from "./cell.js";
import { CropTool } from "./crop-tool.js";
import { factsOf } from "./facts.js";
import { LabelPicker } from "./label-picker.js";
import { Regions } from "./regions.js";
import { Similar } from "./similar.js";
import { Zoom } from "./zoom.js";

/** Items behind the open one that are fetched already. */
const AHEAD = 30;

export class Viewer {
  /** `list`: an ItemList; `reviews`: Reviews; `look`: {names}; `onShow(item, index)` and `onClose()` tell the page. */
  constructor({ list, reviews, look, mayReview, onShow, onClose }) {
    Object.assign(this, { list, reviews, look, mayReview, onShow });
    this.dialog = $("viewer");
    this.heat = $("viewer-heat");
    this.explained = false;
    this.regions = new Regions(look.names, (region) => this.showPart(region));
    this.picker = new LabelPicker(look.names, (label) => this.review(label));
    this.crop = new CropTool((crop) => this.saveCrop(crop));
    this.similar = new Similar(look, (item) => this.openAlike(item));
    this.zoom = new Zoom($("viewer-stage"), { onSwipe: (step) => this.step(step) });
    $("viewer-explain").addEventListener("click", () => this.explain(!this.explained));
    this.heat.addEventListener("load", () => this.sayExplain("explain"));
    this.heat.addEventListener("error", () => this.explain(false, "explainFailed"));
    $("viewer-close").addEventListener("click", () => this.dialog.close());
    $("viewer-before").addEventListener("click", () => this.step(-1));
    $("viewer-after").addEventListener("click", () => this.step(1));
    $("viewer-reject").addEventListener("click", () => this.review(null));
    $("viewer-undo").addEventListener("click", () => this.undo());
    $("viewer-crop").addEventListener("click", () => this.startCrop());
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("close", () => (this.crop.stop(), onClose()));
    this.dialog.addEventListener("keydown", (event) => this.onKey(event));
    onLanguage(() => this.dialog.open && this.draw());
  }

  /** Open the item at an index. Resolves to false if there is none that can be shown. */
  async open(index) {
    const item = await this.list.fetched(index);
    if (!item || item.status === "pending") return false;
    if (!this.dialog.open) {
      this.dialog.showModal();
      // The keys work at once. The browser would focus the first button, which Space would press.
      this.dialog.focus();
    }
    this.show(item, index);
    return true;
  }

  show(item, index) {
    Object.assign(this, { item, index });
    this.crop.stop();
    this.zoom.reset();
    this.draw();
    this.similar.show(item);
    this.onShow(item, index);
    // The next pictures are then there when the person presses the key.
    this.list.load(index + 1, index + AHEAD);
    const next = this.list.at(index + 1);
    if (next?.image) new Image().src = next.image.shown ?? next.image.original;
  }

  /** Show the next (1) or the previous (-1) item that is not pending. Stays at the ends. */
  async step(step) {
    if (this.stepping) return;
    this.stepping = true;
    for (let index = this.index + step; index >= 0 && index < this.list.total; index += step) {
      const item = await this.list.fetched(index);
      if (!item || item.status === "pending") continue;
      // The person may have closed the viewer meanwhile.
      if (this.dialog.open) this.show(item, index);
      break;
    }
    this.stepping = false;
  }

  draw() {
    const { item } = this;
    const { prediction, error, image, source } = item;
    $("viewer-name").textContent = item.custom_id ? `${item.custom_id} · ${source.name}` : source.name;
    $("viewer-place").textContent = say("placeOf", { n: number(this.index + 1), total: number(this.list.total) });
    $("viewer-photo").hidden = !image || !prediction;
    if (prediction) $("viewer-photo").src = image.shown;
    $("viewer-photo").alt = source.alt || source.name;
    $("viewer-explain").hidden = !prediction;
    this.regions.show(item);
    $("viewer-error").hidden = !error;
    if (error) $("viewer-error").replaceChildren(...failureParts(error));
    $("viewer-facts").replaceChildren(...factsOf(item));
    this.drawReview();
  }

  /** Open a picture of the strip here if it is in the list. Returns whether it is. */
  openAlike(item) {
    const isPlain = this.list.isPlain && item.job_id === this.item.job_id;
    const index = isPlain ? item.position : this.list.indexOf(item.id);
    if (index < 0) return false;
    this.open(index);
    return true;
  }

  drawReview() {
    const { item, reviews } = this;
    const shown = this.mayReview() && Boolean(item.prediction);
    $("viewer-review").hidden = !shown && !item.review;
    for (const control of $("viewer-review").querySelectorAll(".control")) control.hidden = !shown;
    $("viewer-undo").disabled = !reviews.canUndo;
    $("viewer-reject").setAttribute("aria-pressed", String(Boolean(item.review?.rejected)));
    $("viewer-verdict").textContent = item.review
      ? say("reviewedAs", { label: labelOf(item, this.look.names()) })
      : say("notReviewed");
    this.picker.show(item);
  }

  /** Show the labels and the heat map of a region, or of the whole picture (null). */
  showPart(region) {
    const { prediction, image } = this.item;
    this.part = region ?? { prediction, explanation: image?.explanation };
    const ranks = this.part.prediction ? this.part.prediction.labels : [];
    const names = this.look.names();
    showRanks($("viewer-ranks"), ranks.map(({ id, score }) => ({ name: names.label(id), score })));
    if (!region && this.mayReview()) this.offerLabels(ranks);
    $("viewer-groups").textContent = (this.part.prediction?.groups ?? [])
      .slice(0, 2)
      .map(({ id, score }) => `${names.group(id)} ${percent(score)}`)
      .join(" · ");
    // The overlay stays on when the person moves to another picture.
    this.explain(this.explained);
  }

  /** A click on a ranked label sets it, and its number on the keyboard does, too. */
  offerLabels(ranks) {
    [...$("viewer-ranks").children].forEach((row, index) => {
      row.classList.toggle("chosen", this.item.review?.label?.id === ranks[index].id);
      if (index < 9) row.dataset.key = index + 1;
      row.addEventListener("click", () => this.review(ranks[index].id));
    });
  }

  /** Set a label (null: no label fits) for the picture that is shown, and go on to the next one. */
  async review(label) {
    // While the next picture is on its way, a key would review the earlier one again.
    if (!this.mayReview() || !this.item.prediction || this.stepping) return;
    this.reviews.set([this.item.id], label);
    if (this.index + 1 < this.list.total) await this.step(1);
    else this.draw();
  }

  /** Take back the latest review and show its picture again. */
  async undo() {
    const [id] = await this.reviews.undo();
    const index = id ? this.list.indexOf(id) : -1;
    if (index >= 0) await this.open(index);
  }

  startCrop() {
    if (!this.item.prediction || !this.mayReview()) return;
    this.explain(false);
    this.zoom.reset();
    this.crop.start($("viewer-photo"), this.item.review?.crop ?? this.item.crop, this.item.image);
  }

  /** Save a better crop with the review. The label stays the one under which the item is listed. */
  saveCrop(crop) {
    const { review, prediction } = this.item;
    const label = review ? (review.label?.id ?? null) : prediction.label.id;
    this.reviews.set([this.item.id], label, crop);
    this.draw();
  }

  /** Show or hide the heat map. `word` is the key of the button's text. */
  explain(on, word = "explain") {
    this.explained = on;
    const { prediction, explanation } = this.part;
    const shown = on && Boolean(prediction);
    this.heat.hidden = !shown;
    $("viewer-explain").setAttribute("aria-pressed", String(on));
    this.sayExplain(shown && this.heat.getAttribute("src") !== explanation ? "explaining" : word);
    if (shown) this.heat.src = explanation;
    else this.heat.removeAttribute("src");
  }

  sayExplain(word) {
    $("viewer-explain").textContent = say(word);
  }

  onKey(event) {
    if (event.target.matches("input, select") || this.crop.active) return;
    if ((event.ctrlKey || event.metaKey) && event.key === "z") {
      event.preventDefault();
      this.undo();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const ranks = this.item.prediction?.labels ?? [];
    const number = /^[1-9]$/.test(event.key) ? Number(event.key) : 0;
    const actions = {
      ArrowLeft: () => this.step(-1),
      ArrowRight: () => this.step(1),
      e: () => this.item.prediction && this.explain(!this.explained),
      m: () => this.similar.toggle(),
      r: () => this.regions.next(),
      x: () => this.review(null),
      u: () => this.undo(),
      c: () => this.startCrop(),
      l: () => (event.preventDefault(), this.picker.focus()),
    };
    if (number && number <= ranks.length) this.review(ranks[number - 1].id);
    else actions[event.key]?.();
  }
}
