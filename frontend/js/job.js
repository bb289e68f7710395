// The results page of one job.
import { Actions } from "./actions.js";
import { ApiError, followJob, get, isOver } from "./api.js";
import { Bars } from "./bars.js";
import { CrawlSection } from "./crawl.js";
import { namesOf } from "./labels.js";
import { $, duration, make, number, onLanguage, percent, say, sayError, setUpPage } from "./page.js";
import { Sheet } from "./sheet.js";
import { Viewer } from "./viewer.js";

/** Below this confidence a prediction is called doubtful. */
const DOUBT = 0.6;
const MOST_OFTEN = 1000;

const id = location.pathname.split("/").filter(Boolean).pop();
const state = { job: null, summary: null, names: null, filter: "all", label: null, group: null, sort: "position", read: 0, following: false };

setUpPage();
const viewer = new Viewer(() => state.names);
const sheet = new Sheet({ job: id, doubt: DOUBT, names: () => state.names, open: (item, step) => viewer.open(item, step) });
const bars = new Bars($("bars"), choose);
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
    $("missing-text").textContent = error.status === 404 ? say("unknownJob") : error.status === 410 ? say("expiredJob") : sayError(error.code, error.message);
  }
}

async function onJob(job) {
  const first = !state.job;
  state.job = job;
  state.names ??= await namesOf(`${job.model.name}@${job.model.version}`);
  $("job").hidden = false;
  // Not more than once a second, but always at the end.
  if (first || isOver(job) || Date.now() - state.read > MOST_OFTEN) {
    state.read = Date.now();
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
  // Pictures that were settled may be waiting again.
  await reload();
  if (!state.following) follow();
}

function onTrouble(away) {
  $("trouble").hidden = !away;
  $("trouble").textContent = say("unreachable");
}

function choose(kind, value) {
  const same = state[kind] === value;
  Object.assign(state, { filter: "all", label: null, group: null });
  if (!same) state[kind] = value;
  reload();
}

function reload() {
  const query = { sort: state.sort };
  if (state.label) query.label = state.label;
  if (state.group) query.group = state.group;
  if (state.filter === "failed") query.status = "failed";
  if (state.filter === "doubtful") query.max_confidence = DOUBT;
  draw();
  return sheet.show(query);
}

function draw() {
  const { job, summary } = state;
  const { total, pending, failed, canceled, reused } = job.counts;
  const over = isOver(job);
  const share = total ? (total - pending) / total : Number(over);
  // Of how many, nobody knows while the source is still read.
  const shown = over || job.discovering ? "" : percent(share);
  document.title = `${shown && `${shown} · `}${job.name} · Lookbook`;
  $("name").textContent = job.name;
  $("percent").textContent = shown;
  $("line").classList.toggle("done", over);
  $("line").setAttribute("aria-valuenow", Math.round(share * 100));
  $("line").firstElementChild.style.width = `${share * 100}%`;
  const facts = [[say("done", { done: number(total - pending), total: number(total) })]];
  if (canceled) facts.push([say("canceledCount", { count: number(canceled) })]);
  if (failed) facts.push([say("failed", { count: number(failed) }), "failed"]);
  if (reused) facts.push([say("reused", { count: number(reused) })]);
  if (job.rate && (job.rate < 1000 || over)) facts.push([say("rate", { rate: number(Math.round(job.rate)) })]);
  if (!over && job.eta_seconds !== null) facts.push([say("left", { time: duration(job.eta_seconds) })]);
  if (job.discovering) facts.push([say(job.crawl?.pages.seen ? "crawling" : job.crawl ? "waiting" : "discovering")]);
  else if (!over && !job.started_at) facts.push([say("waiting")]);
  if (job.error && !job.crawl?.verdict) facts.push([`${sayError(job.error.code, "")} (${job.error.detail})`, "failed"]);
  if (over && job.finished_at) facts.push([say("took", { time: duration((new Date(job.finished_at) - new Date(job.created_at)) / 1000) })]);
  $("facts").replaceChildren(...facts.map(([text, kind]) => make("span", { class: kind }, text)));
  // Of nothing there is nothing to choose.
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
    doubtful: summary.confidence_histogram.slice(0, Math.round(DOUBT * 10)).reduce((sum, n) => sum + n, 0),
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
