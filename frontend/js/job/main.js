// The page of one job: progress, filters, pictures.
import { Actions } from "./actions.js";
import { ApiError, followJob, get, isFinished } from "../shared/api.js";
import { Bars } from "./bars.js";
import { CrawlSection } from "./crawl.js";
import { namesOf } from "../shared/labels.js";
import { $, duration, make, number, onLanguage, percent, say, sayError, setUpPage } from "../shared/page.js";
import { Sheet } from "./sheet.js";
import { Viewer } from "./viewer.js";
import { WORDS as CRAWL_WORDS } from "../words/crawl.js";
import { WORDS } from "../words/job.js";

/** A prediction with a confidence below this is called doubtful. */
const DOUBTFUL_BELOW = 0.6;
/** The shortest time between two reads of the summary, in milliseconds. */
const SUMMARY_INTERVAL = 1000;

const id = location.pathname.split("/").filter(Boolean).pop();
const state = {
  job: null,
  summary: null,
  names: null,
  filter: "all",
  label: null,
  group: null,
  sort: "position",
  summaryReadAt: 0,
  following: false,
};

setUpPage(WORDS, CRAWL_WORDS);
const viewer = new Viewer(() => state.names);
const sheet = new Sheet({
  job: id,
  doubtfulBelow: DOUBTFUL_BELOW,
  names: () => state.names,
  open: (item, step) => viewer.open(item, step),
});
const bars = new Bars($("bars"), toggleFilter);
const actions = new Actions(onChanged);
const crawl = new CrawlSection(id);

for (const button of $("filters").querySelectorAll("button")) {
  button.addEventListener("click", () => {
    Object.assign(state, { filter: button.dataset.filter, label: null, group: null });
    reload();
  });
}
$("sort").addEventListener("change", () => {
  state.sort = $("sort").value;
  reload();
});
$("help").addEventListener("click", () => $("keys").showModal());
$("keys").addEventListener("click", () => $("keys").close());
addEventListener("keydown", (event) => {
  if (event.key === "?" && !document.querySelector("dialog[open]")) $("keys").showModal();
});
onLanguage(() => state.job && draw());
onLanguage(() => sheet.relabel());

follow();

async function follow() {
  state.following = true;
  try {
    await followJob(id, { onJob, onTrouble });
    state.following = false;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    $("job").hidden = true;
    $("missing").hidden = false;
    const words = { 404: "unknownJob", 410: "expiredJob" };
    const word = words[error.status];
    $("missing-text").textContent = word ? say(word) : sayError(error.code, error.message);
  }
}

async function onJob(job) {
  const first = !state.job;
  state.job = job;
  state.names ??= await namesOf(`${job.model.name}@${job.model.version}`);
  $("job").hidden = false;
  // The summary is read at most once in SUMMARY_INTERVAL, but always when the job is finished.
  if (first || isFinished(job) || Date.now() - state.summaryReadAt > SUMMARY_INTERVAL) {
    state.summaryReadAt = Date.now();
    ({ body: state.summary } = await get(`/v1/jobs/${id}/summary`));
    draw();
    if (first) await reload();
    else await sheet.refresh();
  } else {
    draw();
  }
}

async function onChanged(job) {
  if (!job) {
    location.assign("/");
    return;
  }
  await onJob(job);
  // A retry makes failed pictures pending again.
  await reload();
  if (!state.following) follow();
}

function onTrouble(unreachable) {
  $("trouble").hidden = !unreachable;
  $("trouble").textContent = say("unreachable");
}

/** Filter by a label or a group, or show all pictures if that filter is already on. */
function toggleFilter(kind, value) {
  const wasOn = state[kind] === value;
  Object.assign(state, { filter: "all", label: null, group: null });
  if (!wasOn) state[kind] = value;
  reload();
}

function reload() {
  const query = { sort: state.sort };
  if (state.label) query.label = state.label;
  if (state.group) query.group = state.group;
  if (state.filter === "failed") query.status = "failed";
  if (state.filter === "doubtful") query.max_confidence = DOUBTFUL_BELOW;
  draw();
  return sheet.show(query);
}

function draw() {
  const { job, summary } = state;
  const { total, pending, failed, canceled, reused } = job.counts;
  const finished = isFinished(job);
  const share = total ? (total - pending) / total : Number(finished);
  // While the source is still being read, the total is unknown, so no percentage is shown.
  const shown = finished || job.discovering ? "" : percent(share);
  document.title = `${shown && `${shown} · `}${job.name} · Lookbook`;
  $("name").textContent = job.name;
  $("percent").textContent = shown;
  $("line").classList.toggle("done", finished);
  $("line").setAttribute("aria-valuenow", Math.round(share * 100));
  $("line").firstElementChild.style.width = `${share * 100}%`;
  const facts = [[say("done", { done: number(total - pending), total: number(total) })]];
  if (canceled) facts.push([say("canceledCount", { count: number(canceled) })]);
  if (failed) facts.push([say("failed", { count: number(failed) }), "failed"]);
  if (reused) facts.push([say("reused", { count: number(reused) })]);
  if (job.rate && (job.rate < 1000 || finished)) facts.push([say("rate", { rate: number(Math.round(job.rate)) })]);
  if (!finished && job.eta_seconds !== null) facts.push([say("left", { time: duration(job.eta_seconds) })]);
  if (job.open_until) facts.push([say("stillSending")]);
  else if (job.discovering) facts.push([say(job.crawl?.pages.seen ? "crawling" : job.crawl ? "waiting" : "discovering")]);
  else if (!finished && !job.started_at) facts.push([say("waiting")]);
  if (job.error && !job.crawl?.verdict) facts.push([`${sayError(job.error.code, "")} (${job.error.detail})`, "failed"]);
  if (finished && job.finished_at) {
    const milliseconds = job.duration_seconds * 1000;
    facts.push([say("took", { time: duration(milliseconds / 1000) })]);
  }
  $("facts").replaceChildren(...facts.map(([text, kind]) => make("span", { class: kind }, text)));
  // A job without pictures needs no filters.
  for (const part of ["bars", "filters", "end"]) $(part).hidden = !total;
  actions.draw(job);
  crawl.draw(job);
  if (summary) {
    bars.draw(summary, state.names, state);
    drawFilters(summary);
  }
}

function drawFilters(summary) {
  const counts = {
    all: summary.counts.total,
    doubtful: summary.confidence_histogram.slice(0, Math.round(DOUBTFUL_BELOW * summary.confidence_histogram.length)).reduce((sum, n) => sum + n, 0),
    failed: summary.counts.failed,
  };
  const words = { all: "all", doubtful: "doubtful", failed: "failedFilter" };
  for (const button of $("filters").querySelectorAll("button")) {
    const kind = button.dataset.filter;
    button.textContent = say(words[kind], { count: number(counts[kind]) });
    button.setAttribute("aria-pressed", String(state.filter === kind && !state.label && !state.group));
    button.hidden = kind !== "all" && counts[kind] === 0 && state.filter !== kind;
  }
}
