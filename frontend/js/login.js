// The door: a key is exchanged for a session.
import { ApiError, signIn } from "./api.js";
import { $, onLanguage, say, sayError, setUpPage } from "./page.js";

setUpPage();
let refusal = null;
onLanguage(() => {
  document.title = `${say("signIn")} · Lookbook`;
  showRefusal();
});

$("door").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("enter").disabled = true;
  refusal = null;
  showRefusal();
  try {
    await signIn($("key").value.trim());
    location.replace(whereto());
  } catch (error) {
    refusal = error instanceof ApiError ? { code: error.code, detail: error.message } : { code: "unreachable", detail: "" };
    showRefusal();
    $("enter").disabled = false;
    $("key").select();
  }
});

/** Where the visitor was going, if that is a page of ours. */
function whereto() {
  const next = new URL(new URLSearchParams(location.search).get("next") || "/", location.origin);
  return next.origin === location.origin ? next.pathname : "/";
}

function showRefusal() {
  $("refused").hidden = !refusal;
  $("refused").textContent = refusal ? sayError(refusal.code, refusal.detail) : "";
}
