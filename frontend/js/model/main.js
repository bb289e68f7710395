// The page of one model version: figures, confusion matrix, curves, card; promotion, and comparison with another version.
import { ApiError, get } from "../shared/api.js";
import { $, day, make, nameOf, number, onLanguage, say, sayFailure, setUpPage } from "../shared/page.js";
import { cli, curl, pythonClient, shell, showScriptCalls } from "../shared/script-calls.js";
import { onHistory, pushState, readState } from "../shared/url-state.js";
import { aliasMarks } from "../shared/model-versions.js";
import { WORDS } from "../words/models.js";
import { renderCard } from "./card.js";
import { Confusion } from "./confusion.js";
import { drawCurves } from "./curves.js";
import { Drift } from "./drift.js";
import { drawFigures, drawLabels, nameOfVersion } from "./figures.js";
import { Promotion } from "./promotion.js";
import { Shadow } from "./shadow.js";

const [, , name, version] = location.pathname.split("/").map(decodeURIComponent);
const shown = { version: null, versions: [], other: null, failure: null };

setUpPage(WORDS);
const confusion = new Confusion(nameOfLabel);
const promotion = new Promotion(load);
const drift = new Drift(nameOfLabel);
const shadow = new Shadow(nameOfLabel);
$("compare").addEventListener("change", () => {
  pushState({ with: $("compare").value });
  draw();
});
onHistory(() => shown.version && (draw(), confusion.show(shown.version)));
onLanguage(() => shown.version && draw());
onLanguage(() => shown.version && (confusion.draw(), promotion.draw(), drift.draw(), shadow.draw()));
onLanguage(drawFailure);
// The colours of the curves are those of the theme.
new MutationObserver(() => shown.version && (drawCurves(shown.version.metrics.curves), drift.draw())).observe(
  document.documentElement,
  { attributeFilter: ["data-bs-theme"] },
);
load();

async function load() {
  try {
    const path = `/v1/models/${encodeURIComponent(name)}/${encodeURIComponent(version)}`;
    const [one, all] = await Promise.all([get(path), get("/v1/models")]);
    shown.version = one.body;
    shown.versions = all.body.data;
    shown.failure = null;
  } catch (error) {
    shown.failure = error;
    drawFailure();
    return;
  }
  $("specimen").hidden = false;
  draw();
  $("card").replaceChildren(...renderCard(shown.version.card, nameOfVersion(shown.version)));
  showScriptCalls($("script"), scriptCalls);
  await Promise.all([confusion, promotion, drift, shadow].map((part) => part.show(shown.version)));
}

function drawFailure() {
  $("trouble").hidden = !shown.failure;
  if (!shown.failure) return;
  const isUnknown = shown.failure instanceof ApiError && shown.failure.status === 404;
  const toAll = make("a", { href: "/models" }, say("allVersions"));
  $("trouble").replaceChildren(isUnknown ? say("unknownVersion") : sayFailure(shown.failure), " ", toAll);
  document.title = `${name}@${version} · Lookbook`;
}

/** The calls that read and promote the version. */
function scriptCalls() {
  const path = `${location.origin}/v1/models/${encodeURIComponent(name)}`;
  const promotes = `-H "Content-Type: application/json" -d ${shell(JSON.stringify({ version }))}`;
  const [pythonName, pythonVersion] = [JSON.stringify(name), JSON.stringify(version)];
  return {
    curl: `${curl()} ${path}/${encodeURIComponent(version)}\n${curl()} ${promotes} ${path}/promote`,
    Python: `${pythonClient()}\nprint(client.model(${pythonName}, ${pythonVersion}).metrics)\nclient.promote(${pythonName}, ${pythonVersion})`,
    CLI: `${cli()} models card ${shell(`${name}@${version}`)}\n${cli()} models promote ${shell(`${name}@${version}`)}`,
  };
}

function nameOfLabel(id) {
  const label = shown.version.labels.find((row) => row.id === id);
  return label ? nameOf(label.names) : id;
}

function draw() {
  const { version: one, versions } = shown;
  const { metrics } = one;
  const other = versions.find((row) => nameOfVersion(row) === readState().with && nameOfVersion(row) !== nameOfVersion(one));
  document.title = `${nameOfVersion(one)} · Lookbook`;
  $("name").textContent = nameOfVersion(one);
  $("aliases").replaceChildren(...aliasMarks(one));
  $("facts").textContent = factsOf(one).join(" · ");
  drawChoice(one, versions, other);
  $("other-data").hidden = !other || other.metrics.data_hash === metrics.data_hash;
  drawFigures($("figures"), one, other);
  drawLabels($("labels"), one, other, nameOfLabel);
  drawCurves(metrics.curves);
}

function factsOf({ created_at: created, labels, groups, metrics, input }) {
  const facts = [say("publishedOn", { day: day(created) }), say("labelsInGroups", { labels: number(labels.length), groups: number(groups.length) })];
  if (metrics.train_pictures) facts.push(say("trainedOn", { count: number(metrics.train_pictures) }));
  if (metrics.pictures) facts.push(say("measuredOn", { count: number(metrics.pictures) }));
  if (input.size) facts.push(say("inputSize", { n: number(input.size) }));
  return facts;
}

function drawChoice(one, versions, other) {
  const others = versions.filter((row) => nameOfVersion(row) !== nameOfVersion(one));
  $("compare-row").hidden = !others.length;
  const none = make("option", { value: "" }, say("noOther"));
  $("compare").replaceChildren(none, ...others.map((row) => make("option", { value: nameOfVersion(row) }, nameOfVersion(row))));
  $("compare").value = other ? nameOfVersion(other) : "";
}
