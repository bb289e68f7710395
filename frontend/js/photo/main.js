// The start page: drop, choose, paste or photograph pictures. One picture is answered here; several become a job.
import { ApiError, get, getFile, post } from "../shared/api.js";
import { setUpCrawlForm } from "./crawl-form.js";
import { droppedFiles } from "../shared/files.js";
import { namesOf } from "../shared/labels.js";
import { $, bytes, make, number, onLanguage, percent, say, sayError, setUpPage, showRanks } from "../shared/page.js";
import { WORDS as CRAWL_WORDS } from "../words/crawl.js";
import { WORDS } from "../words/photo.js";

const EARLIER_JOBS = 8;
/** AbortController of the upload that runs. */
let aborter = null;
/** The classification that is shown: {item, file}. */
let answer = null;

setUpPage(WORDS, CRAWL_WORDS);
listenForFiles();
setUpCrawlForm();
showSamples();
onLanguage(showEarlier);
onLanguage(() => answer && showAnswer(answer));
$("again").addEventListener("click", reset);
$("abort").addEventListener("click", () => aborter?.abort());
// The browser's "back" restores the page as it was left: while sending.
addEventListener("pageshow", (event) => event.persisted && reset());

function listenForFiles() {
  for (const id of ["files", "folder", "camera"]) {
    $(id).addEventListener("change", (event) => {
      const files = [...event.target.files];
      event.target.value = "";
      send(files);
    });
  }
  // The whole page accepts files, because the browser would open a picture that is dropped beside the drop zone.
  let depth = 0;
  addEventListener("dragenter", () => toggleOver((depth += 1)));
  addEventListener("dragleave", () => toggleOver((depth -= 1)));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    toggleOver((depth = 0));
    send((await droppedFiles(event.dataTransfer)).map(({ file }) => file));
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) send([...event.clipboardData.files]);
  });
}

function toggleOver(depth) {
  $("drop").classList.toggle("over", depth > 0);
}

async function send(files) {
  // Folders contain hidden files such as .DS_Store. A single file is always sent, so that the server can say what is wrong.
  const pictures = files.length > 1 ? files.filter((file) => !file.name.startsWith(".")) : files;
  if (!pictures.length) {
    if (files.length) showProblem(say("noPictures"));
    return;
  }
  $("problem").hidden = true;
  $("answer").hidden = true;
  $("start").hidden = false;
  aborter = new AbortController();
  showSending(pictures);
  try {
    if (pictures.length === 1) await sendOne(pictures[0]);
    else await sendMany(pictures);
  } catch (error) {
    reset();
    if (error.name !== "AbortError") {
      showProblem(error instanceof ApiError ? sayError(error.code, error.message) : sayError("no_answer", ""));
    }
  }
}

async function sendOne(file) {
  const form = new FormData();
  form.append("image", file, file.name);
  const { status, body } = await post("/v1/classifications", form, { onProgress: showProgress, signal: aborter.signal });
  if (status === 202) {
    location.href = `/jobs/${body.job_id}`;
    return;
  }
  answer = { item: body, file };
  await showAnswer(answer);
}

async function sendMany(files) {
  const form = new FormData();
  for (const file of files) form.append("images", file, file.name);
  const { body } = await post("/v1/jobs", form, { onProgress: showProgress, signal: aborter.signal });
  location.href = body.links.page;
}

function showSending(files) {
  $("invite").hidden = true;
  $("sending").hidden = false;
  const one = files.length === 1;
  $("sending-title").textContent = one
    ? say("sendingOne", { name: files[0].name })
    : say("sendingMany", { count: number(files.length) });
  showProgress(0, files.reduce((sum, file) => sum + file.size, 0));
}

function showProgress(sent, total) {
  $("sending-line").style.width = `${total ? (100 * sent) / total : 0}%`;
  $("sending-note").textContent =
    total && sent >= total ? say("received") : say("sent", { sent: bytes(sent), total: bytes(total) });
}

async function showAnswer({ item, file }) {
  const { prediction } = item;
  const names = await namesOf(prediction.model);
  if (!$("photo").src || $("photo").dataset.item !== item.id) {
    URL.revokeObjectURL($("photo").src);
    $("photo").src = URL.createObjectURL(file);
    $("photo").dataset.item = item.id;
  }
  $("photo").alt = file.name;
  showRanks($("ranks"), prediction.labels.map(({ id, score }) => ({ name: names.label(id), score })));
  const group = prediction.groups[0];
  $("answer-foot").textContent = [
    `${say("group", { name: names.group(group.id) })} ${percent(group.score)}`,
    prediction.model,
    `${number(item.image.width)} × ${number(item.image.height)}`,
  ].join(" · ");
  $("start").hidden = true;
  $("answer").hidden = false;
}

function reset() {
  answer = null;
  $("answer").hidden = true;
  $("start").hidden = false;
  $("sending").hidden = true;
  $("invite").hidden = false;
  showEarlier();
}

function showProblem(text) {
  $("problem").textContent = text;
  $("problem").hidden = false;
}

async function showSamples() {
  const { body } = await get("/samples/index.json");
  const fetched = (sample) => getFile(sample.url, sample.name);
  $("samples").replaceChildren(
    ...body.samples.map((sample) => {
      const button = make("button", { type: "button", title: sample.name });
      button.append(make("img", { src: sample.thumbnail, alt: sample.name, loading: "lazy" }));
      button.addEventListener("click", async () => send([await fetched(sample)]));
      return button;
    }),
  );
  $("all-samples").addEventListener("click", async () => send(await Promise.all(body.samples.map(fetched))));
  $("samples-strip").hidden = body.samples.length === 0;
}

async function showEarlier() {
  let jobs;
  try {
    ({ body: { data: jobs } } = await get(`/v1/jobs?limit=${EARLIER_JOBS}`));
  } catch {
    return; // Without this list the page still works, and an upload reports that the server does not answer.
  }
  const when = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  $("earlier").hidden = jobs.length === 0;
  $("jobs").replaceChildren(
    ...jobs.map((job) => {
      const { total, pending } = job.counts;
      const line = make("i");
      line.style.width = `${(100 * (total - pending)) / Math.max(total, 1)}%`;
      const link = make("a", { href: job.links.page });
      link.append(
        make("span", { class: "title" }, job.name),
        make("span", { class: "muted small" }, say("done", { done: number(total - pending), total: number(total) })),
        make("span", { class: "muted small when" }, when.format(new Date(job.created_at))),
      );
      return make("li", {}, link, make("div", { class: pending ? "line" : "line done" }, line));
    }),
  );
}
