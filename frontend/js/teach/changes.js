// What a version would change: the flow between labels as a drawing, the pictures behind each flow, and the agreement.
import { ApiError, get, postJson } from "../shared/api.js";
import { $, attempt, make, number, onLanguage, percent, say, sayOf } from "../shared/page.js";
import { follow } from "./following.js";
import { shape, text } from "./result.js";

/** Pixels: the widest drawing, the height of a label, and the room for labels on a side of a wide and a narrow drawing. */
const WIDTH = 640;
const ROW = 30;
const SIDES = { wide: 170, narrow: 112 };
/** Flows that are drawn: the most frequent ones. */
const DRAWN = 14;
const PICTURES = 24;

export class Changes {
  /** `names()`: the names of the moment; `jobs()`: the ids of the chosen jobs. */
  constructor({ names, jobs }) {
    Object.assign(this, { names, jobs });
    this.model = null;
    this.lesson = null;
    this.chosen = null;
    $("changes-here").addEventListener("click", () => this.#ask(this.jobs()));
    $("changes-all").addEventListener("click", () => this.#ask([]));
    onLanguage(() => this.draw());
  }

  /** Offer the comparison of a version `name@version`. */
  show(model) {
    if (model !== this.model) Object.assign(this, { model, lesson: null, chosen: null });
    this.draw();
  }

  draw() {
    const found = this.lesson?.rescored;
    $("changes-here").disabled = !this.jobs().length;
    $("changes-state").textContent = this.lesson && !found ? (this.lesson.error ?? sayOf("lessonStates", this.lesson.status)) : "";
    $("changes").hidden = !found;
    if (!found) return;
    const facts = [say("changedFacts", { changed: number(found.changed), items: number(found.items), share: percent(found.items ? found.changed / found.items : 0, 1) })];
    if (found.without_vector) facts.push(say("withoutVector", { count: number(found.without_vector) }));
    $("changes-facts").textContent = facts.join(" ");
    this.#agreement(found);
    this.#flow(found.flows.slice(0, DRAWN));
  }

  async #ask(jobs) {
    await attempt($("changes-refused"), async () => {
      this.chosen = null;
      this.lesson = await postJson("/v1/lessons", { kind: "rescore", model: this.model, jobs });
      this.draw();
      this.lesson = await follow(this.lesson, (now) => {
        this.lesson = now;
        this.draw();
      });
    });
  }

  #agreement(found) {
    const rows = [["allReviews", found.reviewed, found.right_before, found.right_after]];
    if (found.new_reviewed !== found.reviewed) rows.push(["newReviews", found.new_reviewed, found.new_right_before, found.new_right_after]);
    const heads = ["", "agreeBefore", "agreeAfter"].map((word) => make("th", { scope: "col" }, word && say(word)));
    const share = (right, all) => (all ? percent(right / all, 1) : "–");
    const body = rows.map(([word, all, before, after]) =>
      make("tr", {}, make("th", { scope: "row" }, say(word, { count: number(all) })), make("td", {}, share(before, all)), make("td", {}, share(after, all))),
    );
    $("agreement").hidden = !found.reviewed;
    $("agreement").replaceChildren(make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...body));
  }

  /** The labels before on the left, those after on the right, and a band for each flow. A press shows its pictures. */
  #flow(flows) {
    const before = places(flows, "before");
    const after = places(flows, "after");
    const height = Math.max(before.size, after.size) * ROW + ROW;
    const most = Math.max(...flows.map(({ count }) => count), 1);
    const width = Math.min(WIDTH, $("flow").clientWidth || WIDTH);
    const side = width < WIDTH ? SIDES.narrow : SIDES.wide;
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": say("flowSaid") });
    for (const [label, y] of before) svg.append(text(side - 10, y + 5, this.#name(label), "end"));
    for (const [label, y] of after) svg.append(text(width - side + 10, y + 5, this.#name(label), "start"));
    for (const flow of flows) svg.append(this.#band(flow, [side, before.get(flow.before)], [width - side, after.get(flow.after)], most));
    $("flow").replaceChildren(...(flows.length ? [svg] : []));
  }

  #band(flow, [left, from], [right, to], most) {
    const middle = (left + right) / 2;
    const path = `M ${left} ${from} C ${middle} ${from}, ${middle} ${to}, ${right} ${to}`;
    const said = say("flowOf", { count: number(flow.count), before: this.#name(flow.before), after: this.#name(flow.after) });
    const band = shape("path", { d: path, class: "band", "stroke-width": 2 + (flow.count / most) * 16, tabindex: 0, role: "button", "aria-label": said });
    const title = shape("title");
    title.textContent = said;
    band.append(title);
    const open = () => this.#open(flow, band, said);
    band.addEventListener("click", open);
    band.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      open();
    });
    return band;
  }

  async #open(flow, band, said) {
    for (const other of $("flow").querySelectorAll(".band")) other.classList.toggle("chosen", other === band);
    $("flow-title").textContent = said;
    await attempt($("changes-refused"), async () => {
      const items = await Promise.all(flow.items.slice(0, PICTURES).map(read));
      $("flow-pictures").replaceChildren(...items.filter(Boolean).map((item) => this.#picture(item, flow)));
    });
  }

  #picture(item, flow) {
    const image = make("img", { src: item.image.thumbnail, alt: item.source.alt || item.source.name, loading: "lazy" });
    const open = make("a", { href: `/jobs/${item.job_id}?item=${item.id}&index=${item.position}` }, make("span", { class: "frame" }, image));
    return make("li", {}, open, make("span", { class: "small" }, `${this.#name(flow.before)} → ${this.#name(flow.after)}`));
  }

  #name(id) {
    return this.names()?.label(id) ?? id;
  }
}

/** The item, or null if it was removed meanwhile. */
async function read(id) {
  try {
    return (await get(`/v1/items/${encodeURIComponent(id)}`)).body;
  } catch (error) {
    if (error instanceof ApiError && [404, 410].includes(error.status)) return null;
    throw error;
  }
}

/** The heights at which labels stand, by label, in the order of their first flow. */
function places(flows, side) {
  const labels = [...new Set(flows.map((flow) => flow[side]))];
  return new Map(labels.map((label, index) => [label, index * ROW + ROW]));
}
