// The filters of a job's page. They combine, and they are in the page's URL under the names that the API gives them.
import { $, make, number, percent, say, sayOf } from "../shared/page.js";
import { pushState, readState, replaceState } from "../shared/url-state.js";

/** Filters of the API that the URL of the page may hold. */
const NAMES = [
  "status",
  "label",
  "group",
  "predicted",
  "error",
  "min_confidence",
  "max_confidence",
  "reviewed",
  "rejected",
  "hint",
  "accepted",
  "narrows",
  "duplicates",
  "q",
  "product_id",
  "sku",
  "area",
];
/** Orders of the API. All but the second are those of hints. */
const SORTS = ["confidence", "doubt", "surprise", "mislabelled", "unknown", "diverse"];
/** A prediction with a confidence below this is called doubtful, until the person chooses another threshold. */
const THRESHOLD = 0.6;
/** Milliseconds after the last key before a search begins. */
const TYPING = 300;
/** Filters that concern predictions. Failed pictures have none. */
const OF_PREDICTIONS = ["label", "group", "predicted", "max_confidence", "min_confidence", "rejected", "hint", "accepted", "narrows"];

export class Filters {
  /** `onChange()` is called after the person has changed a filter. The URL has changed then. */
  constructor(onChange) {
    this.onChange = onChange;
    for (const button of $("filters").querySelectorAll("[data-filter]")) {
      button.addEventListener("click", () => this.press(button.dataset.filter));
    }
    $("sort").addEventListener("change", () => this.set({ sort: $("sort").value !== "position" && $("sort").value }));
    $("search").addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.set({ q: $("search").value.trim() }), TYPING);
    });
    $("search").addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  }

  get state() {
    return readState();
  }

  /** The query for the API: the filters, and the order. */
  get query() {
    const { state } = this;
    const query = Object.fromEntries(NAMES.filter((name) => state[name]).map((name) => [name, state[name]]));
    return { ...query, sort: SORTS.includes(state.sort) ? state.sort : "position" };
  }

  get isOn() {
    return Object.keys(this.query).length > 1;
  }

  get threshold() {
    const given = Number(this.state.threshold ?? THRESHOLD);
    return given >= 0 && given <= 1 ? given : THRESHOLD;
  }

  /** Change filters, and forget the place in the list. */
  set(changes) {
    const before = location.search;
    // The search that is being typed counts already.
    clearTimeout(this.typing);
    pushState({ q: $("search").value.trim(), ...changes, at: null, item: null });
    if (location.search !== before) this.onChange();
  }

  /** Take all filters away in place, for a view that has none. */
  forget() {
    replaceState(Object.fromEntries(NAMES.map((filter) => [filter, null])));
  }

  press(name) {
    const { state } = this;
    const none = Object.fromEntries(NAMES.map((filter) => [filter, null]));
    const withoutPredictions = Object.fromEntries(OF_PREDICTIONS.map((filter) => [filter, null]));
    const presses = {
      all: none,
      doubtful: { max_confidence: !state.max_confidence && this.threshold, status: null, error: null },
      failed: state.status === "failed" ? { status: null, error: null } : { ...withoutPredictions, status: "failed" },
      reviewed: { reviewed: state.reviewed === "true" ? null : "true" },
      unreviewed: { reviewed: state.reviewed === "false" ? null : "false" },
      duplicates: { duplicates: !state.duplicates && "hide" },
      rejected: { rejected: !state.rejected && "true", label: null, group: null },
    };
    this.set(presses[name]);
  }

  /** Filter by a label or a group, or no longer if that filter is on already. */
  toggle(kind, id) {
    const on = this.state[kind] === id;
    this.set({ label: null, group: null, status: null, error: null, rejected: null, [kind]: on ? null : id });
  }

  setThreshold(value) {
    const isDefault = value === THRESHOLD;
    const doubtful = Boolean(this.state.max_confidence);
    this.set({ threshold: isDefault ? null : value, ...(doubtful && { max_confidence: value }) });
  }

  /** Write the counts on the buttons and mark those that are on. */
  draw(summary, names) {
    const { state, threshold } = this;
    const { counts, confidence_histogram: histogram } = summary;
    const doubtful = histogram.slice(0, Math.round(threshold * histogram.length)).reduce((sum, n) => sum + n, 0);
    const rows = {
      all: [say("all", { count: number(counts.total) }), !this.isOn, true],
      doubtful: [say("doubtful", { count: number(doubtful) }), state.max_confidence, doubtful],
      failed: [say("failedFilter", { count: number(counts.failed) }), state.status === "failed", counts.failed],
      reviewed: [say("reviewedFilter", { count: number(summary.reviewed) }), state.reviewed === "true", summary.reviewed],
      unreviewed: [say("unreviewed"), state.reviewed === "false", summary.reviewed],
      rejected: [say("rejectedFilter", { count: number(summary.rejected) }), state.rejected, summary.rejected],
      duplicates: [say("noDuplicates", { count: number(summary.duplicates ?? 0) }), state.duplicates, summary.duplicates],
    };
    for (const [name, [text, on, useful]] of Object.entries(rows)) {
      const button = $("filters").querySelector(`[data-filter="${name}"]`);
      button.textContent = text;
      button.setAttribute("aria-pressed", String(Boolean(on)));
      button.hidden = !useful && !on;
    }
    const sort = this.query.sort;
    // An order of a hint is in the list only while it is the chosen one: the hints have a list of their own.
    for (const option of [...$("sort").options].slice(2)) option.remove();
    if (!["position", "confidence"].includes(sort)) $("sort").append(make("option", { value: sort }, sayOf("hintNames", sort)));
    $("sort").value = sort;
    if (document.activeElement !== $("search")) $("search").value = state.q ?? "";
    this.drawChips(names);
  }

  /** Each filter that no button above shows is a chip, which takes it away again. */
  drawChips(names) {
    const { state } = this;
    const texts = {
      label: () => say("chipLabel", { name: names.label(state.label) }),
      group: () => say("chipGroup", { name: names.group(state.group) }),
      predicted: () => say("chipPredicted", { name: names.label(state.predicted) }),
      error: () => state.error.replaceAll("_", " "),
      product_id: () => say("chipProduct", { id: state.product_id }),
      sku: () => say("chipSku", { sku: state.sku }),
      accepted: () => say(state.accepted === "true" ? "chipAccepted" : "chipNotAccepted"),
      narrows: () => say("chipNarrows"),
      area: () => say("chipArea"),
      min_confidence: () => say("chipAbove", { value: percent(state.min_confidence) }),
      max_confidence: () => say("chipBelow", { value: percent(state.max_confidence) }),
    };
    // The button of the doubtful pictures tells of the threshold already.
    const isThreshold = Number(state.max_confidence) === this.threshold;
    const chips = Object.keys(texts).filter((name) => state[name] && !(name === "max_confidence" && isThreshold));
    $("chips").replaceChildren(
      ...chips.map((name) => {
        const chip = make("button", { type: "button", class: "chip", "aria-label": say("takeAway", { filter: texts[name]() }) }, `${texts[name]()} ×`);
        chip.addEventListener("click", () => this.set({ [name]: null }));
        return chip;
      }),
    );
    $("chips").hidden = !chips.length;
  }
}
