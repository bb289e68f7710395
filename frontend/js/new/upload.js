// The upload of many files into an open job: in order, in several requests, so that it can pause, break and go on.
import { ApiError, change, get, post, postJson, Unreachable } from "../shared/api.js";

/** Most files and bytes of one request. What arrived with a request need not be sent again if the next one breaks. */
const MOST_FILES = 64;
const MOST_BYTES = 16 * 2 ** 20;
/** Milliseconds before the next attempt if the server does not answer: at first, and at most. */
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30000;
/** Milliseconds over which the rate is measured. */
const RATE_SPAN = 10000;

/** The job takes nothing any more: it was closed, canceled or deleted elsewhere. */
const OVER = ["job_not_open", "unknown_job", "expired"];

const isTemporary = (error) => error instanceof Unreachable || error.status === 503 || error.code === "rate_limited";

/**
 * `state` is one of: sending, waiting (the server does not answer), paused, broken (`error` says why), unreadable (all other files
 * have arrived), complete (all have arrived), closed, stopped, over (`error` says why the job takes nothing any more).
 */
export class Upload {
  /** `queue`: `{file, path}` in the order of the job's items. `file` may be null for those that have arrived. */
  constructor(queue, { onChange, onQueue }) {
    this.queue = queue;
    this.unreadable = [];
    this.job = null;
    this.state = "paused";
    this.error = null;
    /** The files of the request that runs, and how many of their bytes are sent. */
    this.batch = [];
    this.batchSent = 0;
    this.totalBytes = bytesOf(queue);
    this.arrivedBytes = 0;
    this.onChange = onChange;
    this.onQueue = onQueue;
    this.samples = [];
    this.aborter = null;
    this.isUncertain = false;
    this.isQueueNew = false;
  }

  /** How many files have arrived. */
  get arrived() {
    return this.job?.counts.total ?? 0;
  }

  get sentBytes() {
    return this.arrivedBytes + this.batchSent;
  }

  /** Bytes per second, or null while it is not known. */
  get rate() {
    const [first, last] = [this.samples[0], this.samples.at(-1)];
    return first && last.at - first.at > 500 ? ((last.bytes - first.bytes) * 1000) / (last.at - first.at) : null;
  }

  /** Create the job. `options`: name, model, priority. Throws as postJson. */
  async open(options) {
    this.#learn(await postJson("/v1/jobs", { open: true, ...options }));
  }

  /** Continue with a job that has some of the files already. */
  adopt(job) {
    this.#learn(job);
  }

  /** Send what has not arrived, until all has or something ends it. Never throws: see `state`. */
  async run() {
    this.aborter = new AbortController();
    this.samples = [];
    this.#enter("sending");
    try {
      if (this.isUncertain) await this.#ask();
      while (this.arrived < this.queue.length) {
        const batch = await this.#nextBatch();
        if (batch.length) await this.#send(batch);
      }
      this.#keepQueue();
      this.#enter(this.unreadable.length ? "unreadable" : "complete");
    } catch (error) {
      this.batch = [];
      this.batchSent = 0;
      this.isUncertain = true;
      if (error.name === "AbortError") return;
      this.#enter(OVER.includes(error.code) ? "over" : "broken", error);
    }
  }

  pause() {
    this.#enter("paused");
    this.aborter?.abort();
  }

  /** Send the files that could not be read once more. They come last. */
  retry() {
    this.queue = [...this.queue, ...this.unreadable];
    this.unreadable = [];
    this.isQueueNew = true;
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

  #learn(job) {
    this.job = job;
    this.batch = [];
    this.batchSent = 0;
    this.arrivedBytes = bytesOf(this.queue.slice(0, this.arrived));
    this.totalBytes = this.arrivedBytes + bytesOf(this.queue.slice(this.arrived));
    this.#measure();
  }

  #measure() {
    const now = performance.now();
    this.samples = [...this.samples.filter(({ at }) => now - at < RATE_SPAN), { at: now, bytes: this.sentBytes }];
  }

  /** The files of the next request. Those that cannot be read leave the queue. */
  async #nextBatch() {
    const batch = [];
    const lost = new Set();
    let size = 0;
    const candidates = this.queue.slice(this.arrived, this.arrived + MOST_FILES);
    for (const entry of candidates) {
      if (batch.length && size + (entry.file?.size ?? 0) > MOST_BYTES) break;
      if (await isReadable(entry.file)) {
        batch.push(entry);
        size += entry.file.size;
      } else {
        lost.add(entry);
      }
    }
    if (lost.size) {
      this.queue = this.queue.filter((entry) => !lost.has(entry));
      this.unreadable.push(...lost);
      this.totalBytes = bytesOf(this.queue);
      this.isQueueNew = true;
    }
    return batch;
  }

  /** Have a changed queue remembered. It must be before anything is sent, because the order counts. */
  #keepQueue() {
    if (this.isQueueNew) this.onQueue();
    this.isQueueNew = false;
  }

  async #send(batch) {
    this.#keepQueue();
    const form = new FormData();
    for (const { file, path } of batch) form.append("images", file, path);
    const size = bytesOf(batch);
    this.batch = batch;
    this.onChange();
    const onProgress = (sent, total) => {
      // The form is a little longer than its files.
      this.batchSent = total ? (size * sent) / total : 0;
      this.#measure();
      this.onChange();
    };
    try {
      const path = `/v1/jobs/${this.job.id}/items?position=${this.arrived}`;
      const { body } = await post(path, form, { onProgress, signal: this.aborter.signal });
      this.#learn(body);
    } catch (error) {
      if (error.code === "wrong_position") await this.#ask();
      else if (isTemporary(error)) await this.#waitForServer(error);
      else throw error;
    }
    this.onChange();
  }

  /** Ask how many files have arrived. */
  async #ask() {
    const { body } = await get(`/v1/jobs/${this.job.id}`, { signal: this.aborter.signal });
    this.#learn(body);
    this.isUncertain = false;
    if (!body.open_until) throw new ApiError(409, { code: "job_not_open" });
  }

  async #waitForServer(error) {
    this.batch = [];
    this.batchSent = 0;
    for (let wait = Math.max(FIRST_WAIT, (error.retryAfter ?? 0) * 1000); ; wait *= 2) {
      this.#enter("waiting", error);
      await pause(Math.min(wait, LONGEST_WAIT), this.aborter.signal);
      try {
        await this.#ask();
        break;
      } catch (again) {
        if (!isTemporary(again)) throw again;
      }
    }
    this.samples = [];
    this.#enter("sending");
  }
}

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
