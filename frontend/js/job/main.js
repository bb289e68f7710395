// The page of one job: progress, filters, pictures, reviews.
import { ApiError, followJob, isFinished, isVisitor, session } from "../shared/api.js";
import { namesOf } from "../shared/labels.js";
import { $, number, onLanguage, say, sayError, sayFailure, setUpPage } from "../shared/page.js";
import { showScriptCalls } from "../shared/script-calls.js";
import { onHistory, pushState, readState, replaceState } from "../shared/url-state.js";
import { WORDS as CRAWL_WORDS } from "../words/crawl.js";
import { WORDS as HINT_WORDS } from "../words/hints.js";
import { WORDS } from "../words/job.js";
import { WORDS as MAP_WORDS } from "../words/map.js";
import { WORDS as PRODUCT_WORDS } from "../words/products.js";
import { WORDS as SIMILAR_WORDS } from "../words/similar.js";
import { WORDS as TRUST_WORDS } from "../words/trust.js";
import { Actions } from "./actions.js";
import { Bars } from "./bars.js";
import { Bulk } from "./bulk.js";
import { CrawlSection } from "./crawl.js";
import { Exporting } from "./exporting.js";
import { Filters } from "./filters.js";
import { drawAbout, drawHead } from "./head.js";
import { HintPicker } from "./hints.js";
import { Histogram } from "./histogram.js";
import { ItemList } from "./item-list.js";
import { JobMap } from "./map.js";
import { PictureSearch } from "./picture-search.js";
import { Products } from "./products.js";
import { Rerun } from "./rerun.js";
import { Reviews } from "./reviews.js";
import { Scrubber } from "./scrubber.js";
import { Selection } from "./selection.js";
import { Sheet } from "./sheet.js";
import { scriptCalls } from "./script.js";
import { TrustDialog } from "./trust.js";
import { Viewer } from "./viewer.js";

/** Keys that move in the sheet before anything has the focus. */
const MOVES = /^(Arrow|Page|Home$|End$)/;
const id = location.pathname.split("/").filter(Boolean).pop();
const state = { job: null, summary: null, names: null, visitor: null, following: false, stale: false, threshold: null };

setUpPage(WORDS, CRAWL_WORDS, PRODUCT_WORDS, SIMILAR_WORDS, TRUST_WORDS, HINT_WORDS, MAP_WORDS);
const filters = new Filters(showList);
const list = new ItemList(id, () => sheet.redraw());
const look = { names: () => state.names, threshold: () => state.threshold ?? filters.threshold };
const may = (scope) => Boolean(state.visitor?.may.includes(scope)) && state.visitor.shared_job !== id;
const mayReview = () => may("submit");
const selection = new Selection(list, onSelection);
const reviews = new Reviews(id, list, { onChange: onReviews, onError: showRefusal });
const sheet = new Sheet({ list, selection, look, open: openItem, onPlace: () => {}, onScroll: rememberPlace });
const scrubber = new Scrubber(sheet);
const viewer = new Viewer({ list, reviews, look, mayReview, onShow: rememberItem, onClose: forgetItem });
const rerun = new Rerun();
const bulk = new Bulk({ selection, reviews, look, job: () => state.job, mayReview, rerun });
const bars = new Bars($("bars"), (kind, label) => filters.toggle(kind, label));
const histogram = new Histogram({ onMove: setThreshold, onSet: (value) => filters.setThreshold(value) });
const actions = new Actions(may, rerun, onChanged);
const products = new Products(id, look, () => onBack(readState()));
const map = new JobMap(id, { selection, list, look, mayMake: mayReview, open: openItem, show: () => onBack(readState()) });
const exporting = new Exporting(filters, list, products, may);
const hints = new HintPicker(filters, mayReview);
const trust = new TrustDialog({ look, filters, onChanged: () => showList() });
const crawl = new CrawlSection(id, may);
const model = () => `${state.job.model.name}@${state.job.model.version}`;
const pictureSearch = new PictureSearch({ job: id, look, model, may: mayReview, onOpen: openAlike });

const drawScript = isVisitor() ? () => {} : showScriptCalls($("script"), () => (state.job ? scriptCalls(state.job, filters.query) : {}));

