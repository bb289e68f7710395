// The page for an address that does not exist, and for a link to a job that lets nobody in.
import { $, onLanguage, say, setUpPage } from "../shared/page.js";
import { WORDS } from "../words/missing.js";

const isLink = location.pathname.startsWith("/shared/");

setUpPage(WORDS);
$("sign-in").hidden = !isLink;
onLanguage(() => {
  $("title").textContent = say(isLink ? "linkTitle" : "missingTitle");
  $("hint").textContent = say(isLink ? "linkHint" : "missingHint");
  document.title = `${$("title").textContent} · Lookbook`;
});
