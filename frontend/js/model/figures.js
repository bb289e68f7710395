// The figures of a model version, alone or beside those of another version.
import { make, number, percent, say } from "../shared/page.js";

/** Figures between 0 and 1, the higher the better: member of the metrics -> sentence. */
const FIGURES = [
  ["accuracy", "accuracy"],
  ["balanced_accuracy", "balancedAccuracy"],
  ["macro_f1", "macroF1"],
  ["recall_at_3", "recallAt3"],
  ["group_accuracy", "groupAccuracy"],
];
const CALIBRATION = "calibration_error";

/** A mark on the scale from 0 to 1, with a line for the interval and a hollow mark for `other`. Its numbers stand beside it. */
export function scale(value, interval, other) {
  const track = make("span", { class: "scale", "aria-hidden": "true" });
  if (interval) track.append(placed("interval", interval[0], interval[1] - interval[0]));
  if (other !== undefined) track.append(placed("other", other));
  track.append(placed("value", value));
  return track;
}

function placed(kind, start, width) {
  const mark = make("i", { class: kind });
  mark.style.left = `${start * 100}%`;
  if (width !== undefined) mark.style.width = `${width * 100}%`;
  return mark;
}

/** The interval of a figure in words, or nothing if there is none. */
export function between(interval) {
  return interval ? say("between", { low: percent(interval[0], 1), high: percent(interval[1], 1) }) : "";
}

/** The difference of two figures in percentage points, with its sign. */
export function change(value, other, better = "higher") {
  const points = (value - other) * 100;
  const isWorse = better === "higher" ? points < -0.05 : points > 0.05;
  if (Math.abs(points) <= 0.05) return make("td", { class: "change" }, say("same"));
  const text = say("points", { n: (points > 0 ? "+" : "−") + number(Math.round(Math.abs(points) * 10) / 10) });
  return make("td", { class: `change${isWorse ? " worse" : ""}` }, isWorse ? `▾ ${text}` : text);
}

/** Draw the table of figures of `version`, and of `other` if there is one. */
export function drawFigures(table, version, other) {
  const head = make("tr", {}, make("th", { scope: "col" }, say("figure")), make("th", { class: "graph", scope: "col" }, say("fromTo")));
  head.append(make("th", { scope: "col" }, nameOfVersion(version)));
  if (other) head.append(make("th", { scope: "col" }, nameOfVersion(other)), make("th", { scope: "col" }, say("difference")));
  const rows = FIGURES.filter(([name]) => version.metrics[name] !== undefined).map(([name, word]) => figureRow(name, word, version, other));
  if (rows.length) rows[0].classList.add("first");
  if (version.metrics[CALIBRATION] !== undefined) rows.push(calibrationRow(version, other));
  table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
}

export const nameOfVersion = ({ name, version }) => `${name}@${version}`;

function figureRow(name, word, version, other) {
  const value = version.metrics[name];
  const against = other?.metrics[name];
  const row = make("tr", {}, make("th", { scope: "row" }, say(word)));
  row.append(make("td", { class: "graph" }, scale(value, version.metrics.intervals?.[name], against)));
  row.append(numberCell(value, between(version.metrics.intervals?.[name])));
  if (!other) return row;
  if (against === undefined) row.append(make("td", {}, "–"), make("td", {}));
  else row.append(numberCell(against, between(other.metrics.intervals?.[name])), change(value, against));
  return row;
}

function calibrationRow(version, other) {
  const before = ({ metrics }) =>
    metrics.calibration_error_before === undefined ? "" : say("beforeCalibration", { n: percent(metrics.calibration_error_before, 1) });
  const value = version.metrics[CALIBRATION];
  const against = other?.metrics[CALIBRATION];
  const row = make("tr", {}, make("th", { scope: "row" }, say("calibrationError")), make("td", { class: "graph" }));
  row.append(numberCell(value, before(version)));
  if (other && against === undefined) row.append(make("td", {}, "–"), make("td", {}));
  else if (other) row.append(numberCell(against, before(other)), change(value, against, "lower"));
  return row;
}

function numberCell(value, note) {
  return make("td", { class: "number" }, make("b", {}, percent(value, 1)), make("span", { class: "between" }, note));
}

/** Draw the table of labels. `nameOfLabel(id)` is a label's name. */
export function drawLabels(table, version, other, nameOfLabel) {
  const words = ["label", "f1", ...(other ? ["f1Other", "difference"] : []), "precision", "recall", "pictures"];
  const heads = words.map((word) => make("th", { scope: "col" }, say(word, { name: other ? nameOfVersion(other) : "" })));
  const others = new Map((other?.metrics.labels ?? []).map((row) => [row.id, row]));
  const rows = (version.metrics.labels ?? []).map((label) => {
    const row = make("tr", {}, make("th", { scope: "row" }, nameOfLabel(label.id)), make("td", {}, meter(label.f1), make("span", {}, percent(label.f1, 1))));
    const against = others.get(label.id);
    if (against) row.append(make("td", {}, percent(against.f1, 1)), change(label.f1, against.f1));
    else if (other) row.append(make("td", {}, "–"), make("td", {}));
    row.append(...[label.precision, label.recall].map((value) => make("td", {}, percent(value, 1))));
    row.append(make("td", {}, number(label.support)));
    return row;
  });
  table.replaceChildren(make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
}

function meter(share) {
  const bar = make("i");
  bar.style.width = `${share * 100}%`;
  return make("span", { class: "meter", "aria-hidden": "true" }, bar);
}
