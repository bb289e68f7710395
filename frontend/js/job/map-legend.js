// The legend of a map: the colour, the name and the number of points of each category. A click highlights a category.
import { make, number, percent, say } from "../shared/page.js";
import { BINS } from "./map-points.js";

const isDark = () => document.documentElement.getAttribute("data-bs-theme") === "dark";

/** The colour of a category. Labels have hues at equal distances, lighter and darker in turn. */
export function colourOf(category, colouring, labels) {
  const light = isDark() ? 0.06 : -0.06;
  if (colouring === "confidence") {
    // From red through ochre, the colour of doubt, to blue.
    const hues = [25, 70, 115, 200, 255];
    return `oklch(${0.7 + light} 0.14 ${hues[category]})`;
  }
  if (colouring === "review") {
    const grey = `oklch(${isDark() ? 0.5 : 0.78} 0.01 90)`;
    return [grey, `oklch(${0.62 + light} 0.13 235)`, `oklch(${0.72 + light} 0.15 75)`, `oklch(${0.6 + light} 0.17 350)`][category];
  }
  if (category < 0) return `oklch(${0.6 + light} 0 0)`;
  return `oklch(${(category % 2 ? 0.6 : 0.74) + light} 0.15 ${(20 + (category * 360) / labels) % 360})`;
}

function nameOf(category, colouring, points, names) {
  if (colouring === "label") return category < 0 ? say("noLabelFits") : names.label(points.labels[category]);
  if (colouring === "review") return say(["mapUnreviewed", "mapAgreed", "mapCorrected", "noLabelFits"][category]);
  return say("mapConfidence", { low: percent(BINS[category]), high: percent(BINS[category + 1] ?? 1) });
}

/** Fill a list with the categories, most frequent label first. `press(category)` is called by a click. */
export function drawLegend(list, { points, colouring, highlighted }, names, press) {
  const rows = [...points.count(colouring)];
  rows.sort((a, b) => (colouring === "label" ? b[1] - a[1] : a[0] - b[0]));
  const focused = [...list.children].findIndex((row) => row.contains(document.activeElement));
  list.replaceChildren(
    ...rows.map(([category, count]) => {
      const swatch = make("i", { "aria-hidden": "true" });
      swatch.style.background = colourOf(category, colouring, points.labels.length);
      const button = make("button", { type: "button", "aria-pressed": String(highlighted === category) }, swatch);
      button.append(make("span", {}, nameOf(category, colouring, points, names)), make("span", { class: "muted" }, number(count)));
      button.addEventListener("click", () => press(category));
      return make("li", {}, button);
    }),
  );
  list.children[focused]?.firstChild.focus();
}

/** A point in words, for the card and for screen readers. */
export function describe(points, index, names) {
  const label = nameOf(points.label[index], "label", points, names);
  const review = points.review[index] ? ` · ${nameOf(points.review[index], "review", points, names)}` : "";
  return `${label} ${percent(points.confidence[index])}${review}`;
}
