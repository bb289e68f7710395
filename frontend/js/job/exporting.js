// The export menu: which pictures, and in which format.
import { isFinished } from "../shared/api.js";
import { $, number, say } from "../shared/page.js";

export class Exporting {
  /** `filters`: the Filters of the page; `list`: its ItemList. */
  constructor(filters, list) {
    Object.assign(this, { filters, list });
    for (const choice of document.querySelectorAll('input[name="export-what"]')) choice.addEventListener("change", () => this.link());
    $("export").addEventListener("toggle", () => this.job && this.draw(this.job));
  }

  draw(job) {
    this.job = job;
    const { total, failed } = job.counts;
    $("export").hidden = !total;
    $("export-partial").hidden = isFinished(job);
    $("export-seen-row").hidden = !this.filters.isOn;
    $("export-failed-row").hidden = !failed;
    $("export-seen-text").textContent = say("exportSeen", { count: number(this.list.total) });
    $("export-all-text").textContent = say("exportAll", { count: number(total) });
    $("export-failed-text").textContent = say("exportFailed", { count: number(failed) });
    const chosen = document.querySelector('input[name="export-what"]:checked');
    if (!chosen || chosen.closest("label").hidden) $(this.filters.isOn ? "export-seen" : "export-all").checked = true;
    this.link();
  }

  link() {
    const what = document.querySelector('input[name="export-what"]:checked').value;
    const { sort, ...seen } = this.filters.query;
    const filter = { seen, all: {}, failed: { status: "failed" } }[what];
    for (const link of $("export").querySelectorAll("a")) {
      link.href = `${this.job.links.export}?${new URLSearchParams({ format: link.dataset.format, ...filter })}`;
    }
  }
}
