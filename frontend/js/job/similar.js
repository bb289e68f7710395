// The strip of pictures that look like the one in the viewer. It is fetched only while it is shown.
import { isVisitor, requestJson } from "../shared/api.js";
import { lookAlikes } from "../shared/look-alikes.js";
import { $, onLanguage, say, sayFailure } from "../shared/page.js";

/** Pictures in the strip. */
const SHOWN = 24;

export class Similar {
  /** `look`: {names}; `onOpen(item)`: open an item in this page if it is in the list, and return whether it is. */
  constructor(look, onOpen) {
    Object.assign(this, { look, onOpen });
    this.isOn = false;
    this.jobs = null;
    this.button = $("viewer-similar");
    this.button.addEventListener("click", () => this.toggle());
    $("similar-here").addEventListener("click", () => this.lookIn(null));
    $("similar-all").addEventListener("click", () => this.lookIn("all"));
    onLanguage(() => this.item && this.draw());
  }

  toggle() {
    if (this.button.hidden) return;
    this.isOn = !this.isOn;
    this.load();
  }

  /** Look within the job (null), or in all jobs. */
  lookIn(jobs) {
    this.jobs = jobs;
    this.load();
  }

  /** The viewer shows another item. The strip stays on. */
  show(item) {
    this.item = item;
    this.button.hidden = item.status !== "succeeded";
    this.load();
  }

  async load() {
    const { item, jobs } = this;
    const asked = (this.asked = {});
    this.rows = [];
    this.problem = null;
    this.isAsking = this.isOn && item.status === "succeeded";
    this.draw();
    if (!this.isAsking) return;
    try {
      const query = new URLSearchParams({ limit: SHOWN, ...(jobs ? { jobs } : {}) });
      const answer = await requestJson("GET", `/v1/items/${encodeURIComponent(item.id)}/similar?${query}`);
      // The person has moved on meanwhile.
      if (this.asked !== asked) return;
      this.rows = answer.data;
    } catch (error) {
      if (this.asked !== asked) return;
      this.problem = error;
    }
    this.isAsking = false;
    this.draw();
  }

  draw() {
    const shown = this.isOn && !this.button.hidden;
    this.button.setAttribute("aria-pressed", String(shown));
    $("similar").hidden = !shown;
    $("viewer").classList.toggle("with-similar", shown);
    $("similar-all").hidden = isVisitor();
    $("similar-here").hidden = isVisitor();
    $("similar-here").setAttribute("aria-pressed", String(!this.jobs));
    $("similar-all").setAttribute("aria-pressed", String(Boolean(this.jobs)));
    $("similar-list").replaceChildren(...lookAlikes(this.rows, this.look.names(), this.onOpen));
    $("similar-list").hidden = !this.rows.length;
    $("similar-note").textContent = this.note();
    $("similar-note").hidden = Boolean(this.rows.length);
  }

  note() {
    if (this.problem) return sayFailure(this.problem);
    return say(this.isAsking ? "similarAsking" : "similarNone");
  }
}
