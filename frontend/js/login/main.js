// The login page: a key starts a session.
import { ApiError, session, signIn, Unreachable } from "../shared/api.js";
import { $, onLanguage, say, sayError, setUpPage } from "../shared/page.js";
import { WORDS } from "../words/login.js";

setUpPage(WORDS);
let refusal = null;
onLanguage(() => {
  document.title = `${say("signIn")} · Lookbook`;
  showRefusal();
});

explain();

$("door").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("enter").disabled = true;
  refusal = null;
  showRefusal();
  try {
    await signIn($("key").value.trim());
    location.replace(destination());
  } catch (error) {
    refusal = error instanceof ApiError ? { code: error.code, detail: error.message } : { code: "no_answer", detail: "" };
    showRefusal();
    $("enter").disabled = false;
    $("key").select();
  }
});

/** Say why the page is here, if it is because the link to a job has ended. */
async function explain() {
  try {
    if (!(await session()).share_ended) return;
  } catch (error) {
    if (error instanceof Unreachable) return;
    throw error;
  }
  refusal ??= { code: "share_ended", detail: "" };
  showRefusal();
}

/** The address of the page that led here, or "/". Only addresses of this site are followed, so that no link can lead to another. */
function destination() {
  const next = new URL(new URLSearchParams(location.search).get("next") || "/", location.origin);
  return next.origin === location.origin ? next.pathname + next.search + next.hash : "/";
}

function showRefusal() {
  $("refused").hidden = !refusal;
  $("refused").textContent = refusal ? sayError(refusal.code, refusal.detail) : "";
}
