// How far the predictions of the last weeks are from those on the validation pictures: a plot and a table of weeks.
import { get } from "../shared/api.js";
import { $, day, make, number, percent, say, sayFailure, sayOf } from "../shared/page.js";

const HEIGHT = 200;
/** A shift above the first counts as moderate, above the second as large (core/drift.py). */
const STEPS = [0.1, 0.25];
const MOVES = 3;
/** Labels whose share differs by less than this are not listed. */
const SMALLEST_MOVE = 0.02;
const PIXELS_OF_A_DATE = 56;

export class Drift {
  /** `nameOfLabel(id)`: a label's name. */
  constructor(nameOfLabel) {
    this.nameOfLabel = nameOfLabel;
    this.found = null;
    this.failure = null;
    this.plot = null;
    new ResizeObserver(() => this.plot?.setSize({ width: $("drift").clientWidth, height: HEIGHT })).observe($("drift"));
  }

  /** Read the weeks of a version and show them. */
  async show({ name, version }) {
    try {
      const path = `/v1/models/${encodeURIComponent(name)}/${encodeURIComponent(version)}/drift`;
      this.found = (await get(path)).body;
      this.failure = null;
    } catch (error) {
      this.failure = error;
    }
    this.draw();
  }

  draw() {
    this.plot?.destroy();
    this.plot = null;
    $("drift").replaceChildren();
    const weeks = (this.found?.weeks ?? []).filter(({ pictures }) => pictures);
    $("drift-hint").textContent = this.#hint(weeks);
    $("weeks").hidden = !weeks.length || !this.found.expected;
    if ($("weeks").hidden) return;
    this.plot = this.#plot();
    this.#table(weeks);
  }

  #hint(weeks) {
    if (this.failure) return sayFailure(this.failure);
    if (!this.found) return "";
    if (!weeks.length) return say("driftNone", { weeks: number(this.found.weeks.length) });
    return say(this.found.expected ? "driftHint" : "driftNoReference");
  }

  #plot() {
    const weeks = this.found.weeks.slice(this.found.weeks.findIndex(({ pictures }) => pictures));
    const indices = weeks.map((week) => week.label_index);
    const place = make("div", { class: "plot", role: "img" });
    const values = indices.filter((value) => value !== null).map(twoDigits);
    place.setAttribute("aria-label", say("driftSaid", { values: values.join(", ") }));
    $("drift").append(make("figure", {}, make("figcaption", {}, `${say("labelIndex")}; ${say("driftSteps")}`), place));
    const style = getComputedStyle(document.documentElement);
    const colour = (token) => style.getPropertyValue(token).trim();
    const axis = { stroke: colour("--ink-2"), grid: { show: false }, ticks: { show: false }, font: "12px sans-serif" };
    const step = { stroke: colour("--ink-2"), width: 1, dash: [6, 4], points: { show: false } };
    const starts = weeks.map((week) => Date.parse(week.starts_at) / 1000);
    const options = {
      width: place.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      scales: { y: { range: (_, __, highest) => [0, Math.max(0.4, highest * 1.1)] } },
      axes: [
        { ...axis, splits: ({ width }) => thinned(starts, width), values: (_, ticks) => ticks.map((tick) => shortDay(tick)) },
        { ...axis, size: 48, values: (_, ticks) => ticks.map(twoDigits) },
      ],
      series: [{}, step, step, { stroke: colour("--ink"), width: 2, points: { show: true, size: 7, fill: colour("--ink") } }],
    };
    const levels = STEPS.map((level) => starts.map(() => level));
    return new uPlot(options, [starts, ...levels, indices], place);
  }

  #table(weeks) {
    const heads = ["weekFrom", "pictures", "meanConfidence", "labelIndex", "confidenceIndex", "moves"];
    const head = make("tr", {}, ...heads.map((word) => make("th", { scope: "col" }, say(word))));
    const rows = weeks.toReversed().map((week) => {
      const cells = [
        number(week.pictures),
        percent(week.mean_confidence, 1),
        judged(week.label_index, week.label_drift),
        judged(week.confidence_index, week.confidence_drift),
        this.#moves(week),
      ];
      const start = make("th", { scope: "row", class: "date" }, day(week.starts_at));
      return make("tr", {}, start, ...cells.map((cell) => make("td", {}, cell)));
    });
    $("weeks").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
  }

  /** The labels whose shares differ most from those on the validation pictures. */
  #moves(week) {
    const expected = this.found.expected.labels;
    const all = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0) || 1;
    const [allHere, allThere] = [all(week.labels), all(expected)];
    const share = (id) => [(week.labels[id] ?? 0) / allHere, (expected[id] ?? 0) / allThere];
    const ids = [...new Set([...Object.keys(expected), ...Object.keys(week.labels)])];
    const far = (id) => Math.abs(share(id)[0] - share(id)[1]);
    const named = ids.filter((id) => far(id) >= SMALLEST_MOVE).toSorted((one, other) => far(other) - far(one));
    return named
      .slice(0, MOVES)
      .map((id) => {
        const [observed, there] = share(id);
        return say("move", { label: this.nameOfLabel(id), observed: percent(observed, 0), expected: percent(there, 0) });
      })
      .join(" · ") || "–";
  }
}

function judged(index, drift) {
  if (index === null) return "–";
  return `${twoDigits(index)} ${drift ? sayOf("driftOf", drift) : say("tooFew")}`;
}

/** Every nth of the starts, so that their dates have room; always the last one. */
function thinned(starts, width) {
  const step = Math.ceil((starts.length * PIXELS_OF_A_DATE) / width);
  return starts.filter((_, index) => (starts.length - 1 - index) % step === 0);
}

function twoDigits(value) {
  return number(Math.round(value * 100) / 100);
}

function shortDay(seconds) {
  return new Date(seconds * 1000).toLocaleDateString(document.documentElement.lang, { month: "numeric", day: "numeric", timeZone: "UTC" });
}
