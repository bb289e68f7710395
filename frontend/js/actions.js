// What a person can do with a job: stop it, try its failed pictures again, delete it.
import { ApiError, change, isOver, Unreachable } from "./api.js";
import { $, onLanguage, say, sayError } from "./page.js";

/** The row of actions. `onChanged(job)` after every change, with null once the job is deleted. */
export class Actions {
  constructor(onChanged) {
    this.onChanged = onChanged;
    this.job = null;
    $("cancel").addEventListener("click", () => this.#ask("POST", this.job.links.cancel));
    $("retry").addEventListener("click", () => this.#ask("POST", this.job.links.retry));
    $("delete").addEventListener("click", () => $("sure").showModal());
    $("sure").addEventListener("close", () => {
      if ($("sure").returnValue === "delete") this.#ask("DELETE", this.job.links.self);
      $("sure").returnValue = "";
    });
    onLanguage(() => this.job && this.draw(this.job));
  }

  draw(job) {
    this.job = job;
    const over = isOver(job);
    $("cancel").hidden = over;
    $("cancel").disabled = job.canceling;
    $("cancel").textContent = say(job.canceling ? "canceling" : "cancel");
    $("retry").hidden = !job.counts.failed || job.canceling || job.status === "canceled";
    $("delete").hidden = !over;
  }

  async #ask(method, path) {
    const buttons = [...$("actions").querySelectorAll("button")];
    for (const button of buttons) button.disabled = true;
    $("refused").hidden = true;
    try {
      const job = await change(method, path);
      for (const button of buttons) button.disabled = false;
      this.onChanged(job);
    } catch (error) {
      if (!(error instanceof ApiError || error instanceof Unreachable)) throw error;
      for (const button of buttons) button.disabled = false;
      $("refused").hidden = false;
      $("refused").textContent = sayError(error.code ?? "unreachable", error.message);
    }
  }
}
