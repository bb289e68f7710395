// The upload of many files into an open job: in several requests at once, so that it is fast, can pause, break and go on.
import { change, get, post, postJson, Unreachable } from "../shared/api.js";

/** Most files and bytes of one request. If it breaks, no more than these are sent again. */
const MOST_FILES = 64;
const MOST_BYTES = 16 * 2 ** 20;
/** Requests that run at the same time. A browser opens six connections to a host, and the page needs some of them. */
const AT_ONCE = 3;
/** Milliseconds before the next attempt if the server does not answer: at first, and at most. */
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30000;
/** Milliseconds over which the rate is measured. */
const RATE_SPAN = 10000;
/** Of a longer name, the service keeps this many characters in all, with an ellipsis before this many of its end. */
const MOST_CHARACTERS = 500;
const END_CHARACTERS = 100;

/** The job takes nothing any more: it was closed, canceled or deleted elsewhere. */
const OVER = ["job_not_open", "unknown_job", "expired"];
/** Sending the same request again can help. */
const TEMPORARY = ["rate_limited", "request_in_progress"];

const isTemporary = (error) => error instanceof Unreachable || error.status === 503 || TEMPORARY.includes(error.code);

/**
 * `state` is one of: sending, waiting (the server does not answer), paused, broken (`error` says why), unreadable (all other files
 * have arrived), complete (all have arrived), closed, stopped, over (`error` says why the job takes nothing any more).
 */
export class Upload {
  /** `queue`: `{file, path}`. `file` may be null for those that have arrived, which then have a `size`. */
  constructor(queue, onChange) {
    this.queue = queue;
    this.unreadable = [];
    this.job = null;
    this.state = "paused";
    this.error = null;
    /** Entries that are in no request yet. */
    this.rest = [...queue];
    /** Requests that have been begun: `{entries, size, sent, key, isWaiting}`. */
    this.batches = [];
    /** How many files have arrived. */
    this.arrived = 0;
    this.arrivedBytes = 0;
    this.totalBytes = bytesOf(queue);
    this.onChange = onChange;
    this.samples = [];
    this.aborter = null;
  }

  get sentBytes() {
    return this.batches.reduce((sum, { sent }) => sum + sent, this.arrivedBytes);
  }

  /** Bytes per second, or null while it is not known. */
  get rate() {
    const [first, last] = [this.samples[0], this.samples.at(-1)];
    return first && last.at - first.at > 500 ? ((last.bytes - first.bytes) * 1000) / (last.at - first.at) : null;
  }

  /** Create the job. `options`: name, model, priority. Throws as postJson. */
  async open(options) {
    this.job = await postJson("/v1/jobs", { open: true, ...options });
  }

  /** Continue with a job that has the files `arrived` of the queue already. */
  adopt(job, arrived) {
    this.job = job;
    this.rest = this.queue.filter((entry) => !arrived.has(entry));
    this.arrived = arrived.size;
    this.arrivedBytes = bytesOf([...arrived]);
    this.totalBytes = bytesOf(this.queue);
  }

  /** Send what has not arrived, until all has or something ends it. Never throws: see `state`. */
  async run() {
    this.aborter = new AbortController();
    this.samples = [];
    for (const batch of this.batches) batch.isWaiting = false;
    this.#enter("sending");
    // Requests that were broken off are sent again as they were, so that the server recognises those that have arrived.
    const begun = [...this.batches];
    const results = await Promise.allSettled(Array.from({ length: AT_ONCE }, () => this.#sendSome(begun)));
    for (const batch of this.batches) batch.sent = 0;
    const error = results.map(({ reason }) => reason).find((reason) => reason && reason.name !== "AbortError");
    if (error) this.#enter(OVER.includes(error.code) ? "over" : "broken", error);
    else if (results.every(({ status }) => status === "fulfilled")) this.#enter(this.unreadable.length ? "unreadable" : "complete");
  }

  pause() {
    this.#enter("paused");
    this.aborter?.abort();
  }

  /** Send the files that could not be read once more. */
  retry() {
    this.queue = [...this.queue, ...this.unreadable];
    this.rest = this.unreadable;
    this.unreadable = [];
    this.totalBytes = bytesOf(this.queue);
    return this.run();
  }

  /** End the job with the files that have arrived. Throws as the API. */
  async close() {
    await change("POST", `/v1/jobs/${this.job.id}/close`);
    this.#enter("closed");
  }

  /** Cancel the job. Throws as the API. */
  async stop() {
    this.pause();
    await change("POST", `/v1/jobs/${this.job.id}/cancel`);
    this.#enter("stopped");
  }

  #enter(state, error = null) {
    this.state = state;
    this.error = error;
    this.onChange();
  }

  #measure() {
    const now = performance.now();
    this.samples = [...this.samples.filter(({ at }) => now - at < RATE_SPAN), { at: now, bytes: this.sentBytes }];
  }

