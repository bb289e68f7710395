// The page that teaches a model from reviews: the jobs, the owner's own labels, the lesson, and what it would change.
import { get, postJson } from "../shared/api.js";
import { namesOf } from "../shared/labels.js";
import { $, attempt, dayAndTime, make, number, onLanguage, say, sayOf, setUpPage } from "../shared/page.js";
import { cli, curl, pythonClient, shell, showScriptCalls } from "../shared/script-calls.js";
import { onHistory, pushState, readState } from "../shared/url-state.js";
import { WORDS } from "../words/teach.js";
import { Changes } from "./changes.js";
import { follow } from "./following.js";
import { OwnLabels } from "./own-labels.js";
import { drawResult } from "./result.js";

/** Jobs that are offered at first, and after a press. */
const OFFERED = [8, 100];
const EARLIER = 10;

const state = { jobs: [], offered: OFFERED[0], names: null, lesson: null, earlier: [] };

setUpPage(WORDS);
const own = new OwnLabels(() => state.names, drawRejected);
const changes = new Changes({ names: () => state.names, jobs: chosen });
const drawScript = showScriptCalls($("script"), scriptCalls);
$("options").addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
$("more-jobs").addEventListener("click", () => {
  state.offered = OFFERED[1];
  load();
});
$("relabel").addEventListener("click", relabel);
onHistory(showLesson);
onLanguage(() => {
  document.title = `${say("teachTitle")} · Lookbook`;
  draw();
});
load().then(showLesson);

/** The ids of the jobs that the URL names. */
function chosen() {
  return (readState().jobs ?? "").split(",").filter(Boolean);
}

async function load() {
  await attempt($("refused"), async () => {
    const { body } = await get(`/v1/jobs?limit=${state.offered}`);
    const missing = chosen().filter((id) => !body.data.some((job) => job.id === id));
    const named = await Promise.all(missing.map(async (id) => (await get(`/v1/jobs/${encodeURIComponent(id)}`)).body));
    const jobs = [...named, ...body.data];
    state.jobs = await Promise.all(jobs.map(async (job) => ({ ...job, reviewed: await reviewsOf(job) })));
    $("more-jobs").hidden = !body.next_cursor || state.offered === OFFERED[1];
    await readNames();
    await own.load();
    await readEarlier();
  });
  draw();
}

async function reviewsOf({ id }) {
  return (await get(`/v1/jobs/${encodeURIComponent(id)}/summary`)).body.reviewed;
}

/** The labels and groups of the first chosen job's model. */
async function readNames() {
  const job = state.jobs.find(({ id }) => id === chosen()[0]) ?? state.jobs[0];
  state.names = job ? await namesOf(`${job.model.name}@${job.model.version}`) : null;
}

async function readEarlier() {
  state.earlier = (await get(`/v1/lessons?limit=${EARLIER}`)).body.data;
}

function draw() {
  drawJobs();
  drawRejected();
  own.draw();
  drawEarlier();
  drawLesson();
  drawScript();
}

function drawJobs() {
  const ids = chosen();
  $("jobs").replaceChildren(
    ...state.jobs.map((job) => {
      const box = make("input", { type: "checkbox", value: job.id });
      box.checked = ids.includes(job.id);
      box.disabled = !job.reviewed && !box.checked;
      box.addEventListener("change", choose);
      const facts = `${job.model.name}@${job.model.version} · ${say("reviewCount", { count: number(job.reviewed) })}`;
      return make("li", {}, make("label", {}, box, " ", make("span", {}, job.name), " ", make("span", { class: "small muted" }, facts)));
    }),
  );
  if (!state.jobs.length) $("jobs").replaceChildren(make("li", { class: "muted" }, say("noJobs")));
  $("start").disabled = !ids.length;
}

async function choose() {
  const ids = [...$("jobs").querySelectorAll("input:checked")].map(({ value }) => value);
  pushState({ jobs: ids.join(",") });
  await attempt($("refused"), readNames);
  draw();
}

