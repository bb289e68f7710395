// The photo, large: the selection over it, the buttons for parts of it, and the heat map.
import { PhotoCrop } from "../shared/photo-crop.js";
import { $, number, onLanguage, say } from "../shared/page.js";

/** Width by height of the buttons that set it. 0: free. */
const RATIOS = { free: 0, "3:4": 3 / 4, "1:1": 1 };

export class Stage {
  /** `classifyPart(crop)` is called for a part of the photo, `showWhole()` when the person wants the whole of it again. */
  constructor({ classifyPart, showWhole }) {
    Object.assign(this, { classifyPart, showWhole, cropper: null, answered: null, ratio: "free" });
    for (const button of this.buttons) button.addEventListener("click", () => this.choosePart(button.dataset.part));
    $("classify-part").addEventListener("click", () => this.confirm());
    $("crop-again").addEventListener("click", () => this.choosePart(this.ratio));
    $("why").addEventListener("click", () => this.explain($("heat").hidden));
    $("heat").addEventListener("load", () => this.sayWhy("why"));
    $("heat").addEventListener("error", () => this.explain(false, "whyFailed"));
    $("photo").addEventListener("load", () => this.frame($("photo").naturalWidth, $("photo").naturalHeight));
    onLanguage(() => this.drawTools());
  }

  get buttons() {
    return $("tools").querySelectorAll("[data-part]");
  }

  /** Show a photo that is not classified yet. */
  showPhoto(src, name) {
    this.drop();
    $("name").textContent = name;
    $("photo").alt = name;
    if ($("photo").getAttribute("src") === src) return;
    $("frame").classList.add("unsized");
    $("photo").src = src;
  }

  /** Show the photo of a classified item, with a selection where its crop is. */
  async showItem(item, src) {
    const same = $("photo").getAttribute("src") === src && this.cropper;
    if (!same) this.showPhoto(src, item.source.name);
    this.frame(item.image.width, item.image.height);
    this.item = item;
    this.answered = item.crop;
    this.explain(this.explained);
    if (!same) {
      const { width, height } = item.image;
      const options = { source: { width, height }, onChange: () => this.drawTools(), onConfirm: () => this.confirm() };
      const cropper = await PhotoCrop.over($("photo"), $("crop"), options);
      if (this.item !== item) return; // Another photo was opened while Cropper.js was loading.
      this.cropper = cropper;
      cropper.selection.setAttribute("aria-describedby", "crop-help");
    }
    if (item.crop) {
      this.ratio = ratioOf(item.crop);
      this.cropper.ratio = RATIOS[this.ratio];
    }
    this.cropper.show(item.crop);
    this.drawTools();
  }

  /** Give the frame the proportions of the picture, so that nothing moves when the picture arrives. */
  frame(width, height) {
    if (!width) return;
    $("frame").style.setProperty("--width", width);
    $("frame").style.setProperty("--ratio", width / height);
    $("frame").classList.remove("unsized");
  }

  drop() {
    this.cropper?.remove();
    this.cropper = null;
    this.item = null;
    this.answered = null;
    this.explain(false);
    this.drawTools();
  }

  choosePart(part) {
    if (!this.cropper) return;
    if (part === "whole") {
      this.cropper.show(null);
      this.showWhole();
      return;
    }
    this.ratio = part;
    this.cropper.keepRatio(RATIOS[part]);
    this.cropper.focus();
    this.drawTools();
  }

  confirm() {
    if (this.isNewPart) this.classifyPart(this.cropper.crop);
  }

  /** Whether the selection is a part other than the one whose answer is shown. */
  get isNewPart() {
    const crop = this.cropper?.crop;
    return Boolean(crop) && JSON.stringify(sides(crop)) !== JSON.stringify(this.answered && sides(this.answered));
  }

  drawTools() {
    const crop = this.cropper?.crop;
    const pressed = crop ? this.ratio : "whole";
    for (const button of this.buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.part === pressed));
      button.disabled = !this.cropper;
    }
    $("crop-size").textContent = crop ? say("cropSize", { width: number(crop.width), height: number(crop.height) }) : "";
    $("classify-part").hidden = !this.isNewPart;
    $("frame").classList.toggle("cropping", Boolean(crop));
    this.cropper?.selection.setAttribute("aria-label", crop ? say("cropLabel", crop) : "");
  }

  /** Show or hide the heat map of the item. `word` is the key of the button's text. */
  explain(on, word = "why") {
    this.explained = on;
    const source = this.item?.image.explanation;
    const shown = on && Boolean(source);
    $("why").setAttribute("aria-pressed", String(shown));
    this.sayWhy(shown && $("heat").getAttribute("src") !== source ? "whyLoading" : word);
    $("heat").hidden = !shown;
    if (shown) $("heat").src = source;
    else $("heat").removeAttribute("src");
  }

  sayWhy(word) {
    $("why").textContent = say(word);
  }
}

/** The button whose ratio a crop has. */
function ratioOf({ width, height }) {
  return Object.keys(RATIOS).find((name) => Math.abs(width / height - RATIOS[name]) < 0.005) ?? "free";
}

const sides = ({ x, y, width, height }) => [x, y, width, height];
