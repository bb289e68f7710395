// The actions on a job: export, stop, retry failed pictures, delete.
import { change, isFinished } from "../shared/api.js";
import { $, closeElsewhere, onLanguage, say, sayFailure } from "../shared/page.js";

/** The row of actions. Calls `onChanged(job)` after every change, and `onChanged(null)` after the job is deleted. */
export class Actions {
  constructor(onChanged) {
    this.onChanged = onChanged;
    this.job = null;
    $("cancel").addEventListener("click", () => this.#request("POST", this.job.links.cancel));
    $("retry").addEventListener("click", () => this.#request("POST", this.job.links.retry));
    $("delete").addEventListener("click", () => $("sure").showModal());
    $("sure").addEventListener("close", () => {
      if ($("sure").returnValue === "delete") this.#request("DELETE", this.job.links.self);
      $("sure").returnValue = "";
    });
    closeElsewhere($("export"));
    onLanguage(() => this.job && this.draw(this.job));
  }

  draw(job) {
    this.job = job;
    const finished = isFinished(job);
    $("export").hidden = !job.counts.total;
    $("export-partial").hidden = finished;
    for (const link of $("export").querySelectorAll("a")) link.href = `${job.links.export}?format=${link.dataset.format}`;
    $("cancel").hidden = finished;
    $("cancel").disabled = job.canceling;
    $("cancel").textContent = say(job.canceling ? "canceling" : "cancel");
    $("retry").hidden = !job.retryable || job.canceling || job.status === "canceled";
    $("delete").hidden = !finished;
  }

  async #request(method, path) {
    const buttons = [...$("actions").querySelectorAll("button")];
    for (const button of buttons) button.disabled = true;
    $("refused").hidden = true;
    try {
      const job = await change(method, path);
      for (const button of buttons) button.disabled = false;
      this.onChanged(job);
    } catch (error) {
      $("refused").textContent = sayFailure(error);
      $("refused").hidden = false;
      for (const button of buttons) button.disabled = false;
    }
  }
}
