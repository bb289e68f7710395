// The summary before sending: how much is sent, what is skipped and why, the quota that is left, and the options of the job.
import { $, bytes, make, number, say } from "../shared/page.js";
import { versionOptions } from "../shared/model-versions.js";
import { showScriptCalls } from "../shared/script-calls.js";
import { callsFor } from "./calls.js";
import { forgetPreview } from "./preview.js";
import { crawlOf, drawRecipes } from "./shop.js";
import { nameOfSource } from "./sorting.js";

/** Most skipped files whose names are listed, per reason. */
const MOST_NAMED = 100;
const SKIPPED = {
  system: "skipSystem",
  packed: "skipPacked",
  empty: "skipEmpty",
  noPicture: "skipNoPicture",
  otherFormat: "skipOtherFormat",
  tooLarge: "skipTooLarge",
  twice: "skipTwice",
};
/** Pictures that are shown before they are sent. */
const MOST_SHOWN = 12;
/** The source that is shown: {kind, …}. Null if none is. */
let source = null;
/** What the server accepts, and what the caller may. */
let limits = null;
let session = null;
/** The suggested name: it follows the language until the person changes it. */
let suggested = "";
let redrawCalls = null;

export function setUpReady(serverLimits, caller) {
  limits = serverLimits;
  session = caller;
  redrawCalls = showScriptCalls($("script"), () => (source && source.kind !== "nothing" ? callsFor(described(), optionsOf()) : {}));
  $("ready").addEventListener("input", () => redrawCalls());
  for (const radio of document.getElementsByName("kind")) {
    radio.addEventListener("change", () => {
      source.kind = radio.value === "shop" ? "shop" : "urls";
      drawReady();
    });
  }
}

export async function drawModels() {
  $("model").replaceChildren(...(await versionOptions()));
}

/** Show a source: what `sortOut` returns, or `{kind: "urls" | "shop", urls}`. */
export function showReady(chosen) {
  source = chosen;
  const isTyped = "urls" in source;
  $("kinds").hidden = !isTyped;
  if (isTyped) $("ready").elements.kind.value = source.kind === "shop" ? "shop" : "pictures";
  suggested = $("name").value = suggestedName();
  $("ready").hidden = false;
  $("start").hidden = true;
  forgetPreview();
  drawReady();
  showPictures(source.pictures ?? []);
  $("ready-title").focus();
}

export function hideReady() {
  showPictures([]);
  source = null;
  $("ready").hidden = true;
}

export const readySource = () => source && described();

/** The options of the job, as the API takes them: name, model, priority, without empty ones. */
export function optionsOf() {
  const options = { name: $("name").value.trim(), model: $("model").value, priority: $("priority").value };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value));
}

/** Draw in the present language. */
export function drawReady() {
  if (!source) return;
  if ($("name").value === suggested) suggested = $("name").value = suggestedName();
  const count = countOf(source);
  $("ready-title").textContent = titleOf(source, count);
  $("ready-facts").replaceChildren(...factsOf(source).map((fact) => make("span", {}, fact)));
  const refused = whyRefused(count);
  $("ready-refused").hidden = !refused;
  $("ready-refused").textContent = refused ?? "";
  $("shop").hidden = $("preview").hidden = source.kind !== "shop";
  drawRecipes();
  $("send").hidden = source.kind === "nothing" || refused !== null;
  $("send").textContent = say(source.kind === "shop" ? "startCrawl" : "send");
  for (const part of ["script", "name"]) $(part).closest(part === "name" ? ".fields" : "div").hidden = source.kind === "nothing";
  drawSkipped();
  redrawCalls();
}

function titleOf({ kind, file, urls }, count) {
  if (kind === "pictures") return count === 1 ? say("readyOnePictures") : say("readyPictures", { count: number(count) });
  if (kind === "urls") return count === 1 ? say("readyOneUrls") : say("readyUrls", { count: number(count) });
  if (kind === "shop") return say("readyShop", { name: urls[0] });
  return file?.name ?? say("readyNothing");
}

function showPictures(pictures) {
  for (const image of $("peek").children) URL.revokeObjectURL(image.src);
  $("peek").replaceChildren(
    ...pictures.slice(0, MOST_SHOWN).map(({ file, path }) => {
      const image = make("img", { alt: path, title: path, decoding: "async" });
      // A damaged picture is sent: the server says what is wrong with it.
      image.addEventListener("error", () => image.remove());
      image.src = URL.createObjectURL(file);
      return image;
    }),
  );
  $("peek").hidden = pictures.length === 0;
}

function described() {
  return source.kind === "shop" ? { ...source, crawl: crawlOf(source.urls) } : source;
}

function countOf({ kind, pictures, urls }) {
  if (kind === "pictures") return pictures.length;
  return kind === "urls" || kind === "shop" ? urls.length : null;
}

function factsOf({ kind, bytes: size }) {
  const facts = [];
  if (size) facts.push(bytes(size));
  if (kind === "archive" || kind === "manifest") facts.push(say("readByServer", { most: number(limits.source_items) }));
  const { key } = session;
  if (key?.quota) facts.push(say("quotaLeft", { left: number(Math.max(0, key.quota - key.used)), quota: number(key.quota) }));
  return facts;
}

/** Why the server would refuse all of it, or null. */
function whyRefused(count) {
  const { key } = session;
  const left = key?.quota ? Math.max(0, key.quota - key.used) : Infinity;
  if (left === 0) return say("quotaUsedUp");
  if (source.kind === "pictures" || source.kind === "urls") {
    if (count > left) return say("quotaTooSmall", { count: number(count), left: number(left) });
    if (source.kind === "urls" && count > limits.request_files) {
      return say("tooManyUrls", { count: number(count), most: number(limits.request_files) });
    }
  }
  return null;
}

function drawSkipped() {
  const skipped = source.skipped ?? new Map();
  const total = [...skipped.values()].reduce((sum, paths) => sum + paths.length, 0);
  $("skipped").hidden = total === 0;
  if (!total) return;
  const [summary, list] = $("skipped").children;
  const reasons = [...skipped].map(([reason, paths]) => [say(SKIPPED[reason], { size: bytes(limits.picture_bytes) }), paths]);
  summary.textContent = [say("skipped", { count: number(total) }), ...reasons.map(([text, paths]) => `${text} (${number(paths.length)})`)].join(" · ");
  list.replaceChildren(
    ...reasons.flatMap(([text, paths]) => {
      const rest = paths.length - MOST_NAMED;
      const named = paths.slice(0, MOST_NAMED).map((path) => make("li", {}, path));
      if (rest > 0) named.push(make("li", { class: "muted" }, say("andMore", { count: number(rest) })));
      return [make("h3", {}, text), make("ul", {}, ...named)];
    }),
  );
}

function suggestedName() {
  if (source.kind === "nothing") return "";
  if (source.urls) {
    const [first] = source.urls;
    return source.kind === "shop" ? new URL(first).host : dated();
  }
  return nameOfSource(source) ?? dated();
}

function dated() {
  return new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" }).format(source.at ??= new Date());
}

