// "Do this from a script": the calls with which a program does what the person does on the page.
import { signedIn } from "./api.js";
import { make, onLanguage, say } from "./page.js";

const KINDS = ["curl", "Python", "CLI"];

/**
 * Fill `place` (an empty element) with a closed list of calls. `calls()` returns {curl, Python, CLI}, each the text of one
 * call, or of several in lines. Returns a function that shows the present calls, for when the action has changed.
 */
export function showScriptCalls(place, calls) {
  const summary = make("summary", { class: "quiet" });
  const rows = KINDS.map((kind) => row(kind));
  const details = make("details", { class: "script" }, summary, ...rows.map(({ element }) => element));
  place.replaceChildren(details);
  const draw = () => {
    const present = calls();
    summary.textContent = say("fromScript");
    for (const { kind, element, code, copy } of rows) {
      element.hidden = !present[kind];
      code.textContent = present[kind] ?? "";
      copy.textContent = say("copy");
    }
  };
  onLanguage(draw);
  return draw;
}

function row(kind) {
  const code = make("code");
  const copy = make("button", { class: "quiet", type: "button" });
  copy.addEventListener("click", async () => {
    copy.textContent = say((await copied(code)) ? "copied" : "selected");
  });
  // The text scrolls sideways, so the keyboard must reach it.
  const text = make("pre", { tabindex: "0" }, code);
  return { kind, code, copy, element: make("div", {}, make("div", { class: "script-head" }, make("b", {}, kind), copy), text) };
}

/** Copy the text of an element. Where a page may not write to the clipboard, select the text and resolve to false. */
export async function copied(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return false;
  }
}

/** A word of a shell command, quoted if it needs to be. */
export const shell = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

/** The beginning of a curl command: with the key of the environment if the service needs one. Never with the key itself. */
export const curl = () => (signedIn() ? `curl -H "Authorization: Bearer $LOOKBOOK_KEY"` : "curl");

/** The lines of Python that open a client of this service. The client reads the key from the environment. */
export const pythonClient = () => `from lookbook import Client\n\nclient = Client(${JSON.stringify(location.origin)})`;

/** The beginning of a command of the command line. It reads the key from the environment. */
export const cli = () => `LOOKBOOK_URL=${location.origin} lookbook`;
