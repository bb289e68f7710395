// Promoting a model version: asked once more, then polled until all workers have loaded it.
import { postJson, session } from "../shared/api.js";
import { $, say, sayFailure } from "../shared/page.js";

/** Milliseconds between two requests while workers load the version. */
const WAIT = 1500;

export class Promotion {
  /** `onPromoted()` is called when new jobs use the version. */
  constructor(onPromoted) {
    this.onPromoted = onPromoted;
    this.version = null;
    this.said = () => "";
    $("promote").addEventListener("click", () => $("sure").showModal());
    $("sure").addEventListener("close", () => {
      if ($("sure").returnValue === "promote") this.#promote();
      $("sure").returnValue = "";
    });
  }

  async show(version) {
    this.version = version;
    this.draw();
    const { may } = await session();
    $("promote").hidden = !may.includes("admin") || version.aliases.includes("production");
  }

  draw() {
    $("sure-text").textContent = say("promoteSure", { model: `${this.version.name}@${this.version.version}` });
    $("promotion").textContent = this.said();
    $("promotion").hidden = !$("promotion").textContent;
  }

  async #promote() {
    $("promote").disabled = true;
    const path = `/v1/models/${encodeURIComponent(this.version.name)}/promote`;
    try {
      for (;;) {
        const answer = await postJson(path, { version: this.version.version });
        if (answer.promoted) break;
        const [failure] = answer.failures;
        this.#say(() => failure ? say("notLoaded", failure) : say("loading", { workers: answer.waiting_for.join(", ") }));
        await new Promise((resolve) => setTimeout(resolve, WAIT));
      }
      this.#say(() => say("promoted"));
      await this.onPromoted();
    } catch (error) {
      this.#say(() => sayFailure(error));
    } finally {
      $("promote").disabled = false;
    }
  }

  #say(said) {
    this.said = said;
    this.draw();
  }
}
