// The actions on a job: stop, retry failed pictures, run again, share, rename, delete.
import { change, get, isFinished, postJson, requestJson } from "../shared/api.js";
import { $, attempt, make, onLanguage, say } from "../shared/page.js";

/** The row of actions. Calls `onChanged(job)` after every change, and `onChanged(null)` after the job is deleted. */
export class Actions {
  /** `may(scope)`: whether the visitor has a scope; `rerun`: the Rerun of the page. */
  constructor(may, rerun, onChanged) {
    this.may = may;
    this.onChanged = onChanged;
    this.job = null;
    $("cancel").addEventListener("click", () => this.request("POST", this.job.links.cancel));
    $("retry").addEventListener("click", () => this.request("POST", this.job.links.retry));
    $("rerun").addEventListener("click", () => rerun.open(this.job));
    $("rename").addEventListener("click", () => this.rename());
    $("share").addEventListener("click", () => this.openShares());
    $("share-make").addEventListener("click", () => this.share());
    $("tell").addEventListener("click", () => this.askToTell());
    $("delete").addEventListener("click", () => $("sure").showModal());
    $("sure").addEventListener("close", () => {
      if ($("sure").returnValue === "delete") this.request("DELETE", this.job.links.self);
      $("sure").returnValue = "";
    });
    onLanguage(() => this.job && this.draw(this.job));
  }

  draw(job) {
    this.job = job;
    const finished = isFinished(job);
    const may = this.may("submit");
    $("cancel").hidden = finished || !may;
    $("cancel").disabled = job.canceling;
    $("cancel").textContent = say(job.canceling ? "canceling" : "cancel");
    $("retry").hidden = !job.retryable || job.canceling || job.status === "canceled" || !may;
    $("rerun").hidden = !finished || !job.counts.total || !may;
    for (const id of ["rename", "share"]) $(id).hidden = !may;
    $("delete").hidden = !finished || !may;
    $("compare").hidden = !this.may("read");
    $("teach").hidden = !may;
    $("teach").href = `/teach?${new URLSearchParams({ jobs: job.id })}`;
    $("deliveries").hidden = !job.webhook || !this.may("read");
    $("deliveries").href = `${job.links.page}/deliveries`;
    $("tell").hidden = finished || !("Notification" in window) || Notification.permission === "denied" || this.tells;
  }

  async request(method, path, value) {
    const buttons = [...$("actions").querySelectorAll("button")];
    for (const button of buttons) button.disabled = true;
    let job;
    const done = await attempt($("refused"), async () => {
      job = value ? await requestJson(method, path, value) : await change(method, path);
    });
    for (const button of buttons) button.disabled = false;
    if (done) this.onChanged(job);
  }

  /** Let the person write the name in its place. Enter saves it, Escape does not. */
  rename() {
    const name = $("name");
    name.contentEditable = "plaintext-only";
    name.focus();
    getSelection().selectAllChildren(name);
    const end = (save) => {
      name.contentEditable = "false";
      name.removeEventListener("keydown", onKey);
      const text = name.textContent.trim();
      name.textContent = this.job.name;
      if (save && text && text !== this.job.name) this.request("PATCH", this.job.links.self, { name: text });
    };
    const onKey = (event) => {
      event.stopPropagation();
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      end(event.key === "Enter");
      name.blur();
    };
    name.addEventListener("keydown", onKey);
    name.addEventListener("blur", () => name.isContentEditable && end(true), { once: true });
  }

  async openShares() {
    $("share-copied").textContent = "";
    $("shares").showModal();
    await this.attempt(() => this.readShares());
  }

  async readShares() {
    this.drawShares((await get(`${this.job.links.self}/shares`)).body.data);
  }

  /** The list of the API also has the links that have ended. */
  drawShares(shares) {
    const live = shares.filter((share) => !share.revoked_at && Date.parse(share.expires_at) > Date.now());
    const time = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
    $("share-list").replaceChildren(
      ...live.map((share) => {
        const button = make("button", { type: "button", class: "quiet" }, say("revoke"));
        button.addEventListener("click", () =>
          this.attempt(async () => {
            await change("DELETE", `${this.job.links.self}/shares/${share.id}`);
            await this.readShares();
          }),
        );
        return make("li", {}, say("sharedUntil", { time: time.format(new Date(share.expires_at)) }), button);
      }),
    );
  }

  /** Make a link that shows this job to whoever has it, until it expires. */
  async share() {
    await this.attempt(async () => {
      const days = Number($("share-days").value);
      const expires_at = new Date(Date.now() + days * 86_400_000).toISOString();
      const share = await postJson(`${this.job.links.self}/shares`, { expires_at });
      $("share-link").hidden = false;
      $("share-link").value = new URL(share.url, location.origin).href;
      $("share-link").select();
      const copied = navigator.clipboard?.writeText($("share-link").value).then(() => "copied", () => "selected");
      $("share-copied").textContent = say((await copied) ?? "selected");
      await this.readShares();
    });
  }

  /** Tell the person outside the page when the job ends. The browser asks for permission first. */
  async askToTell() {
    this.tells = (await Notification.requestPermission()) === "granted";
    $("tell").hidden = true;
  }

  /** The job has ended while this page was open. */
  tell(job) {
    if (this.tells && document.hidden) new Notification(job.name, { body: say("endedNote"), icon: "/static/icon.svg" });
  }

  /** The notice lies below the dialog, which therefore closes. */
  async attempt(work) {
    if (!(await attempt($("refused"), work))) $("shares").close();
  }
}
