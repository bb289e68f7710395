// The keys of the service, for admins: listed, created (the secret is shown once), revoked after a question.
import { change, get, postJson } from "../shared/api.js";
import { $, day, dayAndTime, make, number, onLanguage, say, sayFailure, sayOf } from "../shared/page.js";
import { copied } from "../shared/script-calls.js";

const NUMBER = /^\d*$/;
const OVERLAP_DAYS = 7;

export class Keys {
  constructor() {
    this.keys = [];
    this.cursor = null;
    this.who = null;
    this.asking = null;
    this.created = null;
    $("more").addEventListener("click", () => this.#tell("refused", () => this.#read()));
    $("create").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#tell("create-problem", () => this.#create());
    });
    $("secret-copy").addEventListener("click", async () => {
      $("secret-copy").textContent = say((await copied($("secret-key"))) ? "copied" : "selected");
    });
    $("sure").addEventListener("close", () => {
      if ($("sure").returnValue === "yes") this.#tell("refused", () => this.#asked());
      $("sure").returnValue = "";
    });
    onLanguage(() => this.who && this.#draw());
  }

  async show(who) {
    this.who = who;
    $("keys-section").hidden = false;
    // The first key closes an open service. A service without an admin could only be changed on its command line.
    $("create").elements.scope.forEach((box) => (box.checked ||= who.open && box.value === "admin"));
    await this.#read();
  }

  async #read() {
    const query = this.cursor ? `?cursor=${encodeURIComponent(this.cursor)}` : "";
    const { body } = await get(`/v1/keys${query}`);
    this.keys.push(...body.data);
    this.cursor = body.next_cursor;
    this.#draw();
  }

  async #create() {
    const fields = { name: $("key-name").value.trim(), quota: $("key-quota").value.trim(), rate: $("key-rate").value.trim() };
    const scopes = [...$("create").elements.scope].filter((box) => box.checked).map((box) => box.value);
    const isNumbers = NUMBER.test(fields.quota) && NUMBER.test(fields.rate) && Number(fields.rate || 1) > 0;
    if (!fields.name || !scopes.length || !isNumbers) {
      $("create-problem").textContent = say(!fields.name ? "nameNeeded" : !scopes.length ? "scopeNeeded" : "numberNeeded");
      $("create-problem").hidden = false;
      return;
    }
    const limit = (text) => (text === "" ? null : Number(text));
    const limits = { quota: limit(fields.quota), rate_limit: limit(fields.rate) };
    const owner = $("key-owner").value.trim() || null;
    this.#show(await postJson("/v1/keys", { name: fields.name, scopes, owner, ...limits }));
    $("create").reset();
  }

  /** Show a new key once, at the head of the list. */
  #show(key) {
    this.created = key;
    // The list is not read again: if this was the first key, this page has no key to read with.
    this.keys.unshift(key);
    this.#draw();
    $("secret-copy").focus();
  }

  async #asked() {
    const { key, action } = this.asking;
    await action(key);
  }

  async #rotate(key) {
    const made = await postJson(`/v1/keys/${encodeURIComponent(key.id)}/rotate`, { overlap_days: OVERLAP_DAYS });
    const ends = Date.now() + OVERLAP_DAYS * 24 * 3600 * 1000;
    key.expires_at = new Date(Math.min(ends, key.expires_at ? Date.parse(key.expires_at) : ends)).toISOString();
    this.#show(made);
  }

  async #revoke(key) {
    await change("DELETE", `/v1/keys/${encodeURIComponent(key.id)}`);
    key.revoked_at = new Date().toISOString();
    this.#draw();
  }

  /** Do something that the server may refuse, and say so in an element if it does. */
  async #tell(place, action) {
    $(place).hidden = true;
    try {
      await action();
    } catch (error) {
      $(place).textContent = sayFailure(error);
      $(place).hidden = false;
    }
  }

  #draw() {
    $("first-key").hidden = !this.who.open || this.keys.length > 0;
    $("more").hidden = !this.cursor;
    $("secret").hidden = !this.created;
    if (this.created) {
      $("secret-text").textContent = say(this.who.open ? "secretOfFirst" : "secretOnce", { name: this.created.name });
      $("secret-key").textContent = this.created.key;
      $("secret-copy").textContent = say("copy");
    }
    const words = ["keyName", "scopes", "quotaHead", "rateHead", "createdHead", "usedHead", "actionHead"];
    const heads = words.map((word) => make("th", { scope: "col" }, say(word)));
    $("keys").hidden = !this.keys.length;
    $("keys").replaceChildren(make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...this.keys.map((key) => this.#row(key))));
  }

  #row(key) {
    const limit = (value) => (value === null ? say("none") : number(value));
    const row = make("tr", { class: key.revoked_at && "revoked" });
    row.append(make("th", { scope: "row" }, make("b", {}, key.name), make("span", { class: "small muted" }, key.id)));
    const notes = key.owner === key.id ? [] : [say("ofOwner", { owner: key.owner })];
    if (key.expires_at && !key.revoked_at) notes.push(say("expiresOn", { day: day(key.expires_at) }));
    row.firstChild.append(...notes.map((text) => make("span", { class: "small muted" }, text)));
    const used = key.last_used_at ? dayAndTime(key.last_used_at) : say("never");
    const cells = [key.scopes.map((scope) => sayOf("scopeWords", scope)).join(", "), limit(key.quota), limit(key.rate_limit), day(key.created_at), used];
    row.append(...cells.map((text) => make("td", {}, text)), make("td", {}, this.#action(key)));
    return row;
  }

  #action(key) {
    if (key.revoked_at) return say("revokedOn", { day: day(key.revoked_at) });
    const cell = make("span", { class: "key-actions" });
    if (key.expires_at && Date.parse(key.expires_at) <= Date.now()) return cell;
    const isOwn = key.id === this.who.key?.id;
    const questions = [
      ["rotate", "rotateSure", "rotateYes", (one) => this.#rotate(one)],
      ["revoke", isOwn ? "revokeOwnSure" : "revokeSure", "revokeYes", (one) => this.#revoke(one)],
    ];
    for (const [word, sure, yes, action] of questions) {
      const button = make("button", { class: "quiet", type: "button", "aria-label": `${say(word)}: ${key.name}` }, say(word));
      button.addEventListener("click", () => {
        this.asking = { key, action };
        $("sure-text").textContent = say(sure, { name: key.name });
        $("sure-yes").textContent = say(yes);
        $("sure").showModal();
      });
      cell.append(button);
    }
    return cell;
  }
}
