// The documentation of the HTTP API: its calls by subject, made from the OpenAPI document, and a form to try each.
import { get } from "../shared/api.js";
import { $, make, onLanguage, say, sayFailure, setUpPage } from "../shared/page.js";
import { WORDS } from "../words/docs.js";
import { callsOf, lineOf } from "./operation.js";
import { contentOf } from "./schema.js";

let spec = null;
let failure = null;

setUpPage(WORDS);
onLanguage(draw);
$("q").addEventListener("input", filter);
$("find").addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", openNamed);
load();

async function load() {
  try {
    spec = (await get("/openapi.json")).body;
  } catch (error) {
    failure = error;
  }
  draw();
  openNamed();
}

function draw() {
  document.title = `${say("docsTitle")} · Lookbook`;
  $("q").placeholder = say("docsSearch");
  $("trouble").hidden = !failure;
  if (failure) $("trouble").textContent = sayFailure(failure);
  if (!spec) return;
  const open = [...document.querySelectorAll("details.call[open]")].map(({ id }) => id);
  const calls = callsOf(spec);
  const tags = [...new Set(spec.tags.map(({ name }) => name))];
  $("tags").replaceChildren(...[...tags, null].map((tag) => make("a", { href: `#${tag ?? "schemas"}` }, tag ?? say("docsSchemas"))));
  $("operations").replaceChildren(
    ...tags.map((tag) => {
      const lines = calls.filter((call) => call.tag === tag).map(lineOf);
      return make("section", {}, make("h2", { id: tag }, tag), ...lines);
    }),
  );
  $("schemas-section").hidden = false;
  $("schema-list").replaceChildren(...Object.entries(spec.components.schemas).toSorted().map(schemaLine));
  for (const id of open) document.getElementById(id).open = true;
  filter();
}

function schemaLine([name, schema]) {
  const summary = make("summary", {}, make("span", { class: "path" }, name));
  const line = make("details", { class: "call", id: `schema-${name}` }, summary);
  line.addEventListener("toggle", () => {
    line.querySelector(".inside")?.remove();
    if (line.open) line.append(make("div", { class: "inside" }, contentOf(schema)));
  });
  return line;
}

/** Show the calls whose method, path or summary has the text that is searched for. */
function filter() {
  const text = $("q").value.trim().toLowerCase();
  for (const line of document.querySelectorAll("details.call")) {
    line.hidden = !line.querySelector("summary").textContent.toLowerCase().includes(text);
  }
  const sections = [...document.querySelectorAll("#operations > section"), $("schemas-section")];
  for (const section of sections) section.hidden = !section.querySelector("details.call:not([hidden])");
  $("none").hidden = sections.some((section) => !section.hidden);
}

/** Open the call or the schema that the URL names. */
function openNamed() {
  const line = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (line?.matches("details.call")) line.open = true;
  line?.scrollIntoView();
}
