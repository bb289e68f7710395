// What a person can do with a job: export it, stop it, try its failed pictures again, delete it.
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
    this.#closeMenu();
    onLanguage(() => this.job && this.draw(this.job));
  }

  draw(job) {
    this.job = job;
    const over = isOver(job);
    $("export").hidden = !job.counts.total;
    $("export-partial").hidden = over;
    for (const link of $("export").querySelectorAll("a")) link.href = `${job.links.export}?format=${link.dataset.format}`;
    $("cancel").hidden = over;
    $("cancel").disabled = job.canceling;
    $("cancel").textContent = say(job.canceling ? "canceling" : "cancel");
    $("retry").hidden = !job.counts.failed || job.canceling || job.status === "canceled";
    $("delete").hidden = !over;
  }

  /** The menu of exports closes once a format is chosen, by Escape, and by a click elsewhere. */
  #closeMenu() {
    const menu = $("export");
    addEventListener("click", (event) => {
      if (!menu.contains(event.target) || event.target.closest("a")) menu.open = false;
    });
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      menu.open = false;
      menu.querySelector("summary").focus();
    });
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
