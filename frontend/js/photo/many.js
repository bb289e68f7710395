// Several files, an archive or a manifest: they are a job, which the page for many pictures sends.
import { handOver } from "../shared/handover.js";
import { $, number, say } from "../shared/page.js";

const PACKED = /\.(zip|tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz)|csv|tsv|jsonl|ndjson)$/i;

/** Whether files, as {file, path}, are more than one photo. */
export const isMany = (files) => files.length > 1 || PACKED.test(files[0].file.name);

/** Open the page for many pictures with these files. Calls `onProblem(sentence)` if the browser has no room for them. */
export async function openMany(files, onProblem) {
  $("leaving").textContent = say("leaving", { count: number(files.length) });
  $("leaving").hidden = false;
  try {
    await handOver(files);
    location.assign("/new");
  } catch {
    onProblem(() => say("noRoom"));
  }
  $("leaving").hidden = true;
}
