// The page for many pictures: choose a source, look at what will be sent, and send it.
import { get, post, postJson } from "../shared/api.js";
import { chosenFiles, droppedFiles } from "../shared/files.js";
import { handOver, takeOver } from "../shared/handover.js";
import { $, number, onLanguage, say, sayFailure, setUpPage } from "../shared/page.js";
import { WORDS } from "../words/new.js";
import { accept, refuse, refuseBy, setUpFields } from "./fields.js";
import { drawModels, drawReady, hideReady, optionsOf, readySource, setUpReady, showReady } from "./ready.js";
import { handlesOf } from "./remembered.js";
import { offerToGoOn, startUpload } from "./resuming.js";
import { setUpPreview } from "./preview.js";
import { SendingView } from "./sending.js";
import { emptyShop, setUpShop, whyNoCrawl } from "./shop.js";
import { sortOut } from "./sorting.js";
import { readUrls } from "./urls.js";

/** Files that take a while to look through. */
const MANY = 2000;
const view = new SendingView();
/** What the server accepts. */
let limits = null;
/** Whether files and URLs are taken now. */
let isOpen = false;
/** The handles of what was dropped, for an upload that has to go on later. */
let handles = [];

setUpPage(WORDS);
onLanguage(entitle);
setUpFields();
listenForFiles();
$("typed").addEventListener("submit", chooseTyped);
$("urls").addEventListener("input", () => ($("urls").rows = Math.min(12, Math.max(1, $("urls").value.split("\n").length))));
$("ready").addEventListener("submit", send);
$("other").addEventListener("click", startAgain);
// The browser's "back" restores the page as it was left: while sending.
addEventListener("pageshow", (event) => event.persisted && location.reload());
try {
  await begin();
} catch (error) {
  $("trouble").textContent = sayFailure(error);
  $("trouble").hidden = false;
}

async function begin() {
  // The models and the recipes are needed only later, so nothing waits for them.
  const others = Promise.all([drawModels(), setUpShop()]);
  const [session, accepted] = await Promise.all([get("/session"), get("/v1/limits")]);
  limits = accepted.body;
  setUpReady(limits, session.body);
  setUpPreview(() => readySource().crawl);
  onLanguage(drawReady);
  onLanguage(() => view.draw());
  const maySubmit = session.body.may.includes("submit");
  $("read-only").hidden = maySubmit;
  if (!maySubmit) return;
  open();
  const waiting = await takeOver();
  if (waiting.length) await chooseFiles(waiting);
  else await offerToGoOn(view, open);
  await others;
  drawReady();
}

/** Give the window its title. While something is sent, `view` does. */
function entitle() {
  if ($("sending").hidden) document.title = `${say("many")} · Lookbook`;
}

/** Take files and URLs. */
function open() {
  isOpen = true;
  $("start").hidden = false;
}

function listenForFiles() {
  for (const id of ["files", "folder", "packed"]) {
    $(id).addEventListener("change", (event) => {
      const files = chosenFiles(event.target);
      event.target.value = "";
      handles = [];
      chooseFiles(files);
    });
  }
  // The whole page accepts files, because the browser would open a picture that is dropped beside the drop zone.
  let depth = 0;
  const mark = (now) => $("drop").classList.toggle("over", isOpen && (depth = now) > 0);
  addEventListener("dragenter", () => mark(depth + 1));
  addEventListener("dragleave", () => mark(depth - 1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    mark(0);
    if (!isOpen) return;
    const text = event.dataTransfer.getData("text/uri-list") || event.dataTransfer.getData("text/plain");
    const dropped = Promise.all([droppedFiles(event.dataTransfer), handlesOf(event.dataTransfer)]);
    const [files, found] = await dropped;
    handles = found;
    if (files.length) await chooseFiles(files);
    else if (text) typeIn(text);
  });
  addEventListener("paste", (event) => {
    if (!isOpen || event.target.closest("input, textarea")) return;
    const { files } = event.clipboardData;
    if (files.length) chooseFiles([...files].map((file) => ({ file, path: file.name })));
    else typeIn(event.clipboardData.getData("text/plain"));
  });
}

async function chooseFiles(files) {
  accept();
  if (!files.length) {
    refuse("drop", () => say("nothingChosen"));
    return;
  }
  $("looking").textContent = files.length > MANY ? say("looking", { count: number(files.length) }) : "";
  const sorted = await sortOut(files, limits);
  $("looking").textContent = "";
  if (sorted.kind === "pictures" && files.length === 1) {
    try {
      // One picture is answered on the page for one photo.
      await handOver(files);
      location.assign("/");
      return;
    } catch {
      // The browser has no room for it. It becomes a job of one picture.
    }
  }
  showReady(sorted);
}

function typeIn(text) {
  if (!text.trim()) return;
  $("urls").value = text.trim();
  $("typed").requestSubmit();
}

function chooseTyped(event) {
  event.preventDefault();
  accept();
  const { urls, kind, bad } = readUrls($("urls").value);
  if (bad) refuse("urls", () => say("badLine", { line: number(bad.line), text: bad.text }));
  else if (!urls.length) refuse("urls", () => say("noUrls"));
  else showReady({ kind: kind === "shop" ? "shop" : "urls", urls });
}

function startAgain() {
  accept();
  hideReady();
  handles = [];
  open();
  entitle();
}

async function send(event) {
  event.preventDefault();
  accept();
  const source = readySource();
  const options = optionsOf();
  const refusal = source.kind === "shop" && whyNoCrawl(source.crawl, limits.crawl);
  if (refusal) {
    refuse(refusal.field, refusal.sentence);
    return;
  }
  $("send").disabled = true;
  try {
    if (source.kind === "urls") await submitJson({ ...options, items: source.urls.map((url) => ({ url })) });
    else if (source.kind === "shop") await submitJson({ ...options, crawl: source.crawl });
    else if (source.kind === "pictures") await startUpload(view, source.pictures, options, handles, leaveReady);
    else await sendFile(source, options);
  } catch (error) {
    showAgain(error);
  } finally {
    $("send").disabled = false;
  }
}

async function submitJson(job) {
  location.assign((await postJson("/v1/jobs", job)).links.page);
}

/** Send an archive or a manifest, which is one request. */
async function sendFile({ kind, file }, options) {
  const aborter = new AbortController();
  const form = new FormData();
  for (const [name, value] of Object.entries(options)) form.append(name, value);
  form.append(kind, file, file.name);
  const upload = { state: "sending", sentBytes: 0, totalBytes: file.size };
  leaveReady();
  view.show(options.name || file.name, upload);
  const stop = () => aborter.abort();
  $("stop").addEventListener("click", stop);
  try {
    const onProgress = (sent, total) => {
      upload.sentBytes = total ? (file.size * sent) / total : 0;
      view.changed();
    };
    const { body } = await post("/v1/jobs", form, { onProgress, signal: aborter.signal });
    location.assign(body.links.page);
  } finally {
    $("stop").removeEventListener("click", stop);
  }
}

function leaveReady() {
  isOpen = false;
  $("ready").hidden = true;
}

/** After a failed submission: the page as it was before, and why. */
function showAgain(error) {
  $("sending").hidden = true;
  $("ready").hidden = false;
  isOpen = true;
  entitle();
  if (error.name === "AbortError") return;
  const isAboutUrls = error.errors?.[0]?.pointer.match(/^\/(items|crawl\/start_urls)/);
  // The field of the URLs is on the page before.
  if (isAboutUrls) startAgain();
  refuseBy(error, "ready");
}
