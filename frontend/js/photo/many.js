// Several files, an archive or a manifest: they are a job, not one photo.
import { post } from "../shared/api.js";
import { $, bytes, number, onLanguage, say, sayFailure } from "../shared/page.js";

const ARCHIVE = /\.(zip|tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz))$/i;
const MANIFEST = /\.(csv|jsonl|ndjson)$/i;

/** Whether files, as {file, path}, are more than one photo. */
export const isMany = (files) => files.length > 1 || ARCHIVE.test(files[0].file.name) || MANIFEST.test(files[0].file.name);

/** Offer files as a job. `onProblem(sentence)` is called if they cannot be sent. */
export class Many {
  constructor(onProblem) {
    this.onProblem = onProblem;
    this.files = null;
    $("many-send").addEventListener("click", () => this.send());
    $("many-cancel").addEventListener("click", () => this.offer(null));
    onLanguage(() => this.files && this.describe());
  }

  /** Show what the files are and a button that sends them; null hides both. */
  offer(files) {
    this.aborter?.abort();
    this.files = files;
    $("many").hidden = !files;
    $("choices").hidden = Boolean(files);
    $("many-line").hidden = true;
    $("many-send").disabled = false;
    if (!files) return;
    this.describe();
    $("many-send").focus();
  }

  describe() {
    const { files } = this;
    const size = bytes(files.reduce((sum, { file }) => sum + file.size, 0));
    const [{ file }] = files;
    if (files.length > 1) $("many-what").textContent = say("manyFiles", { count: number(files.length), size });
    else $("many-what").textContent = say(ARCHIVE.test(file.name) ? "manyArchive" : "manyManifest", { name: file.name, size });
  }

  async send() {
    const [{ file }] = this.files;
    const form = new FormData();
    if (this.files.length > 1) for (const { file, path } of this.files) form.append("images", file, path);
    else form.append(ARCHIVE.test(file.name) ? "archive" : "manifest", file, file.name);
    const line = $("many-line").firstElementChild;
    $("many-line").hidden = false;
    $("many-send").disabled = true;
    this.aborter = new AbortController();
    const onProgress = (sent, total) => (line.style.width = `${(100 * sent) / Math.max(total, 1)}%`);
    try {
      const { body } = await post("/v1/jobs", form, { onProgress, signal: this.aborter.signal });
      location.href = body.links.page;
    } catch (error) {
      if (error.name === "AbortError") return;
      this.offer(this.files);
      this.onProblem(() => sayFailure(error));
    }
  }
}
