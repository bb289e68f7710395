// The list of jobs: search, filters, progress, renaming, deleting, and two jobs to compare.
import { change, pause, requestJson, session, Unreachable } from "../shared/api.js";
import { $, attempt, make, number, onLanguage, say, sayOf, setUpPage } from "../shared/page.js";
import { cli, curl, pythonClient, shell, showScriptCalls } from "../shared/script-calls.js";
import { onHistory, pushState, readState, replaceState } from "../shared/url-state.js";
import { WORDS } from "../words/jobs.js";
import { JobList, PAGE } from "./list.js";
import { Row } from "./row.js";

const STATUSES = ["queued", "running", "completed", "canceled", "failed"];
const SOURCES = ["uploads", "archive", "manifest", "items", "crawl", "rerun", "classification"];
/** Milliseconds between two ticks: at first, and at most. */
const FIRST_TICK = 1500;
const LONGEST_TICK = 15000;
/** Milliseconds after the last key before the search runs. */
const TYPING_PAUSE = 250;

const ON = {
  rename: (job, name) =>
    attempt($("refused"), async () => {
      list.replace(await requestJson("PATCH", job.links.self, { name }));
      draw();
    }),
  stop: (job) =>
    attempt($("refused"), async () => {
      list.replace(await change("POST", job.links.cancel));
      draw();
    }),
  remove: (job) => {
    removing = job;
    $("sure-text").textContent = say("deleteSure", { name: job.name });
    $("sure").showModal();
  },
  choose: (job, isChosen) => {
    const others = chosen().filter((id) => id !== job.id);
    choose(isChosen ? [...others.slice(-1), job.id] : others);
  },
};

const list = new JobList();
const rows = new Map();
let mayChange = false;
let isLoaded = false;
let isTicking = false;
let removing = null;

setUpPage(WORDS);
const redrawCalls = showScriptCalls($("script"), scriptCalls);
history.scrollRestoration = "manual";
addEventListener("pagehide", () => history.replaceState({ ...history.state, scroll: scrollY }, ""));
document.addEventListener("visibilitychange", () => !document.hidden && isLoaded && !isTicking && refresh());
listenForFilters();
onHistory(load);
$("more").addEventListener("click", showMore);
$("unchoose").addEventListener("click", () => choose([]));
$("sure").addEventListener("close", () => {
  if ($("sure").returnValue === "delete") attempt($("refused"), () => remove(removing));
  $("sure").returnValue = "";
});
onLanguage(() => {
  for (const row of rows.values()) row.draw();
  drawFilters();
  draw();
});
start();

async function start() {
  await load();
  if (history.state?.scroll) scrollTo(0, history.state.scroll);
}

function filterOf({ q, status, source }) {
  return { q, status, source };
}

/** Read the jobs that the URL asks for, and follow those that run. */
async function load() {
  drawFilters();
  redrawCalls();
  await attempt($("refused"), async () => {
    mayChange = (await session()).may.includes("submit");
    await list.load(filterOf(readState()), Number(readState().rows) || PAGE);
    isLoaded = true;
    draw();
    if (!isTicking) tick();
  });
}

async function showMore() {
  $("more").disabled = true;
  await attempt($("refused"), async () => {
    await list.more();
    replaceState({ rows: list.jobs.length });
    draw();
  });
  $("more").disabled = false;
}

async function refresh() {
  await attempt($("refused"), async () => {
    await list.refresh();
    draw();
    if (!isTicking) tick();
  });
}

/** One request a tick, whatever the list shows, until no listed job runs any more. */
async function tick() {
  isTicking = true;
  let wait = FIRST_TICK;
  while (list.hasUnfinished) {
    await pause(wait);
    try {
      const isChanged = await list.refresh();
      wait = isChanged ? FIRST_TICK : Math.min(wait * 1.5, LONGEST_TICK);
      $("trouble").hidden = true;
      if (isChanged) draw();
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      $("trouble").textContent = say("unreachable");
      $("trouble").hidden = false;
      wait = Math.min(wait * 2, LONGEST_TICK);
    }
  }
  isTicking = false;
}

