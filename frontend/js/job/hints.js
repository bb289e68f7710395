// What to look at first: a list that filters and sorts by a hint, and a button that has the hints computed again.
import { get, isFinished, isVisitor, postJson } from "../shared/api.js";
import { $, attempt, make, number, onLanguage, say, sayOf } from "../shared/page.js";

/** Milliseconds between two looks at hints that a worker computes. */
const PAUSE = 1500;

export class HintPicker {
  /** `filters`: of the page; `mayAsk()`: whether a key may have the hints computed again. */
  constructor(filters, mayAsk) {
    Object.assign(this, { filters, mayAsk });
    $("hint").addEventListener("change", () => this.choose($("hint").value));
    $("hints-again").addEventListener("click", () => this.again());
    onLanguage(() => this.found && this.drawFound());
  }

  /** Show the hints of a finished job. They are read again when the job has changed. */
  async draw(job) {
    this.job = job;
    const known = `${job.id} ${job.status} ${job.finished_at} ${this.reviewed}`;
    if (this.found) this.drawFound();
    // A link that shares a job does not lead to its hints.
    if (isVisitor() || !isFinished(job) || !job.counts.succeeded || this.known === known) return;
    this.known = known;
    await this.read();
  }

  /** The number of reviews of the job, which may make the hints out of date. */
  set reviews(count) {
    this.reviewed = count;
  }

  async read() {
    clearTimeout(this.waiting);
    await attempt($("refused"), async () => {
      const { body } = await get(`${this.job.links.self}/hints`);
      this.found = body;
      this.drawFound();
      if (body.requested_at && !body.computed_at) this.waiting = setTimeout(() => this.read(), PAUSE);
    });
  }

  drawFound() {
    const { hints, requested_at: requested, computed_at: computed, changed_reviews: changed } = this.found;
    const current = this.filters.state.hint ?? "";
    const useful = hints.filter((hint) => hint.flagged || hint.kind === current);
    $("hints").hidden = !useful.length && !requested;
    $("hint").hidden = !useful.length;
    $("hint").replaceChildren(
      make("option", { value: "" }, say("hintsAll")),
      ...useful.map(({ kind, flagged }) => {
        const name = sayOf("hintNames", kind);
        return make("option", { value: kind }, say("hintOption", { name, count: number(flagged) }));
      }),
    );
    $("hint").value = current;
    const running = requested && !computed;
    $("hints-note").textContent = running ? say("hintsRunning") : changed ? say("hintsStale", { count: number(changed) }) : "";
    $("hints-again").hidden = running || !changed || !this.mayAsk();
  }

  /** List the pictures that a hint flags, in its order. */
  choose(kind) {
    this.filters.set({ hint: kind || null, sort: kind || null });
  }

  async again() {
    await attempt($("refused"), async () => {
      await postJson(`${this.job.links.self}/hints`, {});
      await this.read();
    });
  }
}
