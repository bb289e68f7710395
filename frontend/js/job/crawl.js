// The part of a job's page for crawls: the request, the progress, and the switch between pictures and URLs.
import { isFinished, isVisitor, postJson } from "../shared/api.js";
import { $, bytes, clock, link, make, number, say, sayFailure, sayOf } from "../shared/page.js";
import { Urls } from "./urls.js";

/** The order in which counts are shown. */
const STATES = [
  "queued",
  "done",
  "not_modified",
  "moved",
  "gone",
  "failed",
  "blocked_by_robots",
  "blocked_address",
  "not_allowed",
  "left_out",
];
/** States of URLs that the crawler was not permitted to fetch. They are shown in the colour of doubt. */
const REFUSED = new Set(["blocked_by_robots", "blocked_address", "not_allowed"]);
const CHANGES = { new: "changeNew", changed: "changeChanged", unchanged: "changeUnchanged", gone: "changeGone" };

export class CrawlSection {
  /** `may(scope)`: whether the visitor has a scope. */
  constructor(job, may) {
    this.may = may;
    this.urls = new Urls(job);
    addEventListener("hashchange", () => this.chooseView());
    $("crawl-again").addEventListener("click", () => crawlAgain(this.job));
    // The browser's "back" restores the page with the button still disabled.
    addEventListener("pageshow", () => ($("crawl-again").disabled = false));
  }

  /** Show the pictures or the URLs. The choice is in the page's URL, so that "back" and a reload keep it. */
  chooseView() {
    const showsUrls = !$("crawl").hidden && location.hash === "#urls" && !isVisitor();
    $("pictures-view").hidden = showsUrls;
    $("urls-view").hidden = !showsUrls;
    const [pictures, urls] = $("views").children;
    pictures.setAttribute("aria-current", String(!showsUrls));
    urls.setAttribute("aria-current", String(showsUrls));
    if (showsUrls) this.urls.open();
  }

  /** Redrawn only when the language changes: redrawn links would lose the keyboard focus. */
  drawRequest(crawl) {
    if (this.drawnWord === say("crawled")) return;
    this.drawnWord = say("crawled");
    $("crawl-asked").replaceChildren(...requestParts(crawl));
  }

  draw(job) {
    if (!job.crawl) return;
    drawVerdict(job);
    this.job = job;
    $("crawl-again").hidden = !isFinished(job) || !this.may("submit");
    // A link to a job does not show where its pictures were looked for.
    $("views").hidden = isVisitor();
    const first = $("crawl").hidden;
    $("crawl").hidden = false;
    this.drawRequest(job.crawl);
    drawLeftOut(job.crawl.left_out);
    const terms = countRows(job).flatMap(([name, parts]) => [make("dt", {}, name), make("dd", {}, ...parts)]);
    $("crawl-counts").replaceChildren(...terms);
    const [pictures, urls] = $("views").children;
    pictures.textContent = say("viewPictures", { count: number(job.counts.total) });
    urls.textContent = say("viewUrls", { count: number(job.crawl.pages.seen + job.crawl.pictures.seen) });
    if (first) this.chooseView();
    else if (!$("urls-view").hidden) this.urls.refresh();
  }
}

/** Start a crawl that repeats this one. Pages and pictures that have not changed are not downloaded again. */
async function crawlAgain(job) {
  $("crawl-again").disabled = true;
  $("refused").hidden = true;
  try {
    const repeated = await postJson("/v1/jobs", { name: job.name, crawl: { since: job.id } });
    location.href = repeated.links.page;
  } catch (error) {
    $("refused").textContent = sayFailure(error);
    $("refused").hidden = false;
    $("crawl-again").disabled = false;
  }
}

/** The number of pictures and URLs that were left out; the reasons are behind a disclosure. */
function drawLeftOut(reasons) {
  const counts = Object.entries(reasons).sort((a, b) => b[1] - a[1]);
  const [summary, list] = $("crawl-left").children;
  $("crawl-left").hidden = !counts.length;
  summary.textContent = say("leftOut", { count: number(counts.reduce((sum, [, count]) => sum + count, 0)) });
  list.replaceChildren(...counts.map(([reason, count]) => part(`${sayOf("reasons", reason)} ${number(count)}`)));
}

/** Say why a crawl found nothing or ended early. */
function drawVerdict({ crawl, status }) {
  $("verdict").hidden = !crawl.verdict;
  $("verdict").classList.toggle("calm", status !== "failed");
  if (crawl.verdict) $("verdict").textContent = sayOf("verdicts", crawl.verdict);
}

function requestParts(crawl) {
  const parts = [say("crawled"), " "];
  crawl.start_urls.forEach((url, number) => parts.push(number ? ", " : "", link(url)));
  const more = [];
  if (crawl.query) more.push(say("searchedFor", { query: crawl.query }));
  if (crawl.recipe) more.push(say("byRecipe", { recipe: crawl.recipe }));
  return [...parts, ...more.map((text) => ` · ${text}`)];
}

/** Rows of the table of counts: [name, parts]. */
function countRows(job) {
  const { crawl } = job;
  const received = crawl.bytes ? [part(say("bytesReceived", { bytes: bytes(crawl.bytes) }))] : [];
  const table = [
    [say("countPages"), stateCounts(crawl.pages)],
    [say("countPictures"), [...stateCounts(crawl.pictures), ...received]],
  ];
  if (crawl.changes) {
    const changes = Object.entries(CHANGES).map(([name, word]) => part(say(word, { count: number(crawl.changes[name]) })));
    table.push([say("countChanges"), changes]);
  }
  const hosts = isFinished(job) ? [] : crawl.waiting_on;
  if (hosts.length) {
    table.push([say("countWaiting"), hosts.map(({ host, until }) => part(say("waitingUntil", { host, time: clock(until) })))]);
  }
  return table;
}

function stateCounts(counts) {
  const present = STATES.filter((state) => counts[state]);
  return [
    part(say("seen", { count: number(counts.seen) })),
    ...present.map((state) => part(`${sayOf("states", state)} ${number(counts[state])}`, colourOf(state))),
  ];
}

const colourOf = (state) => (state === "failed" ? "failed" : REFUSED.has(state) ? "doubt" : null);

const part = (text, kind) => make("span", { class: kind }, text);
