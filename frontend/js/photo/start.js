// The page before there is a photo: what the model can tell apart, and samples to try.
import { get, getFile, session, Unreachable } from "../shared/api.js";
import { $, make, nameOf, onLanguage, say } from "../shared/page.js";

/** So many labels are named. A model with more of them is described by its groups. */
const MOST_NAMED = 12;

let readOnly = false;

/** Fill the start of the page. `take(file)` is called with the sample that a person chooses. */
export function setUpStart(take) {
  let model = null;
  onLanguage(() => {
    // A finger cannot drop a file.
    if (!readOnly) $("headline").textContent = say(matchMedia("(pointer: coarse)").matches ? "takeOrChoose" : "dropHere");
    if (model) describe(model);
  });
  get("/v1/labels").then(({ body }) => describe((model = body)), ignoreUnreachable);
  showSamples(take);
}

/** Resolves to whether the visitor may submit pictures. If the server does not say, it is the upload that is refused. */
export async function maySubmit() {
  try {
    return (await session()).may.includes("submit");
  } catch (error) {
    ignoreUnreachable(error);
    return true;
  }
}

/** Tell a visitor who may only look at results what the page is for, in place of the ways to send a photo. */
export function showReadOnly() {
  readOnly = true;
  onLanguage(() => {
    $("headline").textContent = say("readOnly");
    $("tagline").textContent = say("readOnlyHint");
  });
  for (const id of ["choices", "samples-strip", "tools", "next", "crop-again", "script"]) $(id).hidden = true;
}

function describe({ labels, groups }) {
  if (readOnly) return;
  const named = labels.length > MOST_NAMED ? groups : labels;
  const list = new Intl.ListFormat(document.documentElement.lang).format(named.map(({ names }) => nameOf(names)));
  $("tagline").textContent = say(named === labels ? "tellsLabels" : "tellsGroups", { list, count: labels.length });
}

async function showSamples(take) {
  const { body } = await get("/samples/index.json");
  $("samples").replaceChildren(
    ...body.samples.map(({ name, url, thumbnail, width, height }) => {
      // The names of the samples say what they show.
      const picture = make("img", { src: thumbnail, alt: name.replace(/\.\w+$/, "").replaceAll("-", " "), width, height, loading: "lazy" });
      const button = make("button", { type: "button", title: name }, picture);
      button.addEventListener("click", async () => take(await getFile(url, name)));
      return button;
    }),
  );
}

/** Without these facts the page still works, and an upload reports that the server does not answer. */
function ignoreUnreachable(error) {
  if (!(error instanceof Unreachable)) throw error;
}
