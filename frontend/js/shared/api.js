// All requests to the server: sending, errors, sign-in, and polling a job.

export class ApiError extends Error {
  /** `retryAfter`: seconds after which the server asks for another attempt. 0: it names none. */
  constructor(status, problem, retryAfter = 0) {
    super(problem.detail || `HTTP ${status}`);
    this.status = status;
    this.code = problem.code || "http_error";
    this.errors = problem.errors || [];
    this.retryAfter = retryAfter;
  }
}

/** The server did not answer, or it is overloaded or partly down. Sending the request again can help. */
export class Unreachable extends Error {}

const CSRF_COOKIE = /(?:^|; )lookbook_csrf=([^;]*)/;

/** Whether the visitor has a session. A service without keys needs none. */
export const signedIn = () => CSRF_COOKIE.test(document.cookie);

/** Whether a link to one job shows this page to somebody without a key. */
export const isVisitor = () => "visitor" in document.body.dataset;

/** The header that the server requires on every request that changes something. Empty without a session. */
export function csrfHeader() {
  const found = CSRF_COOKIE.exec(document.cookie);
  return found ? { "X-CSRF-Token": found[1] } : {};
}

let askedSession = null;

/** Resolves to who is signed in and what it may do (`GET /session`). A page asks once. */
export function session() {
  askedSession ??= get("/session").then(({ body }) => body);
  return askedSession;
}

/** Go to the login page, which leads back here. The promise never resolves, so that the caller does not go on. */
function toLogin() {
  const here = location.pathname + location.search + location.hash;
  location.assign(`/login?next=${encodeURIComponent(here)}`);
  return new Promise(() => {});
}

/** Send a request. Throws Unreachable if no response comes, and AbortError if `signal` ends the request. */
async function send(path, options) {
  try {
    return await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable(error.message);
  }
}

/** The response, if it is a success. Throws ApiError otherwise; without a session, goes to the login page. */
async function successful(response) {
  if (response.status === 401) return toLogin();
  if (!response.ok) throw new ApiError(response.status, await problemOf(response));
  return response;
}

async function problemOf(response) {
  try {
    return await response.json();
  } catch {
    return {};
  }
}

/** GET JSON. Resolves to `{body, etag, retryAfter}`, or to `{unchanged: true}` if the server still has `etag`. */
export async function get(path, { etag, signal } = {}) {
  const response = await send(path, { signal, headers: etag ? { "If-None-Match": etag } : {} });
  const retryAfter = Number(response.headers.get("Retry-After")) || 0;
  if (response.status === 304) return { unchanged: true, etag, retryAfter };
  if (response.status === 503 || response.status === 429) throw new Unreachable(`HTTP ${response.status}`);
  await successful(response);
  return { body: await response.json(), etag: response.headers.get("ETag"), retryAfter };
}

/**
 * POST a form, with `headers` if there are any. Calls `onProgress(sent, total)` with bytes. Resolves to `{status, body}`.
 * It uses XMLHttpRequest because fetch does not report the progress of an upload.
 */
export function post(path, form, { headers = {}, onProgress, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    for (const [name, value] of Object.entries({ ...headers, ...csrfHeader() })) request.setRequestHeader(name, value);
    request.responseType = "json";
    if (onProgress) request.upload.addEventListener("progress", (event) => onProgress(event.loaded, event.total));
    request.addEventListener("load", () => {
      if (request.status < 400) resolve({ status: request.status, body: request.response });
      else if (request.status === 401) resolve(toLogin());
      else reject(new ApiError(request.status, request.response || {}, Number(request.getResponseHeader("Retry-After")) || 0));
    });
    request.addEventListener("error", () => reject(new Unreachable("connection lost")));
    request.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
    if (signal) signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** Send JSON. Resolves to the JSON of the response, or to null if it has no body. */
export async function requestJson(method, path, value) {
  const headers = { "Content-Type": "application/json", ...csrfHeader() };
  const response = await successful(await send(path, { method, headers, body: JSON.stringify(value) }));
  return response.status === 204 ? null : response.json();
}

export const postJson = (path, value) => requestJson("POST", path, value);

/** Send a POST or DELETE without a body. Resolves to the JSON of the response, or to null if it has no body. */
export async function change(method, path) {
  const response = await successful(await send(path, { method, headers: csrfHeader() }));
  return response.status === 204 ? null : response.json();
}

/** POST JSON and receive a file. Resolves to a File with the name that the server gave it. */
export async function requestFile(path, value) {
  const headers = { "Content-Type": "application/json", ...csrfHeader() };
  const response = await successful(await send(path, { method: "POST", headers, body: JSON.stringify(value) }));
  const named = /filename\*=UTF-8''([^;]+)|filename="?([^";]+)/.exec(response.headers.get("Content-Disposition") ?? "");
  const name = named?.[1] ? decodeURIComponent(named[1]) : (named?.[2] ?? "export");
  return new File([await response.blob()], name);
}

/** GET a file. Resolves to a File, as if a person had chosen it. */
export async function getFile(url, name) {
  const response = await fetch(url);
  return new File([await response.blob()], name);
}

/** Start a session with a key. */
export async function signIn(key) {
  const headers = { "Content-Type": "application/json" };
  const response = await send("/session", { method: "POST", headers, body: JSON.stringify({ key }) });
  // A 401 means a wrong key here: the login page is already open.
  if (!response.ok) throw new ApiError(response.status, await problemOf(response));
}

/** End the session and go to the login page. */
export async function signOut() {
  await change("DELETE", "/session");
  location.assign("/login");
}

/** Milliseconds between two polls: at first, and at most. */
const FIRST_WAIT = 700;
const LONGEST_WAIT = 15000;

/**
 * Poll a job until it is finished. `query()` is asked before each poll for what else the answer should include. Calls `onJob(job)` on every change, `onTrouble(true)` when the server stops answering, and
 * `onTrouble(false)` when it answers again. The next poll waits for the server's Retry-After, longer while the job does
 * not change, and as long as the page is hidden.
 */
export async function followJob(id, { onJob, onTrouble, query = () => ({}), signal }) {
  let etag;
  let unchangedPolls = 0;
  let failures = 0;
  for (;;) {
    let wait = FIRST_WAIT;
    try {
      const answer = await get(`/v1/jobs/${encodeURIComponent(id)}?${new URLSearchParams(query())}`, { etag, signal });
      if (failures) onTrouble(false);
      failures = 0;
      unchangedPolls = answer.unchanged ? unchangedPolls + 1 : 0;
      wait = Math.max(answer.retryAfter * 1000, FIRST_WAIT * 1.5 ** unchangedPolls);
      if (!answer.unchanged) {
        await onJob(answer.body);
        if (isFinished(answer.body)) return;
        // Remember the ETag only after drawing, so that a job that could not be drawn is fetched again.
        etag = answer.etag;
      }
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      failures += 1;
      onTrouble(true);
      wait = FIRST_WAIT * 2 ** failures;
    }
    await pause(Math.min(wait, LONGEST_WAIT), signal);
  }
}

export function isFinished(job) {
  return job.status === "completed" || job.status === "canceled" || job.status === "failed";
}

/** Resolves after a time, and not while the page is hidden. Rejects if `signal` ends it. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const done = () => (document.hidden ? document.addEventListener("visibilitychange", resolve, { once: true }) : resolve());
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("aborted", "AbortError"));
    });
  });
}
