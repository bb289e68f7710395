// The viewer: one picture, large, with all its facts.
import { $, bytes, link, make, money, number, say, sayError, showRanks } from "../shared/page.js";
import { Regions } from "./regions.js";

export class Viewer {
  constructor(names) {
    this.names = names;
    this.dialog = $("viewer");
    this.explained = false;
    this.heat = $("viewer-heat");
    this.regions = new Regions(names, (region) => this.showPart(region));
    $("viewer-explain").addEventListener("click", () => this.explain(!this.explained));
    this.heat.addEventListener("load", () => this.sayExplain("explain"));
    this.heat.addEventListener("error", () => this.explain(false, "explainFailed"));
    $("viewer-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** Show an item. `step(1)` and `step(-1)` return the next and the previous item, or null at the ends. */
  open(item, step) {
    this.step = step;
    this.show(item);
    if (!this.dialog.open) this.dialog.showModal();
  }

  show(item) {
    const { prediction, error, image, source } = item;
    $("viewer-name").textContent = source.name;
    $("viewer-photo").hidden = !prediction;
    if (prediction) $("viewer-photo").src = image.original;
    $("viewer-photo").alt = source.name;
    this.item = item;
    $("viewer-explain").hidden = !prediction;
    this.regions.show(item);
    $("viewer-error").hidden = !error;
    if (error) $("viewer-error").textContent = `${sayError(error.code, error.detail)} (${error.detail})`;
    $("viewer-facts").replaceChildren(...this.facts(item));
  }

  /** Show the labels and the heat map of a region, or of the whole picture (null). */
  showPart(region) {
    const { prediction, image } = this.item;
    this.part = region ?? { prediction, explanation: image?.explanation };
    const ranks = this.part.prediction ? this.part.prediction.labels : [];
    showRanks($("viewer-ranks"), ranks.map(({ id, score }) => ({ name: this.names().label(id), score })));
    // The overlay stays on when the person moves to another picture.
    this.explain(this.explained);
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

  facts({ image, prediction, source }) {
    const rows = [];
    if (source.title) rows.push([say("title"), source.title]);
    if (source.price) rows.push([say("price"), money(source.price, source.currency)]);
    if (source.page_url) rows.push([say("page"), link(source.page_url)]);
    if (source.url) rows.push([say("pictureUrl"), link(source.url)]);
    if (image?.width) rows.push([say("size"), `${number(image.width)} × ${number(image.height)}`]);
    if (image) rows.push([say("bytes"), bytes(image.bytes)]);
    if (image?.format) rows.push([say("format"), image.format]);
    if (prediction) rows.push([say("model"), prediction.model]);
    if (prediction?.reused) rows.push([say("knownBefore"), say("yes")]);
    return rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  }

  onKey(event) {
    if (event.key === "e" && this.item.prediction) this.explain(!this.explained);
    if (event.key === "r") this.regions.next();
    const steps = { ArrowLeft: -1, ArrowRight: 1 };
    if (!(event.key in steps)) return;
    const item = this.step(steps[event.key]);
    if (item) this.show(item);
  }
}
