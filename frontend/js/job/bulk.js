// The actions on the selected pictures: set a label, run them again, export them, and undo.
import { requestFile } from "../shared/api.js";
import { $, attempt, make, number, say } from "../shared/page.js";
import { labelOptions } from "./label-picker.js";

export class Bulk {
  /** `selection`, `reviews`: of the page; `look`: {names}; `job()`: the job of the moment; `mayReview()`: a key may write; `rerun`: a Rerun. */
  constructor({ selection, reviews, look, job, mayReview, rerun }) {
    Object.assign(this, { selection, reviews, look, job, mayReview });
    $("bulk-label").addEventListener("change", () => this.setLabel($("bulk-label").value));
    $("bulk-rerun").addEventListener("click", () => rerun.open(job(), [...selection.ids]));
    $("bulk-clear").addEventListener("click", () => selection.clear());
    $("undo").addEventListener("click", () => reviews.undo());
    for (const button of $("bulk").querySelectorAll("[data-format]")) {
      button.addEventListener("click", () => this.export(button.dataset.format));
    }
  }

  draw() {
    const { selection, reviews, look } = this;
    const may = this.mayReview();
    $("bulk").hidden = !selection.size && !reviews.canUndo;
    $("bulk-count").textContent = selection.size ? say("selectedCount", { count: number(selection.size) }) : "";
    for (const control of $("bulk").querySelectorAll(".of-selection")) control.hidden = !selection.size;
    for (const control of $("bulk").querySelectorAll(".writes")) control.hidden ||= !may;
    $("undo").hidden = !reviews.canUndo;
    const names = look.names();
    if (this.drawnNames === names && this.drawnWord === say("setAllTo")) return;
    this.drawnNames = names;
    this.drawnWord = say("setAllTo");
    $("bulk-label").replaceChildren(
      make("option", { value: "" }, say("setAllTo")),
      ...labelOptions(names),
      make("option", { value: "!reject" }, say("noLabelFits")),
      make("option", { value: "!remove" }, say("removeReviews")),
    );
  }

  setLabel(value) {
    const ids = [...this.selection.ids];
    $("bulk-label").value = "";
    if (!value || !ids.length) return;
    if (value === "!remove") this.reviews.remove(ids);
    else this.reviews.set(ids, value === "!reject" ? null : value);
    this.selection.clear();
    $("sheet").focus({ preventScroll: true });
  }

  async export(format) {
    await attempt($("refused"), async () => {
      const file = await requestFile(this.job().links.export, { format, items: [...this.selection.ids] });
      const url = URL.createObjectURL(file);
      make("a", { href: url, download: file.name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    });
  }
}