$("review").addEventListener("click", () => openItem(sheet.current));
$("newer").addEventListener("click", () => showList());
$("help").addEventListener("click", () => $("keys").showModal());
$("keys").addEventListener("click", () => $("keys").close());
addEventListener("keydown", onKey);
onHistory(onBack);
onLanguage(() => state.names && redraw());

follow();

async function follow() {
  state.following = true;
  try {
    session().then(onVisitor);
    do {
      state.stale = false;
      await followJob(id, { onJob, onTrouble, query: wanted });
    } while (state.stale);
    state.following = false;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    showMissing(error);
  }
}

function onVisitor(visitor) {
  state.visitor = visitor;
  if (state.names) draw();
}

/** All that a poll should bring: the counts, and the items in the window if the list is the plain one. */
function wanted() {
  if (!state.job || !list.isPlain) return { include: "summary" };
  return { include: "summary,items", after: Math.max(0, sheet.firstVisible()) - 1, limit: 100 };
}

async function showMissing(error) {
  const key = (await session()).key?.name;
  $("job").hidden = true;
  $("missing").hidden = false;
  $("to-jobs").hidden = isVisitor();
  const words = { 404: key ? say("notForThisKey", { key }) : say("unknownJob"), 410: say("expiredJob") };
  $("missing-text").textContent = words[error.status] ?? sayError(error.code, error.message);
}

async function onJob(job) {
  const first = !state.job;
  const wasRunning = state.job && !isFinished(state.job);
  state.job = job;
  state.names ??= await namesOf(`${job.model.name}@${job.model.version}`);
  state.summary = job.summary ?? state.summary;
  $("job").hidden = false;
  sheet.withPrice = ["crawl", "items", "manifest", "rerun"].includes(job.source);
  draw();
  if (first) {
    await showList({ place: readState() });
  } else if (products.isShown) {
    await products.refresh();
  } else if (list.isPlain) {
    list.grow(job.counts.total);
    if (job.items) list.update(job.items);
  }
  // The items of another list would move while the person looks at them. They are shown when the person asks.
  const done = job.counts.succeeded + job.counts.failed;
  $("newer").hidden = list.isPlain || done === state.listedAt;
  if (wasRunning && isFinished(job)) actions.tell(job);
}

/** Show the list that the URL asks for. `place`: the state to return to, after a reload or Back. */
async function showList({ place } = {}) {
  state.threshold = null;
  $("refused").hidden = true;
  selection.clear();
  state.listedAt = state.job.counts.succeeded + state.job.counts.failed;
  $("newer").hidden = true;
  draw();
  if (products.isShown) {
    await products.load();
    return;
  }
  if (map.isShown) {
    // Index and position are then the same, for the viewer.
    filters.forget();
    await list.show(filters.query, state.job.counts.total);
    await map.load();
    if (place?.item) await openById(place.item, place);
    return;
  }
  sheet.reset();
  $("sheet").setAttribute("aria-busy", "true");
  try {
    await list.show(filters.query, state.job.counts.total);
  } catch (error) {
    // A filter in the URL that this job does not have.
    showRefusal(error);
    return;
  } finally {
    $("sheet").setAttribute("aria-busy", "false");
  }
  sheet.measure();
  sheet.redraw();
  exporting.draw(state.job);
  scrubber.draw();
  if (!place) return;
  const at = Number(place.at) || 0;
  if (at) sheet.scrollTo(at);
  sheet.setCurrent(at);
  if (place.item) await openById(place.item, place);
}

/** Open an item by its id. Its index is in the URL, because the list may be long. */
async function openById(item, { index }) {
  const found = await list.fetched(Number(index) || 0);
  const at = found?.id === item ? Number(index) || 0 : list.indexOf(item);
  if (at >= 0) await viewer.open(at);
}

async function onChanged(job) {
  if (!job) {
    location.assign("/jobs");
    return;
  }
  await onJob({ ...job, summary: null });
  // A retry makes failed pictures pending again.
  await showList();
  if (!state.following) follow();
}

function onTrouble(unreachable) {
  $("trouble").hidden = !unreachable;
  $("trouble").textContent = say("unreachable");
}