async function remove(job) {
  await change("DELETE", job.links.self);
  const index = list.jobs.findIndex(({ id }) => id === job.id);
  list.remove(job.id);
  choose(chosen().filter((id) => id !== job.id));
  draw();
  const neighbour = list.jobs[index] ?? list.jobs[index - 1];
  if (neighbour) rows.get(neighbour.id).title.focus();
}

function chosen() {
  return (readState().chosen ?? "").split(",").filter(Boolean);
}

function choose(ids) {
  replaceState({ chosen: ids.join(",") });
  draw();
}

function draw() {
  document.title = `${say("jobsTitle")} · Lookbook`;
  const shown = new Set(list.jobs.map(({ id }) => id));
  for (const [id, row] of rows) {
    if (shown.has(id)) continue;
    row.element.remove();
    rows.delete(id);
  }
  for (const [index, job] of list.jobs.entries()) {
    if (rows.has(job.id)) rows.get(job.id).update(job);
    else rows.set(job.id, new Row(job, ON, mayChange));
    const row = rows.get(job.id);
    row.chosen = chosen().includes(job.id);
    // A row that is at its place stays in the document and keeps the focus.
    if ($("jobs").children[index] !== row.element) $("jobs").insertBefore(row.element, $("jobs").children[index] ?? null);
  }
  $("more").hidden = !list.cursor;
  drawEmpty();
  drawChosen();
}

function drawEmpty() {
  const isFiltered = Object.values(filterOf(readState())).some(Boolean);
  $("none").hidden = !isLoaded || list.jobs.length > 0;
  $("none-text").textContent = say(isFiltered ? "noMatch" : "noJobs");
  $("none-go").textContent = say(isFiltered ? "showAll" : "startFirst");
  $("none-go").href = isFiltered ? "/jobs" : "/new";
  $("none-go").hidden = !isFiltered && !mayChange;
}

function drawChosen() {
  const ids = chosen();
  $("chosen").hidden = !ids.length;
  $("chosen-text").textContent = say(ids.length === 2 ? "twoChosen" : "oneChosen", { count: number(ids.length) });
  $("compare").hidden = ids.length !== 2;
  // The older job comes first, so that the comparison says what has changed since.
  $("compare").href = `/compare?jobs=${ids.toSorted().map(encodeURIComponent).join(",")}`;
}

function listenForFilters() {
  let timer = null;
  const search = () => {
    clearTimeout(timer);
    replaceState({ q: $("q").value.trim(), rows: null });
    load();
  };
  $("q").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, TYPING_PAUSE);
  });
  $("find").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  for (const name of ["status", "source"]) {
    $(name).addEventListener("change", () => {
      // The search that is being typed counts already.
      clearTimeout(timer);
      pushState({ [name]: $(name).value, q: $("q").value.trim(), rows: null });
      load();
    });
  }
}

function drawFilters() {
  const { q = "", status = "", source = "" } = readState();
  if (document.activeElement !== $("q")) $("q").value = q;
  $("q").placeholder = say("searchName");
  fill($("status"), "statuses", STATUSES, say("anyStatus"), status);
  fill($("source"), "sources", SOURCES, say("anySource"), source);
}

function fill(select, group, codes, any, value) {
  const options = codes.map((code) => make("option", { value: code }, sayOf(group, code)));
  select.replaceChildren(make("option", { value: "" }, any), ...options);
  select.value = value;
}

/** The calls that list the jobs of the present filter. */
function scriptCalls() {
  const filter = Object.entries(filterOf(readState())).filter(([, value]) => value);
  const query = new URLSearchParams(filter).toString();
  const options = filter.map(([name, value]) => ` --${name === "q" ? "name" : name} ${shell(value)}`).join("");
  const members = filter.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(", ");
  return {
    curl: `${curl()} ${shell(`${location.origin}/v1/jobs${query && `?${query}`}`)}`,
    Python: `${pythonClient()}\nfor job in client.jobs(${members}):\n    print(job.state.name, job.state.status)`,
    CLI: `${cli()} jobs${options}`,
  };
}
