// Searches the job, or all jobs, with a picture that a person drops on the page or chooses.
import { post } from "../shared/api.js";
import { chosenFiles, droppedFiles } from "../shared/files.js";
import { lookAlikes } from "../shared/look-alikes.js";
import { $, onLanguage, say, sayFailure } from "../shared/page.js";

/** Pictures that are shown. */
const SHOWN = 48;
/** Seconds for which the server may hold the request until the picture is classified. */
const HELD_SECONDS = 20;

export class PictureSearch {
  /** `look`: {names}; `model()`: the model version whose vectors are compared; `onOpen(item)`: as for `Similar`. */
  constructor({ job, look, model, may, onOpen }) {
    Object.assign(this, { job, look, model, may, onOpen });
    this.everywhere = false;
    $("picture-file").addEventListener("change", ({ target }) => {
      const [chosen] = chosenFiles(target);
      // The same file can be chosen again.
      target.value = "";
      if (chosen) this.search(chosen.file);
    });
    $("picture-button").addEventListener("click", () => $("picture-file").click());
    $("found-here").addEventListener("click", () => this.lookIn(false));
    $("found-all").addEventListener("click", () => this.lookIn(true));
    $("found-close").addEventListener("click", () => this.close());
    this.listenForDrops();
    onLanguage(() => this.file && this.draw());
  }

  /** Show the button to callers who may search. */
  allow() {
    $("picture-button").hidden = !this.may();
  }

  /** The whole page accepts a picture, because the browser would open one that is dropped beside a drop zone. */
  listenForDrops() {
    let depth = 0;
    const over = (now) => {
      depth = now;
      $("drop-to-search").hidden = depth < 1 || !this.may();
    };
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragenter", (event) => hasFiles(event) && over(depth + 1));
    addEventListener("dragleave", (event) => hasFiles(event) && over(Math.max(0, depth - 1)));
    addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
    addEventListener("drop", async (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      over(0);
      const [dropped] = await droppedFiles(event.dataTransfer);
      if (dropped && this.may()) this.search(dropped.file);
    });
  }

  lookIn(everywhere) {
    this.everywhere = everywhere;
    this.search(this.file);
  }

  async search(file) {
    this.running?.abort();
    const running = (this.running = new AbortController());
    if (file !== this.file) {
      URL.revokeObjectURL($("found-picture").src);
      $("found-picture").src = URL.createObjectURL(file);
    }
    Object.assign(this, { file, rows: [], problem: null, isAsking: true });
    this.draw();
    $("found").scrollIntoView({ block: "nearest" });
    const form = new FormData();
    form.append("image", file, file.name);
    for (const [name, value] of Object.entries({ model: this.model(), limit: SHOWN, jobs: this.everywhere ? "all" : this.job })) form.append(name, value);
    try {
      const { body } = await post("/v1/search", form, { headers: { Prefer: `wait=${HELD_SECONDS}` }, signal: running.signal });
      this.rows = body.data;
    } catch (error) {
      if (error.name === "AbortError") return;
      this.problem = error;
    }
    this.isAsking = false;
    this.draw();
  }

  close() {
    this.running?.abort();
    $("found").hidden = true;
    $("picture-button").focus();
  }

  draw() {
    $("found").hidden = false;
    $("found-title").textContent = say("foundFor", { name: this.file.name });
    $("found-picture").alt = this.file.name;
    $("found-here").setAttribute("aria-pressed", String(!this.everywhere));
    $("found-all").setAttribute("aria-pressed", String(this.everywhere));
    $("found-list").replaceChildren(...lookAlikes(this.rows, this.look.names(), this.onOpen));
    $("found-note").hidden = Boolean(this.rows.length);
    if (this.problem) $("found-note").textContent = sayFailure(this.problem);
    else $("found-note").textContent = say(this.isAsking ? "similarAsking" : "similarNone");
  }
}