function draw() {
  const { job, summary, names } = state;
  drawHead(job);
  drawAbout(job);
  // A job without pictures needs no filters.
  for (const part of ["charts", "filters", "end"]) $(part).hidden = !job.counts.total;
  const byProduct = products.draw(job);
  map.draw(job);
  $("review").hidden = !job.counts.succeeded || !mayReview() || byProduct;
  actions.draw(job);
  trust.draw(job, mayReview());
  exporting.draw(job);
  drawScript();
  pictureSearch.allow();
  $("compare").href = `/compare?jobs=${job.id}`;
  crawl.draw(job);
  bulk.draw();
  if (!summary) return;
  bars.draw(summary, names, filters.state);
  histogram.draw(summary.confidence_histogram, look.threshold());
  filters.draw(summary, names);
  hints.reviews = summary.reviewed;
  hints.draw(job);
  drawAgreement();
}

function redraw() {
  draw();
  sheet.redraw();
}

/** How far the review has come, and how often people agree with the model. */
function drawAgreement() {
  const { reviewed, agreed } = state.summary;
  for (const place of ["agreement", "viewer-agreement"]) $(place).hidden = !reviewed;
  const share = new Intl.NumberFormat(document.documentElement.lang, { style: "percent", maximumFractionDigits: 1 });
  $("agreement").textContent = say("agreement", { count: number(reviewed), share: share.format(agreed / (reviewed || 1)) });
  $("viewer-agreement").textContent = $("agreement").textContent;
}

function setThreshold(value) {
  state.threshold = value;
  sheet.redraw();
}

function onSelection() {
  sheet.redraw();
  map.onSelection();
  bulk.draw();
}

function onReviews() {
  sheet.redraw();
  map.onReviews();
  bulk.draw();
  if (reviews.waiting) return;
  // The counts come from the server once it has stored the reviews. A poll that runs may have read earlier ones.
  state.stale = true;
  if (!state.following) follow();
}

function showRefusal(error) {
  $("refused").textContent = sayFailure(error);
  $("refused").hidden = false;
}

async function openItem(index) {
  pushState({ item: list.at(index)?.id, index });
  if (!(await viewer.open(index))) forgetItem();
}

/** Open a picture that a search has found here, if it is in the list. Returns whether it is. */
function openAlike(item) {
  const index = list.isPlain && item.job_id === id ? item.position : list.indexOf(item.id);
  if (index < 0) return false;
  openItem(index);
  return true;
}

function rememberItem(item, index) {
  sheet.setCurrent(index);
  replaceState({ item: item.id, index });
}

function forgetItem() {
  replaceState({ item: null, index: null });
  if (map.isShown) map.focus(sheet.current);
  else sheet.focus(sheet.current);
}

function rememberPlace(first) {
  scrubber.draw(first);
  clearTimeout(state.placing);
  state.placing = setTimeout(() => !viewer.dialog.open && replaceState({ at: first || null }), 200);
}

/** Back and Forward: close or open the viewer, or show another list. */
async function onBack(place) {
  const query = JSON.stringify(filters.query);
  const isOther = map.isShown !== !$("map-view").hidden;
  if (isOther || products.isShown || !$("products-view").hidden || query !== JSON.stringify(list.query)) {
    viewer.dialog.close();
    await showList({ place });
  } else if (place.item) {
    await openById(place.item, place);
  } else if (viewer.dialog.open) {
    viewer.dialog.close();
  }
}

function onKey(event) {
  if (document.querySelector("dialog[open]") || event.target.matches("input, select, textarea, [contenteditable='plaintext-only']")) return;
  if (MOVES.test(event.key) && document.activeElement === document.body && sheet.length) sheet.onKey(event);
  else if (event.key === "?") $("keys").showModal();
  else if (event.key === "/") (event.preventDefault(), $("search").focus());
  else if (event.key === "u" || (event.key === "z" && (event.ctrlKey || event.metaKey))) reviews.undo();
  else if (/^[1-9]$/.test(event.key) && document.activeElement === sheet.element) reviewCurrent(Number(event.key));
  else if (event.key === "x" && document.activeElement === sheet.element) reviewCurrent(0);
}

/** Review the selected items, or the current one, with the label that has this rank for the current one (0: none fits). */
function reviewCurrent(rank) {
  const item = list.at(sheet.current);
  const label = item?.prediction?.labels[rank - 1];
  if (!mayReview() || !item?.prediction || (rank && !label)) return;
  const ids = selection.size ? [...selection.ids] : [item.id];
  reviews.set(ids, rank ? label.id : null);
  if (selection.size) selection.clear();
  else sheet.focus(sheet.current + 1);
}
