// The page for an address that does not exist.
import { onLanguage, say, setUpPage } from "../shared/page.js";
import { WORDS } from "../words/missing.js";

setUpPage(WORDS);
onLanguage(() => (document.title = `${say("missingTitle")} · Lookbook`));
