// The page for an address that does not exist, and for a link to a job that does not work.
import { $, onLanguage, say, sayError, setUpPage } from "../shared/page.js";
import { WORDS } from "../words/missing.js";

/** The code of the error that the page explains, or "". */
const { problem } = $("main").dataset;

setUpPage(WORDS);
onLanguage(() => {
  document.title = `${say(problem ? "deadLink" : "missingTitle")} · Lookbook`;
  if (problem) $("problem").textContent = sayError(problem, "");
});
