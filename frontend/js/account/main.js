// The page about the visitor's key: what it may do, what it has used; for admins, the keys of the service.
import { get, session } from "../shared/api.js";
import { $, day, make, number, onLanguage, say, sayFailure, sayOf, setUpPage } from "../shared/page.js";
import { curl, pythonClient, showScriptCalls } from "../shared/script-calls.js";
import { WORDS } from "../words/account.js";
import { Keys } from "./keys.js";

const shown = { who: null, usage: null, failure: null };

setUpPage(WORDS);
const keys = new Keys();
showScriptCalls($("script"), () => ({
  curl: `${curl()} ${location.origin}/v1/usage`,
  Python: `${pythonClient()}\nprint(client.usage().month)`,
}));
onLanguage(draw);
load();

async function load() {
  try {
    shown.who = await session();
    // Without a session, the server leads to the login page here.
    shown.usage = (await get("/v1/usage")).body;
    draw();
    if (shown.who.may.includes("admin")) await keys.show(shown.who);
  } catch (error) {
    shown.failure = error;
    draw();
  }
}

function draw() {
  const { who, usage, failure } = shown;
  document.title = `${who?.key?.name ?? say("account")} · Lookbook`;
  $("refused").hidden = !failure;
  if (failure) $("refused").textContent = sayFailure(failure);
  if (who) drawWho(who);
  $("usage").hidden = !usage;
  if (usage) drawUsage(usage);
}

function drawWho({ key, open, may }) {
  if (key) {
    $("who").removeAttribute("data-i18n");
    $("who").textContent = key.name;
  }
  const facts = key ? [key.id] : [say(open ? "openService" : "noKey")];
  if (key && key.owner !== key.id) facts.push(say("ofOwner", { owner: key.owner }));
  facts.push(...may.map((scope) => sayOf("may", scope)));
  if (key?.rate_limit) facts.push(say("rateLimit", { count: number(key.rate_limit) }));
  $("may").textContent = facts.join(" · ");
}

function drawUsage({ month, quota, left, resets_at: resets, days }) {
  $("month").textContent = say("thisMonth", { pictures: number(month.pictures), jobs: number(month.jobs) });
  $("quota-line").hidden = quota === null;
  if (quota !== null) $("quota-line").firstElementChild.style.width = `${quota ? (100 * (quota - left)) / quota : 100}%`;
  $("quota").textContent =
    quota === null ? say("noQuota") : say("quotaLeft", { left: number(left), quota: number(quota), day: day(resets) });
  const most = Math.max(...days.map(({ pictures }) => pictures), 1);
  $("days").setAttribute("aria-label", say("daysSaid", { days: number(days.length), most: number(most === 1 ? days.at(-1).pictures : most) }));
  $("days").replaceChildren(...days.map((row) => bar(row, most)));
  $("first-day").textContent = day(days[0].day);
  const heads = ["dayHead", "picturesHead", "jobsHead"].map((word) => make("th", { scope: "col" }, say(word)));
  const rows = days.toReversed().map(({ day: date, pictures, jobs }) => {
    const counts = [pictures, jobs].map((count) => make("td", { class: "count" }, number(count)));
    return make("tr", {}, make("th", { scope: "row" }, day(date)), ...counts);
  });
  $("day-table").replaceChildren(make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
}

function bar({ day: date, pictures }, most) {
  const made = make("i", { title: say("dayCount", { day: day(date), count: number(pictures) }) });
  made.style.height = `${(100 * pictures) / most}%`;
  return made;
}
