// Everything that speaks to the server: fetch, abort, back-off, errors.

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || `HTTP ${status}`);
    this.status = status;
    this.code = problem.code || "http_error";
    this.errors = problem.errors || [];
  }
}

/** The server did not answer, or said that part of it is away: trying again makes sense. */
export class Unreachable extends Error {}

const TOKEN = /(?:^|; )lookbook_csrf=([^;]*)/;

/** Whether somebody signed in; without keys nobody has to. */
export const signedIn = () => TOKEN.test(document.cookie);

/** What has to come with everything that changes something. */
export function token() {
  const found = TOKEN.exec(document.cookie);
  return found ? { "X-CSRF-Token": found[1] } : {};
}

/** Nobody is signed in (any more): lead to where that is done, and from there back here. Never resolves. */
function toLogin() {
  location.assign(`/login?next=${encodeURIComponent(location.pathname)}`);
  return new Promise(() => {});
}

async function problemOf(response) {
  try {
    return await response.json();
  } catch {
    return {};
  }
}

/** GET JSON. With `etag`, an unchanged thing is `{unchanged: true}`. */
export async function get(path, { etag, signal } = {}) {
  let response;
  try {
    response = await fetch(path, { signal, cache: "no-store", headers: etag ? { "If-None-Match": etag } : {} });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable(error.message);
  }
  const retryAfter = Number(response.headers.get("Retry-After")) || 0;
  if (response.status === 304) return { unchanged: true, etag, retryAfter };
  if (response.status === 401) return toLogin();
  if (response.status === 503 || response.status === 429) throw new Unreachable(`HTTP ${response.status}`);
  if (!response.ok) throw new ApiError(response.status, await problemOf(response));
  return { body: await response.json(), etag: response.headers.get("ETag"), retryAfter };
}

/** POST a form; `onProgress(sent, total)` in bytes. Resolves to `{status, body}`. XMLHttpRequest, for fetch tells nothing of uploads. */
export function post(path, form, { onProgress, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    for (const [name, value] of Object.entries(token())) request.setRequestHeader(name, value);
    request.responseType = "json";
    if (onProgress) request.upload.addEventListener("progress", (event) => onProgress(event.loaded, event.total));
    request.addEventListener("load", () => {
      if (request.status < 400) resolve({ status: request.status, body: request.response });
      else if (request.status === 401) resolve(toLogin());
      else reject(new ApiError(request.status, request.response || {}));
    });
    request.addEventListener("error", () => reject(new Unreachable("connection lost")));
    request.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
    if (signal) signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** POST JSON. Resolves to what it led to. */
export async function postJson(path, value) {
  let response;
  try {
    const headers = { "Content-Type": "application/json", ...token() };
    response = await fetch(path, { method: "POST", cache: "no-store", headers, body: JSON.stringify(value) });
  } catch (error) {
    throw new Unreachable(error.message);
  }
  if (response.status === 401) return toLogin();
  if (!response.ok) throw new ApiError(response.status, await problemOf(response));
  return response.json();
}

/** Ask for a change without a body: `method` is POST or DELETE. Resolves to what it led to, if the server says. */
export async function change(method, path) {
  let response;
  try {
    response = await fetch(path, { method, cache: "no-store", headers: token() });
  } catch (error) {
    throw new Unreachable(error.message);
  }
  if (response.status === 401) return toLogin();
  if (!response.ok) throw new ApiError(response.status, await problemOf(response));
  return response.status === 204 ? null : response.json();
}

/** GET a file, as one that a person has chosen. */
export async function getFile(url, name) {
  const response = await fetch(url);
  return new File([await response.blob()], name);
}

/** Exchange a key for a session. */
export async function signIn(key) {
  let response;
  try {
    const headers = { "Content-Type": "application/json" };
    response = await fetch("/session", { method: "POST", cache: "no-store", headers, body: JSON.stringify({ key }) });
  } catch (error) {
    throw new Unreachable(error.message);
  }
  if (!response.ok) throw new ApiError(response.status, await problemOf(response));
}

/** End the session, and lead to where the next one begins. */
export async function signOut() {
  await change("DELETE", "/session");
  location.assign("/login");
}

const FIRST_WAIT = 700;
const LONGEST_WAIT = 15000;

/**
 * Follow a job until it is over. `onJob(job)` on every change; `onTrouble(true|false)` when the server goes and comes back.
 * Waits as long as the server's Retry-After says, longer while nothing changes, and while the page is hidden.
 */
export async function followJob(id, { onJob, onTrouble, signal }) {
  let etag;
  let quiet = 0;
  let failures = 0;
  for (;;) {
    let wait = FIRST_WAIT;
    try {
      const answer = await get(`/v1/jobs/${encodeURIComponent(id)}`, { etag, signal });
      if (failures) onTrouble(false);
      failures = 0;
      quiet = answer.unchanged ? quiet + 1 : 0;
      wait = Math.max(answer.retryAfter * 1000, FIRST_WAIT * 1.5 ** quiet);
      if (!answer.unchanged) {
        await onJob(answer.body);
        if (isOver(answer.body)) return;
        // Only now: what could not be drawn is asked for again.
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

export function isOver(job) {
  return job.status === "completed" || job.status === "canceled" || job.status === "failed";
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const done = () => (document.hidden ? document.addEventListener("visibilitychange", resolve, { once: true }) : resolve());
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("aborted", "AbortError"));
    });
  });
}
