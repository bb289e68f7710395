// The curves of a training: loss and accuracy by epoch, drawn with uPlot (vendor/uplot), and the same as numbers.
import { $, make, number, percent, say } from "../shared/page.js";

const HEIGHT = 240;
/** Member of the curves -> sentence, and how its numbers are written. */
const PLOTS = [
  { name: "accuracy", word: "accuracyCurve", write: (value) => percent(value, 1) },
  { name: "loss", word: "lossCurve", write: (value) => number(Math.round(value * 1000) / 1000) },
];

let plots = [];
new ResizeObserver(() => {
  for (const { plot, place } of plots) plot.setSize({ width: place.clientWidth, height: HEIGHT });
}).observe($("curves"));

/** Draw the curves of a version, again after each change of the language or the theme. A version without curves has no section. */
export function drawCurves(curves) {
  for (const { plot } of plots) plot.destroy();
  $("curves-section").hidden = !curves?.loss?.length;
  if ($("curves-section").hidden) return;
  $("curves").replaceChildren();
  plots = PLOTS.filter(({ name }) => curves[name]?.length).map((kind) => draw(kind, curves));
  drawNumbers(curves);
}

function draw({ name, word, write }, curves) {
  const training = curves[name];
  const validation = curves[`validation_${name}`] ?? [];
  const place = make("div", { class: "plot", role: "img" });
  const last = validation.at(-1) ?? training.at(-1);
  place.setAttribute("aria-label", say("curveSaid", { curve: say(word), epochs: number(training.length), last: write(last) }));
  $("curves").append(make("figure", {}, make("figcaption", {}, say(word)), place));
  const style = getComputedStyle(document.documentElement);
  const colour = (token) => style.getPropertyValue(token).trim();
  const axis = { stroke: colour("--ink-2"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px sans-serif" };
  const options = {
    width: place.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false } },
    axes: [{ ...axis, incrs: [1, 2, 5, 10, 20, 50, 100] }, { ...axis, size: 56, values: (_, ticks) => ticks.map(write) }],
    series: [
      {},
      { stroke: colour("--ink-2"), width: 1.5, dash: [6, 4], points: { show: false } },
      { stroke: colour("--ink"), width: 2, points: { show: false } },
    ],
  };
  const epochs = training.map((_, index) => index + 1);
  return { plot: new uPlot(options, [epochs, training, validation.length ? validation : epochs.map(() => null)], place), place };
}

function drawNumbers(curves) {
  const columns = PLOTS.flatMap(({ name, word, write }) => [
    { values: curves[name], head: `${say(word)}, ${say("onTraining")}`, write },
    { values: curves[`validation_${name}`], head: `${say(word)}, ${say("onValidation")}`, write },
  ]).filter(({ values }) => values?.length);
  const heads = [say("epoch"), ...columns.map(({ head }) => head)].map((head) => make("th", { scope: "col" }, head));
  const rows = curves.loss.map((_, index) => {
    const cells = columns.map(({ values, write }) => make("td", {}, values[index] === undefined ? "–" : write(values[index])));
    return make("tr", {}, make("th", { scope: "row" }, number(index + 1)), ...cells);
  });
  $("epochs").replaceChildren(make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
}
