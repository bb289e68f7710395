// The confusion matrix as a heat map: which label a model predicts for which. Cells of reviews open the pictures behind them.
import { get } from "../shared/api.js";
import { $, make, number, say, sayFailure } from "../shared/page.js";
import { pushState, readState } from "../shared/url-state.js";

export class Confusion {
  /** `nameOfLabel(id)`: a label's name. */
  constructor(nameOfLabel) {
    this.nameOfLabel = nameOfLabel;
    this.version = null;
    this.reviewed = null;
    this.failure = null;
    /** The cell whose jobs are listed: "true label, predicted label". */
    this.open = null;
    for (const button of document.querySelectorAll(".switch button")) {
      button.addEventListener("click", () => {
        pushState({ confusion: button.dataset.of === "reviews" ? "reviews" : null });
        this.show(this.version);
      });
    }
  }

  /** Show the matrix of a version; of its reviews, if the URL says so. */
  async show(version) {
    this.version = version;
    this.open = null;
    if (this.#ofReviews() && !this.reviewed) await this.#read();
    this.draw();
  }

  draw() {
    const ofReviews = this.#ofReviews();
    for (const button of document.querySelectorAll(".switch button")) {
      button.setAttribute("aria-pressed", String((button.dataset.of === "reviews") === ofReviews));
    }
    const rows = ofReviews ? this.#reviewRows() : this.#validationRows();
    const isEmpty = rows.every(({ cells }) => cells.every(({ count }) => !count));
    $("confusion-hint").textContent = this.#hint(ofReviews, isEmpty);
    $("matrix").replaceChildren(...(isEmpty ? [] : [this.#head(), make("tbody", {}, ...rows.map((row) => this.#row(row)))]));
    this.#listJobs(rows);
  }

  #hint(ofReviews, isEmpty) {
    if (ofReviews && this.failure) return sayFailure(this.failure);
    if (isEmpty) return say(ofReviews ? "noReviews" : "noMatrix");
    return say(ofReviews ? "matrixOfReviews" : "matrixHint");
  }

  #ofReviews() {
    return readState().confusion === "reviews";
  }

  async #read() {
    const { name, version } = this.version;
    try {
      const path = `/v1/models/${encodeURIComponent(name)}/${encodeURIComponent(version)}/confusion`;
      this.reviewed = (await get(path)).body.data;
      this.failure = null;
    } catch (error) {
      this.failure = error;
    }
  }

  #labels() {
    return (this.version.metrics.labels ?? this.version.labels).map(({ id }) => id);
  }

  #validationRows() {
    const labels = this.#labels();
    return (this.version.metrics.confusion ?? []).map((counts, row) => ({
      label: labels[row],
      cells: counts.map((count, column) => ({ predicted: labels[column], count, jobs: [] })),
    }));
  }

  /** One row for each label, and one for the pictures of which a person said that no label fits. */
  #reviewRows() {
    const labels = this.version.labels.map(({ id }) => id);
    const found = new Map((this.reviewed ?? []).map((row) => [`${row.label ?? ""} ${row.predicted}`, row]));
    return [...labels, null].map((label) => ({
      label,
      cells: labels.map((predicted) => ({ predicted, count: 0, jobs: [], ...found.get(`${label ?? ""} ${predicted}`) })),
    }));
  }

  #head() {
    const corner = make("td", { class: "corner" });
    const labels = this.#ofReviews() ? this.version.labels.map(({ id }) => id) : this.#labels();
    const heads = labels.map((id) => make("th", { scope: "col", title: this.nameOfLabel(id) }, make("span", {}, this.nameOfLabel(id))));
    return make("thead", {}, make("tr", {}, corner, ...heads));
  }

  #row({ label, cells }) {
    const total = cells.reduce((sum, { count }) => sum + count, 0);
    const name = this.#name(label);
    const row = make("tr", {}, make("th", { scope: "row", title: name }, name));
    for (const cell of cells) {
      const drawn = make("td", { class: label === cell.predicted ? "right" : "wrong" }, ...this.#content(label, cell));
      // The square root, so that single pictures are visible in a row of hundreds.
      drawn.style.setProperty("--strength", total ? Math.sqrt(cell.count / total) : 0);
      row.append(drawn);
    }
    return row;
  }

  #content(label, { predicted, count, jobs }) {
    if (!count) return [];
    if (!jobs.length) return [number(count)];
    const said = say("openCell", { count: number(count), label: this.#name(label), predicted: this.nameOfLabel(predicted) });
    if (jobs.length === 1) return [make("a", { href: hrefOf(jobs[0], label, predicted), "aria-label": said, title: said }, number(count))];
    const place = `${label} ${predicted}`;
    const button = make("button", { type: "button", "aria-label": said, title: said, "aria-expanded": String(this.open === place) });
    button.append(number(count));
    button.addEventListener("click", () => {
      this.open = this.open === place ? null : place;
      this.draw();
      document.querySelector('.confusion [aria-expanded="true"]')?.focus();
    });
    return [button];
  }

  #listJobs(rows) {
    const cells = rows.flatMap(({ label, cells: found }) => found.map((cell) => ({ label, ...cell })));
    const chosen = cells.find(({ label, predicted }) => `${label} ${predicted}` === this.open);
    if (!chosen) {
      $("behind").replaceChildren();
      return;
    }
    const items = chosen.jobs.map((job) =>
      make("li", {}, make("a", { href: hrefOf(job, chosen.label, chosen.predicted) }, job.name), ` · ${number(job.count)}`),
    );
    const text = say("jobsBehind", { label: this.#name(chosen.label), predicted: this.nameOfLabel(chosen.predicted) });
    $("behind").replaceChildren(make("p", { class: "small muted" }, text), make("ul", { class: "behind" }, ...items));
  }

  #name(label) {
    return label === null ? say("noLabelFits") : this.nameOfLabel(label);
  }
}

/** The pictures of a job that a model took for `predicted` and a person for `label`. */
function hrefOf(job, label, predicted) {
  const query = new URLSearchParams(label === null ? { predicted, rejected: "true" } : { predicted, label });
  return `/jobs/${encodeURIComponent(job.id)}?${query}`;
}
