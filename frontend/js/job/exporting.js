// The export menu: which pictures, and in which format.
import { isFinished } from "../shared/api.js";
import { $, number, say } from "../shared/page.js";

export class Exporting {
  /** `filters`: the Filters of the page; `list`: its ItemList; `products`: its Products; `may(scope)`: of the visitor. */
  constructor(filters, list, products, may) {
    Object.assign(this, { filters, list, products, may });
    for (const choice of document.querySelectorAll('input[name="export-what"]')) choice.addEventListener("change", () => this.link());
    $("export").addEventListener("toggle", () => this.job && this.draw(this.job));
  }

  draw(job) {
    this.job = job;
    const { total, failed } = job.counts;
    $("export").hidden = !total;
    $("export-partial").hidden = isFinished(job);
    const byProduct = this.products.isShown;
    $("export-products-row").hidden = !job.products;
    $("export-products-text").textContent = say("exportProducts");
    $("export-seen-row").hidden = !this.filters.isOn || byProduct;
    $("export-failed-row").hidden = !failed;
    $("export-seen-text").textContent = say("exportSeen", { count: number(this.list.total) });
    $("export-all-text").textContent = say("exportAll", { count: number(total) });
    $("export-failed-text").textContent = say("exportFailed", { count: number(failed) });
    const chosen = document.querySelector('input[name="export-what"]:checked');
    const usual = byProduct ? "export-products" : this.filters.isOn ? "export-seen" : "export-all";
    if (!chosen || chosen.closest("label").hidden) $(usual).checked = true;
    this.link();
  }

  link() {
    const what = document.querySelector('input[name="export-what"]:checked').value;
    const { sort, ...seen } = this.filters.query;
    const filter = { seen, all: {}, failed: { status: "failed" }, products: this.products.query }[what];
    const path = what === "products" ? `${this.job.links.products}/export` : this.job.links.export;
    // Products have no file for label tools, and a visitor who came by a link gets no URLs that outlive it.
    $("export-tools").hidden = what === "products" || !this.may("read");
    $("export-config").href = `/v1/jobs/${encodeURIComponent(this.job.id)}/labelling-config`;
    for (const link of $("export").querySelectorAll("a[data-format]")) {
      link.href = `${path}?${new URLSearchParams({ format: link.dataset.format, ...filter })}`;
    }
  }
}
