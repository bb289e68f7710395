// Every address that a crawl met, with what became of it: pages of rows, fetched as they are scrolled to.
import { get, Unreachable } from "./api.js";
import { $, link, make, onLanguage, say, sayOf } from "./page.js";
import { CRAWL_WORDS } from "./words-crawl.js";

const PAGE = 100;
const NEAR = 800;
/** Nobody asks where these were found. */
const QUIET = new Set(["queued", "done", "not_modified"]);

export class Urls {
  constructor(job) {
    this.path = `/v1/jobs/${encodeURIComponent(job)}/urls`;
    this.generation = 0;
    this.opened = false;
    for (const id of ["urls-state", "urls-kind"]) $(id).addEventListener("change", () => this.show());
    new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.more(), {
      rootMargin: `${NEAR}px`,
    }).observe($("urls-end"));
    onLanguage(() => this.relabel());
  }

  /** The list is looked at; the first time, it is fetched. */
  open() {
    if (!this.opened) this.show();
    this.opened = true;
  }

  /** Start anew, with the filter that is chosen. */
  async show() {
    this.generation += 1;
    this.pages = [];
    this.next = "";
    this.busy = false;
    for (const body of [...$("urls-table").tBodies]) body.remove();
    await this.more();
  }

  async more() {
    if (this.busy || this.next === null || this.next === undefined) return;
    const cursor = this.next;
    await this.alone(async () => {
      const page = { cursor, body: make("tbody"), rows: [] };
      if (!(await this.fill(page))) return false;
      $("urls-table").append(page.body);
      this.pages.push(page);
      $("urls-end").textContent = page.rows.length || this.pages.length > 1 ? "" : say("noUrls");
      return true;
    });
    if (!$("urls-view").hidden && $("urls-end").getBoundingClientRect().top < innerHeight + NEAR) await this.more();
  }

  /** Something has changed: look again at what is on the screen and still waited, and at the end for what is new. */
  async refresh() {
    // With a state chosen, rows would come and go under the reader's eyes.
    if (this.busy || $("urls-state").value) return;
    const stale = this.pages.filter(({ body, rows }) => visible(body) && rows.some((row) => row.state === "queued"));
    const last = this.next === null ? this.pages.slice(-1) : [];
    await this.alone(async () => {
      for (const page of new Set([...stale, ...last])) if (!(await this.fill(page))) return false;
      return true;
    });
  }

  /** One look at the server at a time; while it is away, the next scroll or change asks again. */
  async alone(look) {
    this.busy = true;
    const { generation } = this;
    try {
      await look();
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
    } finally {
      if (generation === this.generation) this.busy = false;
    }
  }

  /** Fetch a page's rows; false if meanwhile another list is wanted. */
  async fill(page) {
    const { generation } = this;
    const wanted = { state: $("urls-state").value, kind: $("urls-kind").value, cursor: page.cursor };
    const given = Object.entries(wanted).filter(([, value]) => value);
    const { body } = await get(`${this.path}?${new URLSearchParams([["limit", PAGE], ...given])}`);
    if (generation !== this.generation) return false;
    page.rows = body.data;
    page.body.replaceChildren(...page.rows.map(row));
    if (page === this.pages.at(-1) || !this.pages.includes(page)) this.next = body.next_cursor;
    return true;
  }

  relabel() {
    options($("urls-state"), "anyState", CRAWL_WORDS.en.states, "states");
    options($("urls-kind"), "anyKind", CRAWL_WORDS.en.kinds, "kinds");
    for (const { body, rows } of this.pages ?? []) body.replaceChildren(...rows.map(row));
    if ($("urls-end").textContent) $("urls-end").textContent = say("noUrls");
  }
}

function visible(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

function options(select, any, codes, group) {
  const { value } = select;
  const named = Object.keys(codes).map((code) => make("option", { value: code }, sayOf(group, code)));
  select.replaceChildren(make("option", { value: "" }, say(any)), ...named);
  select.value = value;
}

function row({ url, kind, state, status, reason, referrer }) {
  const notes = [];
  if (reason) notes.push(make("span", {}, why(reason)));
  if (status && status !== 200) notes.push(make("span", {}, `HTTP ${status}`));
  if (referrer && !QUIET.has(state)) notes.push(make("span", { class: "found" }, say("foundOn", { page: referrer })));
  return make(
    "tr",
    { class: state },
    make("td", {}, sayOf("states", state)),
    make("td", {}, sayOf("kinds", kind)),
    make("td", {}, link(url), make("small", {}, ...notes)),
  );
}

/** A reason in the reader's language, and what exactly came. */
function why({ code, detail }) {
  const known = sayOf(code in CRAWL_WORDS.en.reasons ? "reasons" : "errors", code);
  return detail ? `${known} (${detail})` : known;
}
