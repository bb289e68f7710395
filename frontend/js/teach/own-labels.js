// The table of the owner's own labels, with their groups and their names in both languages.
import { get, requestJson } from "../shared/api.js";
import { $, attempt, make, nameOf, onLanguage, say } from "../shared/page.js";

const NEW_GROUP = "\0new";

export class OwnLabels {
  /** `names()`: the names of the model of the moment; `onChange()` is called after the labels are read or saved. */
  constructor(names, onChange) {
    Object.assign(this, { names, onChange });
    this.taxonomy = { groups: [], labels: [] };
    this.saved = false;
    $("own-add").addEventListener("click", () => this.#add());
    $("own-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
    onLanguage(() => this.saved && ($("own-saved").textContent = say("labelsSaved")));
  }

  async load() {
    this.taxonomy = (await get("/v1/taxonomy")).body;
    this.draw();
  }

  /** The saved labels: [{id, name}]. */
  labels() {
    return this.taxonomy.labels.map(({ id, names }) => ({ id, name: nameOf(names) }));
  }

  /** The name of an own label, or undefined. */
  name(id) {
    const label = this.taxonomy.labels.find((row) => row.id === id);
    return label && nameOf(label.names);
  }

  draw() {
    const head = ["labelEnglish", "labelKorean", "labelGroup"].map((word) => make("th", { scope: "col" }, say(word)));
    const body = make("tbody", {}, ...this.taxonomy.labels.map((label) => this.#row(label)));
    $("own").replaceChildren(make("thead", {}, make("tr", {}, ...head, make("td"))), body);
    $("own").hidden = !body.children.length;
  }

  #add() {
    $("own").hidden = false;
    $("own").tBodies[0].append(this.#row({ id: "", group: "", names: { en: "", ko: "" } }));
    $("own").querySelector("tbody tr:last-child input").focus();
  }

  #row({ id, group, names }) {
    const field = (name, word, value) => make("input", { type: "text", name, value, maxlength: 100, "aria-label": say(word), placeholder: say(word), lang: name });
    const remove = make("button", { type: "button", class: "quiet" }, say("removeLabel"));
    const row = make(
      "tr",
      { "data-id": id },
      make("td", {}, field("en", "labelEnglish", names.en)),
      make("td", {}, field("ko", "labelKorean", names.ko)),
      make("td", {}, this.#groups(group)),
      make("td", {}, remove),
    );
    remove.addEventListener("click", () => row.remove());
    return row;
  }

  /** The choice of a group: those of the model, the own ones, or a new one, whose name is then typed. */
  #groups(chosen) {
    const known = new Map((this.names()?.groups ?? []).map(({ id }) => [id, this.names().group(id)]));
    for (const { id, names } of this.taxonomy.groups) if (!known.has(id)) known.set(id, nameOf(names));
    const select = make("select", { name: "group", "aria-label": say("labelGroup") });
    const options = [...known].map(([value, name]) => make("option", { value }, name));
    select.append(...options, make("option", { value: NEW_GROUP }, say("newGroup")));
    if (chosen) select.value = chosen;
    const typed = make("input", { type: "text", name: "group-name", maxlength: 100, "aria-label": say("newGroupName"), hidden: true });
    select.addEventListener("change", () => {
      typed.hidden = select.value !== NEW_GROUP;
      if (!typed.hidden) typed.focus();
    });
    typed.hidden = select.value !== NEW_GROUP;
    return make("span", { class: "group" }, select, typed);
  }

  async #save() {
    const groups = new Map(this.taxonomy.groups.map(({ id, names }) => [id, { id, name: names }]));
    const labels = [];
    for (const row of $("own").tBodies[0]?.rows ?? []) {
      const value = (name) => row.querySelector(`[name="${name}"]`).value.trim();
      const name = namesFrom(value("en"), value("ko"));
      if (!name) continue;
      let group = value("group");
      if (group === NEW_GROUP) {
        group = idFrom(value("group-name"));
        if (group) groups.set(group, { id: group, name: { en: value("group-name") } });
      }
      labels.push({ id: row.dataset.id || idFrom(name.en ?? name.ko), group, name });
    }
    const used = new Set(labels.map(({ group }) => group));
    this.saved = await attempt($("own-refused"), async () => {
      const kept = [...groups.values()].filter(({ id }) => used.has(id));
      this.taxonomy = await requestJson("PUT", "/v1/taxonomy", { groups: kept, labels });
      this.draw();
      this.onChange();
    });
    $("own-saved").textContent = this.saved ? say("labelsSaved") : "";
  }
}

function namesFrom(en, ko) {
  if (!en && !ko) return null;
  return { ...(en && { en }), ...(ko && { ko }) };
}

/** An id made of a name in any script: letters, digits and hyphens. */
function idFrom(name) {
  return name.normalize("NFKC").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 80);
}