/** The labels that pictures without a fitting label may be examples of. */
function drawRejected() {
  const before = $("rejected-as").value;
  const labels = [...(state.names?.labels ?? []).map(({ id }) => ({ id, name: state.names.label(id) })), ...own.labels()];
  const known = new Map(labels.map((label) => [label.id, label.name]));
  const options = [...known].map(([value, name]) => make("option", { value }, name));
  $("rejected-as").replaceChildren(make("option", { value: "" }, say("leaveOut")), ...options);
  $("rejected-as").value = known.has(before) ? before : "";
}

async function start() {
  $("start").disabled = true;
  const name = $("new-name").value.trim();
  const rejected = $("rejected-as").value;
  const members = { keep_labels: $("keep").checked, ...(name && { name }), ...(rejected && { rejected_as: rejected }) };
  await attempt($("refused"), async () => {
    const lesson = await postJson("/v1/lessons", { kind: "teach", jobs: chosen(), ...members });
    pushState({ lesson: lesson.id });
    await followLesson(lesson);
  });
  $("start").disabled = !chosen().length;
}

async function followLesson(lesson) {
  state.lesson = lesson;
  drawLesson();
  await follow(lesson, (now) => {
    state.lesson = now;
    drawLesson();
  });
  await readEarlier();
  drawEarlier();
}

/** Show the lesson that the URL names. */
async function showLesson() {
  const { lesson } = readState();
  if (!lesson) return;
  await attempt($("refused"), async () => {
    const { body } = await get(`/v1/lessons/${encodeURIComponent(lesson)}`);
    await followLesson(body);
  });
}

function drawLesson() {
  const { lesson } = state;
  $("teach-state").textContent = !lesson ? "" : lesson.error ? lesson.error : sayOf("lessonStates", lesson.status);
  $("result").hidden = !lesson?.taught;
  if (!lesson?.taught) return;
  drawResult(lesson, labelName);
  changes.show(lesson.published);
  $("to-version").href = `/models/${lesson.published.replace("@", "/")}`;
  $("to-version").textContent = say("toVersion", { model: lesson.published });
}

function labelName(id) {
  return own.name(id) ?? state.names?.label(id) ?? id;
}

function drawEarlier() {
  $("earlier").replaceChildren(
    ...state.earlier
      .filter(({ kind }) => kind === "teach")
      .map((lesson) => {
        const link = make("a", { href: `?${new URLSearchParams({ jobs: lesson.jobs.join(","), lesson: lesson.id })}` }, dayAndTime(lesson.created_at));
        return make("li", {}, link, " ", make("span", { class: "muted" }, `${lesson.published ?? lesson.model} · ${sayOf("lessonStates", lesson.status)}`));
      }),
  );
  if (!$("earlier").children.length) $("earlier").replaceChildren(make("li", { class: "muted" }, say("noEarlier")));
}

/** Classify the pictures without a review again, with the new version. Stored vectors make it quick. */
async function relabel() {
  $("relabel").disabled = true;
  await attempt($("relabel-refused"), async () => {
    const [job] = state.lesson.jobs;
    const created = await postJson("/v1/jobs", { rerun: { job, reviewed: false }, model: state.lesson.published });
    location.assign(created.links.page);
  });
  $("relabel").disabled = false;
}

function scriptCalls() {
  const jobs = chosen();
  if (!jobs.length) return {};
  const body = JSON.stringify({ kind: "teach", jobs });
  return {
    curl: `${curl()} -H "Content-Type: application/json" -d ${shell(body)} ${location.origin}/v1/lessons`,
    Python: `${pythonClient()}\nlesson = client.wait_for_lesson(client.teach(${JSON.stringify(jobs)}))\nprint(lesson.published, lesson.taught.accuracy)`,
    CLI: `${cli()} teach ${jobs.map(shell).join(" ")}`,
  };
}
