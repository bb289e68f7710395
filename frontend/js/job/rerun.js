// The dialog that classifies pictures of a job again, as a new job, with a model version that the person chooses.
import { postJson } from "../shared/api.js";
import { versionOptions } from "../shared/model-versions.js";
import { $, attempt, number, say } from "../shared/page.js";

export class Rerun {
  constructor() {
    $("rerun-form").addEventListener("submit", (event) => {
      if (event.submitter.value !== "start") return;
      event.preventDefault();
      this.start();
    });
    // The browser's "back" restores the page with the button still disabled.
    addEventListener("pageshow", () => ($("rerun-start").disabled = false));
  }

  /** Ask for the model. `items`: the ids of the pictures to take; without it, all pictures of the job are taken. */
  async open(job, items) {
    this.asked = { job: job.id, ...(items && { items }) };
    $("rerun-title").textContent = items ? say("rerunTitleSelected", { count: number(items.length) }) : say("rerunTitle");
    $("rerun-model").replaceChildren();
    $("rerun-start").disabled = true;
    $("rerun-dialog").showModal();
    await this.attempt(async () => {
      $("rerun-model").replaceChildren(...(await versionOptions()));
      $("rerun-model").focus();
    });
  }

  async start() {
    $("rerun-start").disabled = true;
    await this.attempt(async () => {
      const created = await postJson("/v1/jobs", { rerun: this.asked, model: $("rerun-model").value });
      location.assign(created.links.page);
    });
  }

  async attempt(work) {
    await attempt($("rerun-refused"), work);
    $("rerun-start").disabled = !$("rerun-model").options.length;
  }
}