  /** Send one request after another, first those of `begun`, until nothing is left. */
  async #sendSome(begun) {
    try {
      for (;;) {
        const batch = begun.shift() ?? (await this.#nextBatch());
        if (!batch) return;
        await this.#deliver(batch);
      }
    } catch (error) {
      // The other requests would fail as well, or go on behind the message.
      this.aborter.abort();
      throw error;
    }
  }

  /** The next request, or null if no file is left. Files that cannot be read leave the queue. */
  async #nextBatch() {
    while (this.rest.length && !this.aborter.signal.aborted) {
      let size = 0;
      const end = this.rest.findIndex((entry) => (size += bytesOf([entry])) > MOST_BYTES);
      const candidates = this.rest.splice(0, Math.min(MOST_FILES, end === -1 ? MOST_FILES : Math.max(1, end)));
      const readable = await Promise.all(candidates.map(({ file }) => isReadable(file)));
      const entries = candidates.filter((_, index) => readable[index]);
      this.#leaveOut(candidates.filter((_, index) => !readable[index]));
      if (!entries.length) continue;
      const batch = { entries, size: bytesOf(entries), sent: 0, key: randomKey(), isWaiting: false };
      this.batches.push(batch);
      this.onChange();
      return batch;
    }
    this.aborter.signal.throwIfAborted();
    return null;
  }

  #leaveOut(entries) {
    if (!entries.length) return;
    const lost = new Set(entries);
    this.queue = this.queue.filter((entry) => !lost.has(entry));
    this.unreadable.push(...entries);
    this.totalBytes = bytesOf(this.queue);
  }

  /** Send a request until it has arrived. */
  async #deliver(batch) {
    for (let wait = FIRST_WAIT; ; wait *= 2) {
      try {
        await this.#send(batch);
        return;
      } catch (error) {
        if (!isTemporary(error)) throw error;
        batch.isWaiting = true;
        batch.sent = 0;
        if (this.batches.every(({ isWaiting }) => isWaiting)) this.#enter("waiting", error);
        await pause(Math.min(Math.max(wait, (error.retryAfter ?? 0) * 1000), LONGEST_WAIT), this.aborter.signal);
      }
    }
  }

  async #send(batch) {
    const form = new FormData();
    for (const { file, path } of batch.entries) form.append("images", file, path);
    const onProgress = (sent, total) => {
      // The form is a little longer than its files.
      batch.sent = total ? (batch.size * sent) / total : 0;
      batch.isWaiting = false;
      this.#measure();
      if (this.state === "waiting") this.#enter("sending");
      else this.onChange();
    };
    const headers = { "Idempotency-Key": batch.key };
    const { body } = await post(`/v1/jobs/${this.job.id}/items`, form, { headers, onProgress, signal: this.aborter.signal });
    this.job = body;
    this.batches.splice(this.batches.indexOf(batch), 1);
    this.arrived += batch.entries.length;
    this.arrivedBytes += batch.size;
    this.#measure();
    if (this.state === "waiting") this.#enter("sending");
    else this.onChange();
  }
}

/** The entries of a queue that a job has already, as a Set. Files of the same path count as often as the job has it. */
export async function arrivedOf(job, queue) {
  const names = new Map();
  for (let path = `/v1/jobs/${job.id}/items?limit=200`; path; ) {
    const { body } = await get(path);
    for (const { source } of body.data) names.set(source.name, (names.get(source.name) ?? 0) + 1);
    path = body.next_cursor && `/v1/jobs/${job.id}/items?limit=200&cursor=${encodeURIComponent(body.next_cursor)}`;
  }
  const arrived = new Set();
  for (const entry of queue) {
    const name = storedName(entry.path);
    const left = names.get(name) ?? 0;
    if (left) arrived.add(entry);
    names.set(name, left - 1);
  }
  return arrived;
}

function storedName(path) {
  const characters = [...path];
  if (characters.length <= MOST_CHARACTERS) return path;
  const start = characters.slice(0, MOST_CHARACTERS - 1 - END_CHARACTERS).join("");
  return `${start}…${characters.slice(-END_CHARACTERS).join("")}`;
}

/** A random key. `crypto.randomUUID` exists only on pages that came by HTTPS or from this machine. */
const randomKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

export const bytesOf = (entries) => entries.reduce((sum, { file, size }) => sum + (file?.size ?? size ?? 0), 0);

/** Whether a file is still there. If it is not, the request would fail as if the connection were lost. */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("aborted", "AbortError"));
    });
  });
}
