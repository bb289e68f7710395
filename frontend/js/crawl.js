// A crawl on its job's page: what was asked for, how far it is, and the way from its photographs to its addresses.
import { ApiError, isOver, postJson, Unreachable } from "./api.js";
import { $, bytes, clock, link, make, number, say, sayError, sayOf } from "./page.js";
import { Urls } from "./urls.js";

const STATES = ["queued", "done", "not_modified", "moved", "gone", "failed", "blocked_by_robots", "blocked_address", "not_allowed", "left_out"];
const DOUBTS = new Set(["blocked_by_robots", "blocked_address", "not_allowed"]);
const CHANGES = { new: "changeNew", changed: "changeChanged", unchanged: "changeUnchanged", gone: "changeGone" };

export class CrawlSection {
  constructor(job) {
    this.urls = new Urls(job);
    addEventListener("hashchange", () => this.choose());
    $("crawl-again").addEventListener("click", () => again(this.job));
    // Coming back with the browser's own "back".
    addEventListener("pageshow", () => ($("crawl-again").disabled = false));
  }

  /** Which of the two is looked at: the address says it, so that going back and reloading keep to it. */
  choose() {
    const listed = !$("crawl").hidden && location.hash === "#urls";
    $("pictures-view").hidden = listed;
    $("urls-view").hidden = !listed;
    const [pictures, urls] = $("views").children;
    pictures.setAttribute("aria-current", String(!listed));
    urls.setAttribute("aria-current", String(listed));
    if (listed) this.urls.open();
  }

  /** Drawn when the words change, not at every look: its links keep their focus. */
  drawAsked(crawl) {
    if (this.asked === say("crawled")) return;
    this.asked = say("crawled");
    $("crawl-asked").replaceChildren(...asked(crawl));
  }

  draw(job) {
    if (!job.crawl) return;
    drawVerdict(job);
    this.job = job;
    $("crawl-again").hidden = !isOver(job);
    const first = $("crawl").hidden;
    $("crawl").hidden = false;
    this.drawAsked(job.crawl);
    drawLeftOut(job.crawl.left_out);
    $("crawl-counts").replaceChildren(...rows(job).flatMap(([name, parts]) => [make("dt", {}, name), make("dd", {}, ...parts)]));
    const [pictures, urls] = $("views").children;
    pictures.textContent = say("viewPictures", { count: number(job.counts.total) });
    urls.textContent = say("viewUrls", { count: number(job.crawl.pages.seen + job.crawl.pictures.seen) });
    if (first) this.choose();
    else if (!$("urls-view").hidden) this.urls.refresh();
  }
}

/** Do a crawl again: what has not changed is neither downloaded nor predicted anew. */
async function again(job) {
  $("crawl-again").disabled = true;
  $("refused").hidden = true;
  try {
    const repeated = await postJson("/v1/jobs", { name: job.name, crawl: { since: job.id } });
    location.href = repeated.links.page;
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof Unreachable)) throw error;
    $("refused").hidden = false;
    $("refused").textContent = sayError(error.code ?? "unreachable", error.message);
    $("crawl-again").disabled = false;
  }
}

/** How much was left out; why, for whoever asks. */
function drawLeftOut(reasons) {
  const told = Object.entries(reasons).sort((a, b) => b[1] - a[1]);
  const [summary, list] = $("crawl-left").children;
  $("crawl-left").hidden = !told.length;
  summary.textContent = say("leftOut", { count: number(told.reduce((sum, [, count]) => sum + count, 0)) });
  list.replaceChildren(...told.map(([reason, count]) => part(`${sayOf("reasons", reason)} ${number(count)}`)));
}

/** Why a crawl found nothing, or ended early, in plain words. */
function drawVerdict({ crawl, status }) {
  $("verdict").hidden = !crawl.verdict;
  $("verdict").classList.toggle("calm", status !== "failed");
  if (crawl.verdict) $("verdict").textContent = sayOf("verdicts", crawl.verdict);
}

function asked(crawl) {
  const parts = [say("crawled"), " "];
  crawl.start_urls.forEach((url, number) => parts.push(number ? ", " : "", link(url)));
  const more = [];
  if (crawl.query) more.push(say("searchedFor", { query: crawl.query }));
  if (crawl.recipe) more.push(say("byRecipe", { recipe: crawl.recipe }));
  return [...parts, ...more.map((text) => ` · ${text}`)];
}

function rows(job) {
  const { crawl } = job;
  const received = crawl.bytes ? [part(say("bytesReceived", { bytes: bytes(crawl.bytes) }))] : [];
  const table = [
    [say("countPages"), counts(crawl.pages)],
    [say("countPictures"), [...counts(crawl.pictures), ...received]],
  ];
  if (crawl.changes) {
    const told = Object.entries(CHANGES).map(([name, word]) => part(say(word, { count: number(crawl.changes[name]) })));
    table.push([say("countChanges"), told]);
  }
  const hosts = isOver(job) ? [] : crawl.waiting_on;
  if (hosts.length) {
    table.push([say("countWaiting"), hosts.map(({ host, until }) => part(say("waitingUntil", { host, time: clock(until) })))]);
  }
  return table;
}

function counts(by) {
  const told = STATES.filter((state) => by[state]);
  return [
    part(say("seen", { count: number(by.seen) })),
    ...told.map((state) => part(`${sayOf("states", state)} ${number(by[state])}`, state === "failed" ? "failed" : DOUBTS.has(state) ? "doubt" : null)),
  ];
}

const part = (text, kind) => make("span", { class: kind }, text);
