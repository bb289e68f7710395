// The outcome of a lesson: its figures, its learning curve, and of which label more reviews would help most.
import { $, duration, make, number, percent, say, sayOf } from "../shared/page.js";

const ADVICE = 3;
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 360;
const HEIGHT = 180;
const EDGE = 36;

/** Draw a lesson with a result. `nameOf(id)`: a label's name. */
export function drawResult({ published, taught }, nameOf) {
  $("result-title").textContent = say("published", { model: published });
  $("result-facts").textContent = facts(taught, nameOf).join(" ");
  $("advice").replaceChildren(...advice(taught, nameOf).map((text) => make("li", {}, text)));
  drawLabels(taught.labels, nameOf);
  drawCurve(taught.curve);
  const { fine_tuning: tuning } = taught;
  $("fine-tuning").hidden = !tuning;
  if (!tuning) return;
  $("fine-tuning-text").textContent = say("fineTuning", { time: duration(tuning.minutes * 60) });
  $("fine-tuning-commands").textContent = tuning.commands.join("\n");
}

function facts(taught, nameOf) {
  const [low, high] = taught.intervals.accuracy;
  const found = [
    say("taughtFacts", { reviews: number(taught.reviews), labels: number(taught.labels.length), time: duration(taught.seconds) }),
    say("taughtAccuracy", {
      accuracy: percent(taught.accuracy, 1),
      low: percent(low, 1),
      high: percent(high, 1),
      before: percent(taught.accuracy_before, 1),
    }),
  ];
  for (const [reason, count] of Object.entries(taught.left_out)) {
    found.push(say("leftOut", { count: number(count), reason: sayOf("leftOutReasons", reason) }));
  }
  if (taught.replaced.length) found.push(say("replacedLabels", { labels: taught.replaced.map(nameOf).join(", ") }));
  if (taught.rejected_confidence !== null) {
    found.push(say("rejectedFacts", { count: number(taught.rejected), confidence: percent(taught.rejected_confidence) }));
  }
  return found;
}

function advice({ advice: rows }, nameOf) {
  const useful = rows.filter(({ gain }) => gain > 0).slice(0, ADVICE);
  if (!useful.length) return [say("noAdvice")];
  return useful.map(({ label, more, gain }, index) =>
    say(index ? "adviceNext" : "adviceFirst", { more: number(more), label: nameOf(label), gain: number(Math.round(gain * 1000) / 10) }),
  );
}

function drawLabels(rows, nameOf) {
  const heads = ["label", "reviewsOf", "recall", "precision"].map((word) => make("th", { scope: "col" }, say(word)));
  const body = rows.map(({ id, reviews, recall, precision }) => {
    const figures = [recall, precision].map((value) => make("td", {}, reviews ? percent(value) : "–"));
    return make("tr", {}, make("th", { scope: "row" }, nameOf(id)), make("td", {}, number(reviews)), ...figures);
  });
  $("taught-labels").replaceChildren(make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...body));
}

/** Accuracy by the number of reviews. The axis of accuracy begins at the lowest point, rounded down. */
function drawCurve(points) {
  const most = points.at(-1).reviews;
  const low = Math.floor(Math.min(...points.map(({ accuracy }) => accuracy)) * 10) / 10;
  const x = (reviews) => EDGE + (reviews / most) * (WIDTH - 2 * EDGE);
  const y = (accuracy) => HEIGHT - EDGE - ((accuracy - low) / Math.max(1 - low, 0.01)) * (HEIGHT - 2 * EDGE);
  const line = points.map(({ reviews, accuracy }) => `${x(reviews)},${y(accuracy)}`).join(" ");
  const said = points.map(({ reviews, accuracy }) => say("curvePoint", { reviews: number(reviews), accuracy: percent(accuracy, 1) }));
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": said.join("; ") });
  svg.append(shape("polyline", { points: line, class: "stroke" }));
  for (const { reviews, accuracy } of points) {
    svg.append(shape("circle", { cx: x(reviews), cy: y(accuracy), r: 3, class: "dot" }));
    svg.append(text(x(reviews), y(accuracy) - 8, percent(accuracy, 1)), text(x(reviews), HEIGHT - 12, number(reviews)));
  }
  $("curve").replaceChildren(svg);
}

/** An element of SVG. */
export function shape(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** A centred text in a drawing. */
export function text(x, y, content, anchor = "middle") {
  const element = shape("text", { x, y, "text-anchor": anchor });
  element.textContent = content;
  return element;
}
