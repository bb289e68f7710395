// Sends one picture, or a part of it, and waits for its answer.
import { get, pause, post, Unreachable } from "../shared/api.js";

/** Seconds for which the server holds the request before it says that the picture must wait. */
const HELD_SECONDS = 2;
const FIRST_RETRY = 1000;
const LONGEST_RETRY = 15000;

/** The picture was stored, but could not be classified. `error`: {code, detail}. */
export class Unclassified extends Error {
  constructor(error) {
    super(error.detail);
    this.code = error.code;
  }
}

/**
 * Classify a file, or its part `crop` ({x, y, width, height} in source pixels); the file is always sent whole. Resolves to
 * `{item, milliseconds}`. Calls `onProgress(sent, total)` with bytes while it sends, and `onQueue(item)` each time that the
 * server says that the picture still waits. Throws ApiError, Unreachable, Unclassified, or AbortError.
 */
export async function classify(file, crop, { onProgress, onQueue, signal }) {
  const form = new FormData();
  form.append("image", file, file.name);
  if (crop) form.append("crop", JSON.stringify(crop));
  const began = performance.now();
  const headers = { Prefer: `wait=${HELD_SECONDS}` };
  const { status, body } = await post("/v1/classifications", form, { headers, onProgress, signal });
  const item = status === 202 ? await follow(body, onQueue, signal) : body;
  return { item, milliseconds: Math.round(performance.now() - began) };
}

/** Ask for an item until it is classified. A server that does not answer is asked again, more and more seldom. */
export async function follow(item, onQueue, signal) {
  let failures = 0;
  for (let wait = FIRST_RETRY; item.status === "pending"; ) {
    onQueue(item);
    await pause(wait, signal);
    try {
      const { body, retryAfter } = await get(`/v1/items/${encodeURIComponent(item.id)}`, { signal });
      failures = 0;
      wait = Math.max(retryAfter * 1000, FIRST_RETRY);
      item = body;
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      failures += 1;
      wait = Math.min(FIRST_RETRY * 2 ** failures, LONGEST_RETRY);
    }
  }
  if (item.status !== "succeeded") throw new Unclassified(item.error ?? { code: "gone", detail: "" });
  return item;
}
