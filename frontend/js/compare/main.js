// The page that compares the labels of two jobs over the same pictures: what changed, as a table and as pictures.
import { get } from "../shared/api.js";
import { namesOf } from "../shared/labels.js";
import { $, attempt, make, number, onLanguage, percent, say, setUpPage } from "../shared/page.js";
import { cli, curl, pythonClient, shell, showScriptCalls } from "../shared/script-calls.js";
import { onHistory, pushState, readState } from "../shared/url-state.js";
import { WORDS } from "../words/compare.js";

/** Jobs that are offered to choose from. */
const OFFERED = 100;
const PAIRS = 60;

const state = { jobs: new Map(), found: null, pairs: [], next: null };

setUpPage(WORDS);
const drawScript = showScriptCalls($("script"), () => (chosen().length === 2 ? scriptCalls(...chosen()) : {}));
for (const id of ["first", "second"]) $(id).addEventListener("change", choose);
$("more").addEventListener("click", () => attempt($("refused"), readPairs));
onHistory(() => show());
onLanguage(() => {
  document.title = `${say("compareTitle")} · Lookbook`;
  if (state.found) draw();
});
offer().then(show);

/** The ids of the two jobs that the URL names. */
function chosen() {
  return (readState().jobs ?? "").split(",").filter(Boolean).slice(0, 2);
}

/** Fill both lists with the latest jobs, and with those that the URL names. */
async function offer() {
  await attempt($("refused"), async () => {
    const { body } = await get(`/v1/jobs?limit=${OFFERED}`);
    for (const job of body.data) state.jobs.set(job.id, job);
    for (const id of chosen()) {
      if (!state.jobs.has(id)) state.jobs.set(id, (await get(`/v1/jobs/${encodeURIComponent(id)}`)).body);
    }
  });
  const text = (job) => `${job.name} · ${job.model.name}@${job.model.version} · ${number(job.counts.total)}`;
  const options = () => [...state.jobs.values()].map((job) => make("option", { value: job.id }, text(job)));
  for (const [index, id] of ["first", "second"].entries()) {
    $(id).replaceChildren(make("option", { value: "" }, say("chooseJob")), ...options());
    $(id).value = chosen()[index] ?? "";
  }
}

function choose() {
  const jobs = [$("first").value, $("second").value];
  pushState({ jobs: jobs.join(","), change: null });
  show();
}

/** Show the comparison that the URL asks for. */
async function show() {
  const [a, b] = chosen();
  const { change } = readState();
  for (const [index, id] of ["first", "second"].entries()) $(id).value = chosen()[index] ?? "";
  Object.assign(state, { found: null, pairs: [], next: null, change });
  $("found").hidden = true;
  $("invite").hidden = Boolean(a && b);
  drawScript();
  if (!a || !b) return;
  await attempt($("refused"), async () => {
    const { body } = await get(`${pathOf(a)}?with=${encodeURIComponent(b)}`);
    const models = [a, b].map((id) => state.jobs.get(id).model);
    state.names = await Promise.all(models.map(({ name, version }) => namesOf(`${name}@${version}`)));
    state.found = body;
    draw();
    await readPairs();
  });
}

function pathOf(job) {
  return `/v1/jobs/${encodeURIComponent(job)}/compare`;
}

async function readPairs() {
  const [a, b] = chosen();
  const [from, to] = state.change?.split(">") ?? [];
  const query = { with: b, limit: PAIRS, ...(state.change && { from, to }), ...(state.next && { cursor: state.next }) };
  const { body } = await get(`${pathOf(a)}/items?${new URLSearchParams(query)}`);
  state.pairs.push(...body.data);
  state.next = body.next_cursor;
  drawPairs();
}

function draw() {
  const { same, changed, only_here: here, only_there: there, changes } = state.found;
  const share = same + changed ? same / (same + changed) : 1;
  const facts = [
    say("sameCount", { count: number(same), share: percent(share) }),
    say("changedCount", { count: number(changed) }),
    here && say("onlyHere", { count: number(here) }),
    there && say("onlyThere", { count: number(there) }),
  ];
  $("facts").replaceChildren(...facts.filter(Boolean).map((text) => make("span", {}, text)));
  $("changes").hidden = !changes.length;
  $("changes").tBodies[0].replaceChildren(...changes.map(row));
  $("found").hidden = false;
  drawPairs();
}

/** A row of the table. A press shows its pictures only; a second press shows all again. */
function row({ from, to, count }) {
  const [here, there] = state.names;
  // As in the API, the empty text stands for "no label".
  const change = `${from ?? ""}>${to ?? ""}`;
  const on = state.change === change;
  const button = make("button", { type: "button", class: "quiet", "aria-pressed": String(on) }, number(count));
  button.addEventListener("click", () => {
    pushState({ change: on ? null : change });
    show();
  });
  const name = (names, id) => (id ? names.label(id) : say("noLabel"));
  return make("tr", {}, make("td", {}, name(here, from)), make("td", {}, name(there, to)), make("td", { class: "count" }, button));
}

function drawPairs() {
  $("pairs-title").textContent = state.pairs.length ? say("changedPictures") : "";
  $("pairs").replaceChildren(...state.pairs.map(pair));
  $("more").hidden = !state.next;
}

function pair({ here, there }) {
  const [first, second] = state.names;
  const image = make("img", { src: here.image.thumbnail, alt: "", loading: "lazy" });
  const open = make("a", { href: `/jobs/${here.job_id}?item=${here.id}&index=${here.position}` }, make("span", { class: "frame" }, image), nameLine(here));
  return make("li", {}, open, verdict(first, here), verdict(second, there));
}

const nameLine = (item) => make("span", { class: "name" }, item.custom_id || item.source.name);

function verdict(names, { prediction, review }) {
  const label = review ? review.label?.id : prediction.label.id;
  const text = label ? names.label(label) : say("noLabel");
  return make("span", { class: "verdict" }, make("span", {}, text), make("span", { class: "muted" }, review ? "✓" : percent(prediction.confidence)));
}

function scriptCalls(a, b) {
  const url = `${location.origin}${pathOf(a)}?with=${encodeURIComponent(b)}`;
  return {
    curl: `${curl()} ${shell(url)}`,
    Python: `${pythonClient()}\nprint(client.job(${JSON.stringify(a)}).compare(${JSON.stringify(b)}))`,
    CLI: `${cli()} compare ${a} ${b}`,
  };
}
