// Draws an upload that runs: how far it is in all and per file, how fast, and what a person can do.
import { $, bytes, duration, make, number, percent, say, sayFailure } from "../shared/page.js";

/** Milliseconds between two drawings of the figures. */
const INTERVAL = 200;
/** Most files whose names are listed. */
const MOST_ROWS = 200;
const STATES = {
  sending: "stateSending",
  waiting: "stateWaiting",
  paused: "statePaused",
  broken: "stateBroken",
  over: "stateBroken",
  unreadable: "stateUnreadable",
  complete: "stateComplete",
  closed: "stateComplete",
  stopped: "stateStopped",
};
const BUTTONS = {
  sending: ["pause", "stop"],
  waiting: ["pause", "stop"],
  paused: ["go-on", "stop"],
  broken: ["go-on", "finish", "stop"],
  over: [],
  unreadable: ["again", "finish", "stop"],
  complete: [],
  closed: [],
  stopped: [],
};

export class SendingView {
  #timer = null;
  #drawn = null;

  /** Show a name and the figures of `upload`: an Upload, or `{state, sentBytes, totalBytes}` of a single file. */
  show(name, upload) {
    this.name = name;
    this.upload = upload;
    this.#drawn = null;
    $("sending").hidden = false;
    this.draw();
  }

  /** Draw soon. Called on every event, of which there may be hundreds in a second. */
  changed() {
    if (this.upload.state !== this.#drawn) this.draw();
    else this.#timer ??= setTimeout(() => this.draw(), INTERVAL);
  }

  draw() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const { upload } = this;
    if (!upload) return;
    const isNew = upload.state !== this.#drawn;
    this.#drawn = upload.state;
    const share = upload.totalBytes ? Math.min(1, upload.sentBytes / upload.totalBytes) : 0;
    $("sending-title").textContent = say("sendingName", { name: this.name });
    $("sending-line").setAttribute("aria-valuenow", Math.round(share * 100));
    $("sending-line").firstElementChild.style.width = `${share * 100}%`;
    document.title = `${percent(share)} · ${this.name} · Lookbook`;
    $("sending-facts").replaceChildren(...this.#facts().map((fact) => make("span", {}, fact)));
    $("now").replaceChildren(...this.#rows());
    // Spoken by screen readers, so it changes only with the state.
    $("sending-state").textContent = this.#stateText();
    if (isNew) this.#drawButtons();
    $("sending-problem").hidden = !upload.error || !["broken", "over"].includes(upload.state);
    $("sending-problem").textContent = upload.error ? sayFailure(upload.error) : "";
  }

  #facts() {
    const { queue, arrived, batches, sentBytes, totalBytes, rate, state, unreadable } = this.upload;
    const facts = [];
    if (queue) facts.push(say("filesOf", { done: number(arrived), total: number(queue.length) }));
    facts.push(say("bytesOf", { done: bytes(sentBytes), total: bytes(totalBytes) }));
    if (state === "sending" && rate) {
      facts.push(say("perSecond", { rate: bytes(rate) }), say("timeLeft", { time: duration((totalBytes - sentBytes) / rate) }));
    }
    if (state === "sending" && batches?.length > 1) facts.push(say("requestsAtOnce", { count: number(batches.length) }));
    if (unreadable?.length) facts.push(say("unreadableCount", { count: number(unreadable.length) }));
    return facts;
  }

  #stateText() {
    const { state, sentBytes, totalBytes } = this.upload;
    if (state === "sending" && totalBytes && sentBytes >= totalBytes) return say("received");
    return say(STATES[state]);
  }

  /** The files of the requests that run, each with its share, or those that could not be read. */
  #rows() {
    const { batches = [], unreadable = [], state } = this.upload;
    if (state === "unreadable") return unreadable.slice(0, MOST_ROWS).map(({ path }) => make("li", { class: "failed" }, path));
    return batches.flatMap(rowsOf).slice(0, MOST_ROWS);
  }

  #drawButtons() {
    const { state, job } = this.upload;
    const wanted = new Set(this.upload.queue ? BUTTONS[state] : ["stop"]);
    for (const id of ["go-on", "again", "finish", "pause", "stop"]) $(id).hidden = !wanted.has(id);
    $("so-far").hidden = !job;
    if (job) $("so-far").href = job.links.page;
  }
}

/** The files of a request. It sends one after the other. */
function rowsOf({ entries, sent }) {
  let before = 0;
  return entries.map(({ file, path }) => {
    const share = Math.max(0, Math.min(1, (sent - before) / file.size));
    before += file.size;
    const bar = make("i");
    bar.style.width = `${share * 100}%`;
    const track = make("span", { class: "track" }, bar);
    return make("li", {}, make("span", {}, path), make("span", {}, percent(share)), track);
  });
}
