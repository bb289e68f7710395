// One photo: it is classified as a whole at once, and then any part of it. The answers are in the URL.
import { ApiError, get, getFile, Unreachable } from "../shared/api.js";
import { takeOver } from "../shared/handover.js";
import { $, bytes, number, onLanguage, say, sayError, sayFailure, setUpPage } from "../shared/page.js";
import { showScriptCalls } from "../shared/script-calls.js";
import { WORDS } from "../words/photo.js";
import { drawStrip, showAnswer } from "./answers.js";
import { classify, follow, Unclassified } from "./classify.js";
import { listenForFiles } from "./intake.js";
import { isMany, openMany } from "./many.js";
import { classifyCalls } from "./script.js";
import { Stage } from "./stage.js";
import { maySubmit, setUpStart, showReadOnly } from "./start.js";

/** The oldest answers leave the strip, and the URL, beyond this number. */
const MOST_ANSWERS = 12;

/** The answers of this visit, oldest first: {item, src, file?, milliseconds?}. */
let answers = [];
/** The answer that is shown, or null. */
let shown = null;
/** AbortController of the classification that runs, or null. */
let running = null;
/** Returns what went wrong, in the present language, or null. */
let problem = null;
let may = true;

setUpPage(WORDS);
const stage = new Stage({ classifyPart: (crop) => classifyFile(shown, crop), showWhole });
const drawCalls = showScriptCalls($("script"), () => classifyCalls(shown?.item));
setUpStart((file) => take([{ file, path: file.name }]));
listenForFiles(take, () => may);
$("abort").addEventListener("click", () => running?.abort());
addEventListener("popstate", () => address() !== location.pathname + location.search && restore());
onLanguage(draw);
restore();
may = await maySubmit();
if (!may) showReadOnly();
else if (!ids().length) await takeHandedOver();

/** Take files that arrived: one photo is classified, anything else goes to the page for many pictures. */
function take(files) {
  showProblem(null);
  if (isMany(files)) {
    openMany(files, showProblem);
    return;
  }
  const [{ file }] = files;
  classifyFile({ file, src: URL.createObjectURL(file) }, null);
}

/** Classify the photo that the page for many pictures has handed over, because it was only one. */
async function takeHandedOver() {
  const files = await takeOver();
  if (files.length && !isMany(files)) take(files);
}

/** Classify a photo ({file?, src, item?}), or its part `crop`, and show the answer. */
async function classifyFile(photo, crop) {
  const name = photo.file?.name ?? photo.item.source.name;
  if (!crop) {
    shown = null;
    stage.showPhoto(photo.src, name);
  }
  await wait(name, async (signal) => {
    const file = photo.file ?? (await getFile(photo.src, name));
    const { item, milliseconds } = await classify(file, crop, { onProgress: showProgress, onQueue: showQueue, signal });
    // The browser may not show the file itself.
    const isShown = !item.image || item.image.shown === item.image.original;
    add({ item, milliseconds, file, src: isShown ? photo.src : item.image.shown });
  });
}

/** Run `work(signal)` while the page says that it waits for the file `name`. Its failure is shown with that name. */
async function wait(name, work) {
  stop();
  showProblem(null);
  const mine = (running = new AbortController());
  $("waiting").hidden = false;
  draw();
  try {
    await work(mine.signal);
  } catch (error) {
    if (error.name !== "AbortError") showProblem(() => `${name}: ${sayReason(error)}`);
  }
  if (running !== mine) return;
  stop();
  shown ??= answers.at(-1) ?? null;
  draw();
}

/** End the classification that runs. */
function stop() {
  running?.abort();
  running = null;
  $("waiting").hidden = true;
}

function sayReason(error) {
  return error instanceof Unclassified ? sayError(error.code, error.message) : sayFailure(error);
}

function showProgress(sent, total) {
  $("waiting-line").style.width = `${total ? (100 * sent) / total : 0}%`;
  $("waiting-note").textContent = total && sent >= total ? say("looking") : say("sent", { sent: bytes(sent), total: bytes(total) });
}

