// One row of the list of jobs. It changes in place, so that a row keeps the focus and the name that is being typed.
import { isFinished } from "../shared/api.js";
import { pathOfVersion } from "../shared/model-versions.js";
import { day, dayAndTime, duration, make, number, percent, say, sayOf } from "../shared/page.js";

/** Thumbnails of a row. */
export const THUMBNAILS = 5;
const MAX_NAME = 200;

export class Row {
  /** `on`: functions of a job: `rename(job, name)`, `stop(job)`, `remove(job)`, `choose(job, isChosen)`. */
  constructor(job, on, mayChange) {
    this.job = job;
    this.on = on;
    this.mayChange = mayChange;
    this.check = make("input", { type: "checkbox" });
    this.check.addEventListener("change", () => on.choose(this.job, this.check.checked));
    this.strip = make("a", { class: "strip", href: job.links.page, tabindex: "-1", "aria-hidden": "true" });
    this.title = make("a", { class: "title", href: job.links.page });
    this.facts = make("div", { class: "facts" });
    this.line = make("div", { class: "line", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" }, make("i"));
    this.renameButton = this.#button(() => this.#rename());
    this.stopButton = this.#button(() => on.stop(this.job));
    this.deleteButton = this.#button(() => on.remove(this.job));
    const actions = make("div", { class: "row-actions" }, this.renameButton, this.stopButton, this.deleteButton);
    this.about = make("div", { class: "about" }, this.title, this.facts);
    this.element = make("li", { class: "job-row" }, this.check, this.strip, this.about, actions, this.line);
    this.drawn = "";
    this.update(job);
  }

  update(job) {
    this.job = job;
    const text = JSON.stringify(job);
    if (text === this.drawn) return;
    this.drawn = text;
    this.draw();
  }

  draw() {
    const { job } = this;
    const finished = isFinished(job);
    this.title.textContent = job.name;
    this.check.setAttribute("aria-label", say("choose", { name: job.name }));
    this.line.setAttribute("aria-label", say("progressOf", { name: job.name }));
    const share = shareOf(job);
    this.line.setAttribute("aria-valuenow", Math.round(share * 100));
    this.line.classList.toggle("done", finished);
    this.line.firstElementChild.style.width = `${share * 100}%`;
    this.#name(this.renameButton, "rename");
    this.#name(this.stopButton, job.canceling ? "canceling" : "stop");
    this.#name(this.deleteButton, "delete");
    this.renameButton.hidden = !this.mayChange;
    this.stopButton.hidden = finished || !this.mayChange;
    this.stopButton.disabled = job.canceling;
    this.deleteButton.hidden = !finished || !this.mayChange;
    this.facts.replaceChildren(...factsOf(job));
    this.#drawStrip();
  }

  set chosen(isChosen) {
    this.check.checked = isChosen;
  }

  #button(action) {
    const button = make("button", { class: "quiet", type: "button" });
    button.addEventListener("click", action);
    return button;
  }

  /** A short word to see, with the name of the job for those who hear it. */
  #name(button, word) {
    button.textContent = say(word);
    button.setAttribute("aria-label", `${say(word)}: ${this.job.name}`);
  }

  #drawStrip() {
    const paths = this.job.thumbnails;
    // Slots for pictures that are still to come keep their place.
    const slots = isFinished(this.job) ? paths.length : Math.min(THUMBNAILS, Math.max(paths.length, this.job.counts.total));
    for (let index = 0; index < slots; index += 1) {
      const present = this.strip.children[index];
      if (paths[index] ? present?.dataset.path === paths[index] : present) continue;
      const slot = paths[index] ? thumbnail(paths[index]) : make("span");
      if (present) present.replaceWith(slot);
      else this.strip.append(slot);
    }
    while (this.strip.children.length > slots) this.strip.lastElementChild.remove();
  }

  #rename() {
    const input = make("input", { class: "rename", maxlength: MAX_NAME, "aria-label": say("newName"), spellcheck: "false" });
    input.value = this.job.name;
    let isOver = false;
    const end = (takes) => {
      if (isOver) return;
      isOver = true;
      const name = input.value.trim();
      const hadFocus = document.activeElement === input;
      input.replaceWith(this.title);
      if (hadFocus) this.renameButton.focus();
      if (takes && name && name !== this.job.name) this.on.rename(this.job, name);
    };
    input.addEventListener("keydown", (event) => {
      // Enter also ends the composition of Korean letters.
      if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
      event.preventDefault();
      end(event.key === "Enter");
    });
    input.addEventListener("blur", () => end(true));
    this.title.replaceWith(input);
    input.focus();
    input.select();
  }
}

function shareOf(job) {
  const { total, pending } = job.counts;
  return total ? (total - pending) / total : Number(isFinished(job));
}

function thumbnail(path) {
  const image = make("img", { alt: "", width: 50, height: 66, loading: "lazy", decoding: "async" });
  image.dataset.path = path;
  image.addEventListener("load", () => image.classList.add("in"));
  image.src = path;
  return image;
}

function factsOf(job) {
  const { total, pending, failed } = job.counts;
  const facts = [];
  const add = (text, kind) => facts.push(make("span", { class: kind }, text));
  if (job.status !== "completed") add(stateOf(job), "state");
  if (job.status === "completed") add(say(total === 1 ? "onePicture" : "pictureCount", { count: number(total) }));
  else add(say("done", { done: number(total - pending), total: number(total) }));
  if (failed) add(`✕ ${say("failed", { count: number(failed) })}`, "failed");
  if (!isFinished(job) && job.eta_seconds !== null) add(say("left", { time: duration(job.eta_seconds) }));
  const when = make("time", { datetime: job.created_at, title: dayAndTime(job.created_at) }, dayAndTime(job.created_at));
  facts.push(when);
  add(sayOf("sources", job.source));
  const model = make("a", { class: "muted", href: pathOfVersion(job.model) }, `${job.model.name}@${job.model.version}`);
  facts.push(model);
  if (job.owner) add(say("by", { name: job.owner.name }));
  if (job.expires_at) add(say("keptUntil", { day: day(job.expires_at) }));
  return facts;
}

function stateOf(job) {
  if (job.canceling) return say("canceling");
  if (job.status === "running" && !job.discovering) return percent(shareOf(job));
  if (job.discovering) return sayOf("discoveries", job.open_until ? "open" : job.source);
  return sayOf("statuses", job.status);
}
