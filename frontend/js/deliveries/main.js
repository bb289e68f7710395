// The webhook deliveries of one job, newest first, each of which can be sent again.
import { change, get, session } from "../shared/api.js";
import { $, dayAndTime, make, number, onLanguage, say, sayFailure, sayOf, setUpPage } from "../shared/page.js";
import { cli, curl, pythonClient, showScriptCalls } from "../shared/script-calls.js";
import { WORDS } from "../words/account.js";

const id = decodeURIComponent(location.pathname.split("/")[2]);
const path = `/v1/jobs/${encodeURIComponent(id)}`;
const shown = { job: null, deliveries: null, cursor: null, mayReplay: false, failure: null };

setUpPage(WORDS);
showScriptCalls($("script"), () => ({
  curl: `${curl()} ${location.origin}${path}/deliveries`,
  Python: `${pythonClient()}\nfor delivery in client.job(${JSON.stringify(id)}).deliveries():\n    print(delivery.status, delivery.url)`,
  CLI: `${cli()} deliveries ${id}`,
}));
$("more").addEventListener("click", () => attempt(read));
onLanguage(draw);
attempt(async () => {
  shown.job = (await get(path)).body;
  shown.mayReplay = (await session()).may.includes("submit");
  await read();
});

async function read() {
  const query = shown.cursor ? `?cursor=${encodeURIComponent(shown.cursor)}` : "";
  const { body } = await get(`${path}/deliveries${query}`);
  shown.deliveries = [...(shown.deliveries ?? []), ...body.data];
  shown.cursor = body.next_cursor;
}

async function attempt(action) {
  shown.failure = null;
  try {
    await action();
  } catch (error) {
    shown.failure = error;
  }
  draw();
}

function draw() {
  const { job, deliveries, failure } = shown;
  document.title = `${say("deliveriesTitle")} · Lookbook`;
  $("back").textContent = job ? `← ${job.name}` : `← ${say("placeJobs")}`;
  $("back").href = job ? job.links.page : "/jobs";
  $("refused").hidden = !failure;
  if (failure) $("refused").textContent = sayFailure(failure);
  $("more").hidden = !shown.cursor;
  $("none").hidden = deliveries?.length !== 0;
  $("deliveries").replaceChildren(...(deliveries ?? []).map(row));
}

function row(delivery) {
  const isFailed = delivery.status === "failed" || delivery.status === "disabled";
  const state = make("span", { class: `state${isFailed ? " failed" : ""}` }, sayOf("deliveryStatuses", delivery.status));
  const facts = [sayOf("events", delivery.event.replace("job.", "")), say("attempts", { count: number(delivery.attempts) })];
  if (delivery.last_status) facts.push(`HTTP ${delivery.last_status}`);
  if (delivery.delivered_at) facts.push(say("deliveredAt", { time: dayAndTime(delivery.delivered_at) }));
  else if (delivery.next_attempt_at) facts.push(say("nextAttempt", { time: dayAndTime(delivery.next_attempt_at) }));
  const what = make("div", { class: "what" }, delivery.url, make("div", { class: "small muted" }, facts.join(" · ")));
  if (delivery.last_error) what.append(make("div", { class: "small failed" }, delivery.last_error));
  return make("li", {}, state, what, replayButton(delivery));
}

function replayButton(delivery) {
  const button = make("button", { class: "quiet", type: "button" }, say("replay"));
  button.hidden = !shown.mayReplay;
  button.disabled = delivery.status === "pending";
  button.addEventListener("click", () =>
    attempt(async () => {
      const replayed = await change("POST", `${path}/deliveries/${encodeURIComponent(delivery.id)}/replay`);
      shown.deliveries = shown.deliveries.map((one) => (one.id === replayed.id ? replayed : one));
    }),
  );
  return button;
}