/** The server holds the picture and says that it must wait: from now on its answer has a URL. */
function showQueue(item) {
  if (item.ahead) $("waiting-note").textContent = say(item.ahead === 1 ? "oneAhead" : "ahead", { count: number(item.ahead) });
  else $("waiting-note").textContent = say("queued");
  if (!ids().includes(item.id)) history.pushState(history.state, "", address([...answers.map((answer) => answer.item.id), item.id]));
}

function add(answer) {
  const wasQueued = ids().includes(answer.item.id);
  answers = [...answers, answer].slice(-MOST_ANSWERS);
  shown = answer;
  const state = { took: { ...history.state?.took, [answer.item.id]: answer.milliseconds } };
  if (wasQueued) history.replaceState(state, "", address());
  else history.pushState(state, "", address());
}

function show(answer) {
  shown = answer;
  history.replaceState(history.state, "", address());
  draw();
}

function remove(answer) {
  answers = answers.filter((other) => other !== answer);
  show(answer === shown ? answers.at(-1) : shown);
}

/** Show the answer for the whole of the present photo, and ask for it if there is none. */
function showWhole() {
  const whole = answers.findLast(({ item }) => !item.crop && item.image.sha256 === shown.item.image.sha256);
  if (whole) show(whole);
  else classifyFile(shown, null);
}

/** The URL of answers: their items, and the one that is shown unless it is the last. */
function address(items = answers.map(({ item }) => item.id)) {
  const query = new URLSearchParams(items.map((id) => ["item", id]));
  if (shown && shown !== answers.at(-1)) query.set("shown", shown.item.id);
  return query.size ? `/?${query}` : "/";
}

function ids() {
  return new URLSearchParams(location.search).getAll("item");
}

/** Show what the URL says: after loading the page, and after Back or Forward. */
async function restore() {
  const asked = ids();
  const chosen = new URLSearchParams(location.search).get("shown");
  stop();
  showProblem(null);
  const found = [];
  for (const id of asked) {
    const known = answers.find(({ item }) => item.id === id);
    const answer = known ?? (await fetched(id));
    if (answer) found.push(answer);
  }
  if (ids().join() === asked.join()) reset(found, chosen);
}

/** The answer of an item, or null if there is none. Then the page says why. */
async function fetched(id) {
  try {
    let { body: item } = await get(`/v1/items/${encodeURIComponent(id)}`);
    if (item.status === "pending") {
      stage.showPhoto(item.image.original, item.source.name);
      await wait(item.source.name, async (signal) => (item = await follow(item, showQueue, signal)));
    }
    if (item.status === "succeeded") return { item, src: item.image.shown, milliseconds: history.state?.took?.[id] };
    if (item.error) showProblem(() => `${item.source.name}: ${sayError(item.error.code, item.error.detail)}`);
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof Unreachable)) throw error;
    showProblem(() => sayFailure(error));
  }
  return null;
}

function reset(found, chosen = null) {
  answers = found;
  shown = found.find(({ item }) => item.id === chosen) ?? found.at(-1) ?? null;
  draw();
}

/** Draw everything anew from the answers, the one that is shown, and what runs. */
async function draw() {
  const working = Boolean(shown || running);
  $("work").hidden = !working;
  $("start").hidden = working;
  if (!shown) showAnswered(false);
  if (problem) $("problem").textContent = problem();
  drawCalls();
  document.title = shown ? `${shown.item.source.name} · Lookbook` : "Lookbook";
  if (!shown) {
    if (!running) stage.drop();
    return;
  }
  try {
    await Promise.all([showAnswer(shown), stage.showItem(shown.item, shown.src), drawStrip(answers, shown, { show, remove })]);
    showAnswered(Boolean(shown));
  } catch (error) {
    showProblem(() => sayFailure(error));
  }
}

/** Show the answer and what follows it, once they are drawn, or hide them. */
function showAnswered(on) {
  $("answer").hidden = !on;
  $("work").classList.toggle("answered", on);
}

/** Say what went wrong. `sentence()` returns it in the present language; null takes an earlier one away. */
function showProblem(sentence) {
  problem = sentence;
  $("problem").hidden = !sentence;
  $("problem").textContent = sentence ? sentence() : "";
}
