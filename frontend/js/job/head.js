// The head of a job's page: its name, its progress, and its facts.
import { isFinished } from "../shared/api.js";
import { $, duration, failureParts, make, number, percent, say, sayError, sayOf } from "../shared/page.js";
import { modelLink } from "./facts.js";

const MOST_REASONS = 3;

export function drawHead(job) {
  const { total, pending } = job.counts;
  const finished = isFinished(job);
  const share = total ? (total - pending) / total : Number(finished);
  // While the source is still being read, the total is unknown, so no percentage is shown.
  const shown = finished || job.discovering ? "" : percent(share);
  document.title = `${finished ? "✓ " : shown && `${shown} · `}${job.name} · Lookbook`;
  if (!$("name").isContentEditable) $("name").textContent = job.name;
  $("percent").textContent = shown;
  $("line").classList.toggle("done", finished);
  $("line").setAttribute("aria-valuenow", Math.round(share * 100));
  $("line").firstElementChild.style.width = `${share * 100}%`;
  $("facts").replaceChildren(...factsOfJob(job, finished).map(([parts, kind]) => make("span", { class: kind }, ...[parts].flat())));
}

/** What happened so far: [text or parts, kind]. A picture that was stopped is not done. */
function factsOfJob(job, finished) {
  const { total, succeeded, failed, canceled, reused } = job.counts;
  const facts = [[say("done", { done: number(succeeded + failed), total: number(total) })]];
  if (canceled) facts.push([say("canceledCount", { count: number(canceled) })]);
  if (failed) facts.push([say("failed", { count: number(failed) }), "failed"]);
  if (finished && failed && !succeeded && !job.error) facts.push([say("noneSucceeded", { reasons: reasonsOf(job.failures) }), "failed"]);
  if (reused) facts.push([say("reused", { count: number(reused) })]);
  if (job.rate && (job.rate < 1000 || finished)) facts.push([say("rate", { rate: number(Math.round(job.rate)) })]);
  if (!finished && job.eta_seconds !== null) facts.push([say("left", { time: duration(job.eta_seconds) })]);
  if (job.open_until) facts.push([say("stillSending")]);
  else if (job.discovering) facts.push([say(job.crawl?.pages.seen ? "crawling" : job.crawl ? "waiting" : "discovering")]);
  else if (!finished && !job.started_at) facts.push([say("waiting")]);
  if (job.error && !job.crawl?.verdict) facts.push([failureParts(job.error), "failed"]);
  if (finished && job.duration_seconds !== null) facts.push([say("took", { time: duration(job.duration_seconds) })]);
  return facts;
}

/** Why the items failed, the commonest reason first. */
function reasonsOf(failures) {
  return failures
    .slice(0, MOST_REASONS)
    .map(({ code, count }) => `${sayError(code, code)} (${number(count)})`)
    .join(" · ");
}

/** The facts that seldom change: model, owner, source, dates, the client's own object. */
export function drawAbout(job) {
  const time = (moment) => new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" }).format(new Date(moment));
  const rows = [
    [say("model"), modelLink(`${job.model.name}@${job.model.version}`)],
    [say("source"), say(SOURCES[job.source])],
    [say("owner"), job.owner?.name ?? job.owner?.id],
    [say("columnsMean"), job.columns && Object.entries(job.columns).map((pair) => pair.join(" → ")).join(", ")],
    [say("leftOutFiles"), job.left_out && number(job.left_out)],
    [say("created"), time(job.created_at)],
    [say("ended"), job.finished_at && time(job.finished_at)],
    [say("keptUntil"), job.expires_at ? time(job.expires_at) : say("forEver")],
    [say("priority"), sayOf("priorities", job.priority)],
    [say("id"), make("code", {}, job.id)],
    ...Object.entries(job.metadata).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]),
  ];
  const shown = rows.filter(([, value]) => value);
  $("about-facts").replaceChildren(...shown.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

const SOURCES = {
  classification: "sourceClassification",
  uploads: "sourceUploads",
  archive: "sourceArchive",
  manifest: "sourceManifest",
  items: "sourceItems",
  crawl: "sourceCrawl",
  rerun: "sourceRerun",
};
