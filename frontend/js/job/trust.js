// The dialog that accepts predictions without a look: the estimate, the policy, and how to take it back.
import { change, get, postJson } from "../shared/api.js";
import { $, attempt, make, number, onLanguage, say } from "../shared/page.js";

export class TrustDialog {
  /** `look`: {names}; `filters`: of the page; `onChanged()` is called after the policy has changed. */
  constructor({ look, filters, onChanged }) {
    Object.assign(this, { look, filters, onChanged });
    $("trust").addEventListener("click", () => this.open());
    $("trust-target").addEventListener("change", () => this.read());
    $("trust-form").addEventListener("change", () => this.found && this.drawChoice());
    $("trust-accept").addEventListener("click", () => this.accept());
    $("trust-undo").addEventListener("click", () => this.undo());
    $("trust-next").addEventListener("click", () => this.leave({ narrows: this.found.target }));
    $("trust-show").addEventListener("click", () => this.leave({ accepted: "true" }));
    onLanguage(() => this.found && this.drawFound());
  }

  draw(job, may) {
    this.job = job;
    $("trust").hidden = !job.counts.succeeded || job.source === "classification" || !may;
  }

  async open() {
    this.found = null;
    $("trust-found").hidden = true;
    $("trust-dialog").showModal();
    await this.read();
  }

  async read() {
    await this.attempt(async () => {
      const { body } = await get(`${this.job.links.self}/trust?target=${$("trust-target").value}`);
      this.found = body;
      this.drawFound();
    });
  }

  drawFound() {
    const { estimate, labels, acceptance, next_reviews: next } = this.found;
    const known = labels.filter((label) => label.waiting);
    $("trust-found").hidden = false;
    $("trust-estimate").textContent = estimate ? say("trustEstimate", shares(estimate)) : say("trustNone");
    $("trust-source").textContent = this.source();
    $("trust-choice").hidden = !this.found.accepted_by_label || !estimate;
    $("trust-each-text").textContent = say("trustEach", this.counts(this.found.accepted_by_label));
    $("trust-labels").replaceChildren(...known.map((label) => this.row(label)));
    $("trust-next").hidden = !next.length;
    $("trust-next").textContent = say("trustNext", { count: number(next.length) });
    $("trust-policy").hidden = !acceptance;
    if (acceptance) {
      const time = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
      $("trust-set").textContent = say("trustSet", { count: number(acceptance.accepted), time: time.format(new Date(acceptance.at)) });
    }
    this.drawChoice();
  }

  source() {
    const { validation, reviews, min_reviews: least } = this.found;
    const words = { validation: number(validation), reviews: number(reviews), least: number(least) };
    return say(reviews < least ? "trustFromValidation" : "trustFromReviews", words);
  }

  row({ id, waiting, estimate }) {
    const accepted = estimate?.accepted ?? 0;
    const { threshold, precision, low, high } = estimate ? shares(estimate) : { threshold: "–" };
    const cells = [threshold, estimate ? `${precision} (${low} – ${high})` : "", number(accepted), number(waiting - accepted)];
    const name = make("th", { scope: "row" }, this.look.names().label(id));
    return make("tr", {}, name, ...cells.map((text) => make("td", {}, text)));
  }

  /** Write what the chosen policy accepts. */
  drawChoice() {
    const { estimate, accepted_by_label: byLabel } = this.found;
    this.each = byLabel > 0 && (!estimate || $("trust-each").checked);
    const accepted = this.each ? byLabel : (estimate?.accepted ?? 0);
    $("trust-left").textContent = say("trustLeft", this.counts(accepted));
    $("trust-accept").hidden = !accepted;
    $("trust-accept").textContent = say("trustAccept", { count: number(accepted) });
  }

  counts(accepted) {
    return { accepted: number(accepted), left: number(this.found.waiting - accepted) };
  }

  async accept() {
    const { estimate, labels, target } = this.found;
    const own = labels.filter((label) => label.estimate).map((label) => [label.id, label.estimate.threshold]);
    const policy = this.each ? { thresholds: Object.fromEntries(own) } : { threshold: estimate.threshold };
    await this.changed(() => postJson(`${this.job.links.self}/acceptance`, { ...policy, target }));
  }

  async undo() {
    await this.changed(() => change("DELETE", `${this.job.links.self}/acceptance`));
  }

  async changed(request) {
    await this.attempt(async () => {
      await request();
      await this.read();
      await this.onChanged();
    });
  }

  /** Close the dialog, and list the pictures of a filter. */
  leave(filter) {
    $("trust-dialog").close();
    this.filters.press("all");
    this.filters.set(filter);
  }

  async attempt(work) {
    const buttons = [...$("trust-dialog").querySelectorAll("button")];
    for (const button of buttons) button.disabled = true;
    await attempt($("trust-refused"), work);
    for (const button of buttons) button.disabled = false;
  }
}

/** The shares of an estimate as texts, with one decimal, because 98 % and 98.4 % are not the same promise. */
function shares({ threshold, precision, low, high }) {
  const share = new Intl.NumberFormat(document.documentElement.lang, { style: "percent", maximumFractionDigits: 1 });
  return Object.fromEntries(Object.entries({ threshold, precision, low, high }).map(([name, value]) => [name, share.format(value)]));
}
