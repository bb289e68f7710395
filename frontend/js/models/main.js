// The list of model versions: what each is called, what it can do, and when it was published.
import { get } from "../shared/api.js";
import { between, nameOfVersion, scale } from "../model/figures.js";
import { aliasMarks, pathOfVersion } from "../shared/model-versions.js";
import { $, day, make, number, onLanguage, percent, say, sayFailure, setUpPage } from "../shared/page.js";
import { WORDS } from "../words/models.js";

let versions = null;
let failure = null;

setUpPage(WORDS);
onLanguage(draw);
load();

async function load() {
  try {
    versions = (await get("/v1/models")).body.data;
  } catch (error) {
    failure = error;
  }
  draw();
}

function draw() {
  document.title = `${say("modelsTitle")} · Lookbook`;
  $("trouble").hidden = !failure;
  if (failure) $("trouble").textContent = sayFailure(failure);
  if (!versions) return;
  $("none").hidden = versions.length > 0;
  $("versions").replaceChildren(...versions.map(row));
}

function row(version) {
  const { accuracy, intervals, labels, pictures } = version.metrics;
  const facts = [say("publishedOn", { day: day(version.created_at) })];
  if (labels) facts.push(say("labelCount", { count: number(labels.length) }));
  if (pictures) facts.push(say("measuredOn", { count: number(pictures) }));
  const title = make("span", {}, make("span", { class: "ref" }, nameOfVersion(version)), ...aliasMarks(version));
  const link = make("a", { href: pathOfVersion(version) }, title);
  const figure = make("span", { class: "figure" }, make("span", { class: "facts" }, facts.join(" · ")));
  if (accuracy !== undefined) {
    figure.prepend(scale(accuracy, intervals?.accuracy));
    const said = intervals?.accuracy ? `${say("accuracy")}, ${between(intervals.accuracy)}` : say("accuracy");
    link.append(figure, make("span", { class: "score", title: said }, percent(accuracy, 1), make("small", {}, say("accuracy"))));
  } else {
    link.append(figure);
  }
  return make("li", {}, link);
}
