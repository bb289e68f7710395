// The list of every URL that a crawl met and its state: pages of rows, fetched when they are scrolled to.
import { get, Unreachable } from "../shared/api.js";
import { $, link, make, onLanguage, say, sayOf } from "../shared/page.js";
import { WORDS } from "../words/crawl.js";

const PAGE_SIZE = 100;
/** Pixels below the window within which the next page is fetched. */
const PREFETCH = 800;
/** States in which it does not matter where a URL was found. */
const WITHOUT_REFERRER = new Set(["queued", "done", "not_modified"]);

export class Urls {
  constructor(job) {
    this.path = `/v1/jobs/${encodeURIComponent(job)}/urls`;
    this.generation = 0;
    this.opened = false;
    for (const id of ["urls-state", "urls-kind"]) $(id).addEventListener("change", () => this.show());
    new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.more(), {
      rootMargin: `${PREFETCH}px`,
    }).observe($("urls-end"));
    onLanguage(() => this.relabel());
  }

  /** Fetch the list when it is shown for the first time. */
  open() {
    if (!this.opened) this.show();
    this.opened = true;
  }

  /** Empty the list and fill it with the chosen filter. */
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
    await this.exclusively(async () => {
      const page = { cursor, body: make("tbody"), rows: [] };
      if (!(await this.fill(page))) return false;
      $("urls-table").append(page.body);
      this.pages.push(page);
      $("urls-end").textContent = page.rows.length || this.pages.length > 1 ? "" : say("noUrls");
      return true;
    });
    if (!$("urls-view").hidden && $("urls-end").getBoundingClientRect().top < innerHeight + PREFETCH) await this.more();
  }

  /** Fetch visible pages with queued URLs again, and the last page, which may have grown. */
  async refresh() {
    // With a filter by state, rows would appear and disappear while the person reads.
    if (this.busy || $("urls-state").value) return;
    const queued = this.pages.filter(({ body, rows }) => visible(body) && rows.some((row) => row.state === "queued"));
    const last = this.next === null ? this.pages.slice(-1) : [];
    await this.exclusively(async () => {
      for (const page of new Set([...queued, ...last])) if (!(await this.fill(page))) return false;
      return true;
    });
  }

  /** Load one thing at a time. If the server does not answer, the next scroll or change tries again. */
  async exclusively(load) {
    this.busy = true;
    const { generation } = this;
    try {
      await load();
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
    } finally {
      if (generation === this.generation) this.busy = false;
    }
  }

  /** Fetch the rows of a page. Resolves to false if another filter was chosen meanwhile. */
  async fill(page) {
    const { generation } = this;
    const query = { state: $("urls-state").value, kind: $("urls-kind").value, cursor: page.cursor };
    const filter = Object.entries(query).filter(([, value]) => value);
    const { body } = await get(`${this.path}?${new URLSearchParams([["limit", PAGE_SIZE], ...filter])}`);
    if (generation !== this.generation) return false;
    page.rows = body.data;
    page.body.replaceChildren(...page.rows.map(row));
    if (page === this.pages.at(-1) || !this.pages.includes(page)) this.next = body.next_cursor;
    return true;
  }

  /** Write everything again, after the language has changed. */
  relabel() {
    setOptions($("urls-state"), "anyState", WORDS.en.states, "states");
    setOptions($("urls-kind"), "anyKind", WORDS.en.kinds, "kinds");
    for (const { body, rows } of this.pages ?? []) body.replaceChildren(...rows.map(row));
    if ($("urls-end").textContent) $("urls-end").textContent = say("noUrls");
  }
}

function visible(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

/** Fill a select with the codes of a group, after a first option that stands for all. */
function setOptions(select, any, codes, group) {
  const { value } = select;
  const named = Object.keys(codes).map((code) => make("option", { value: code }, sayOf(group, code)));
  select.replaceChildren(make("option", { value: "" }, say(any)), ...named);
  select.value = value;
}

function row({ url, kind, state, status, reason, referrer }) {
  const notes = [];
  if (reason) notes.push(make("span", {}, reasonText(reason)));
  if (status && status !== 200) notes.push(make("span", {}, `HTTP ${status}`));
  if (referrer && !WITHOUT_REFERRER.has(state)) notes.push(make("span", { class: "found" }, say("foundOn", { page: referrer })));
  return make(
    "tr",
    { class: state },
    make("td", {}, sayOf("states", state)),
    make("td", {}, sayOf("kinds", kind)),
    make("td", {}, link(url), make("small", {}, ...notes)),
  );
}

/** A reason in the present language, with its detail in parentheses. */
function reasonText({ code, detail }) {
  const word = sayOf(code in WORDS.en.reasons ? "reasons" : "errors", code);
  return detail ? `${word} (${detail})` : word;
}
