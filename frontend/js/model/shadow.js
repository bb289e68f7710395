// The shadow run of a version: start it, stop it, and see how its predictions differ from those that are shown.
import { change, get, postJson, session } from "../shared/api.js";
import { $, day, make, number, percent, say, sayFailure } from "../shared/page.js";

const SHARES = [0.01, 0.05, 0.2, 1];
const USUAL_SHARE = 0.05;
/** Milliseconds between two looks at a run. */
const LOOK = 10_000;

export class Shadow {
  /** `nameOfLabel(id)`: a label's name. */
  constructor(nameOfLabel) {
    this.nameOfLabel = nameOfLabel;
    this.version = null;
    this.run = null;
    this.failure = null;
    $("shadow-start").addEventListener("click", () => this.#change(() => postJson(this.#path(), { share: Number($("shadow-share").value) })));
    $("shadow-stop").addEventListener("click", () => this.#change(() => change("DELETE", this.#path())));
    setInterval(() => this.run && !this.run.ended_at && !document.hidden && this.#read(), LOOK);
  }

  /** Show the newest run of a version. Only administrators see it; the version of new jobs has none to start. */
  async show(version) {
    this.version = version;
    const { may } = await session();
    const isUsed = version.aliases.includes("production");
    if (may.includes("admin")) await this.#read();
    $("shadow-section").hidden = !may.includes("admin") || (isUsed && !this.run);
  }

  draw() {
    if (!this.version) return;
    const { run } = this;
    const isRunning = Boolean(run) && !run.ended_at;
    const isUsed = this.version.aliases.includes("production");
    $("shadow-start").hidden = $("shadow-share-row").hidden = isRunning || isUsed;
    $("shadow-stop").hidden = !isRunning;
    const chosen = $("shadow-share").value || String(USUAL_SHARE);
    $("shadow-share").replaceChildren(...SHARES.map((share) => make("option", { value: share }, percent(share, 0))));
    $("shadow-share").value = chosen;
    $("shadow-state").textContent = this.#state();
    this.#figures();
    this.#flips();
  }

  #state() {
    if (this.failure) return sayFailure(this.failure);
    const { run } = this;
    if (!run) return say("shadowNone");
    const counts = { pictures: number(run.pictures), same: number(run.same), failed: number(run.failed) };
    const about = { against: run.against, share: percent(run.share, run.share < 0.01 ? 2 : 0), day: day(run.started_at), ...counts };
    return run.ended_at ? say("shadowEnded", { ...about, end: day(run.ended_at) }) : say("shadowRuns", about);
  }

  #figures() {
    const { run } = this;
    $("shadow-figures").replaceChildren();
    if (!run?.pictures) return;
    const rows = [[say("meanConfidence"), percent(run.shown_confidence, 1), percent(run.candidate_confidence, 1)]];
    if (run.reviewed) {
      const shares = [run.shown_right, run.candidate_right].map((right) => percent(right / run.reviewed, 1));
      rows.push([say("rightOfReviewed", { count: number(run.reviewed) }), ...shares]);
    }
    fill($("shadow-figures"), ["", run.against, run.model], rows);
  }

  #flips() {
    const { run } = this;
    $("shadow-flips").replaceChildren();
    if (!run?.flips.length) return;
    const heads = [say("labelOf", { model: run.against }), say("labelOf", { model: run.model }), say("pictures")];
    const rows = run.flips.map(({ shown, candidate, count }) => [this.nameOfLabel(shown), this.nameOfLabel(candidate), number(count)]);
    fill($("shadow-flips"), heads, rows);
  }

  #path() {
    return `/v1/models/${encodeURIComponent(this.version.name)}/${encodeURIComponent(this.version.version)}/shadow`;
  }

  async #read() {
    await this.#change(async () => (await get(this.#path())).body.data[0] ?? null);
  }

  async #change(send) {
    try {
      this.run = await send();
      this.failure = null;
    } catch (error) {
      this.failure = error;
    }
    this.draw();
  }
}

function fill(table, heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map(([first, ...cells]) => make("tr", {}, make("th", { scope: "row" }, first), ...cells.map((cell) => make("td", {}, cell))));
  table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
}
