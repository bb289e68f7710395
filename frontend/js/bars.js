// The bars of labels, under their groups. They are the filter: pressing one shows its pictures, pressing it again all.
import { make, number } from "./page.js";

export class Bars {
  constructor(element, choose) {
    this.element = element;
    this.choose = choose;
    this.buttons = new Map();
  }

  draw(summary, names, chosen) {
    const most = Math.max(1, ...summary.labels.map((row) => row.count));
    const shape = summary.groups.map((group) => [group.id, ...summary.labels.filter((row) => row.group === group.id).map((row) => row.id)]);
    // Rebuilt only when rows come or change places: a focused bar keeps its focus while numbers move.
    if (JSON.stringify(shape) !== this.shape) this.build(summary, JSON.stringify(shape));
    for (const group of summary.groups) {
      this.update("group", group, names.group(group.id), 0, chosen.group === group.id);
    }
    for (const label of summary.labels) {
      this.update("label", label, names.label(label.id), label.count / most, chosen.label === label.id);
    }
  }

  build(summary, shape) {
    this.shape = shape;
    this.buttons.clear();
    this.element.replaceChildren(
      ...summary.groups.map((group) => {
        const rows = summary.labels.filter((row) => row.group === group.id).map((row) => this.button("label", row));
        return make("div", { class: "cluster" }, this.button("group", group), ...rows);
      }),
    );
  }

  button(kind, row) {
    const button = make("button", { type: "button", class: kind }, make("span"));
    if (kind === "label") button.append(make("span", { class: "track" }, make("i")));
    button.append(make("span"));
    button.addEventListener("click", () => this.choose(kind, row.id));
    this.buttons.set(`${kind} ${row.id}`, button);
    return button;
  }

  update(kind, row, name, share, pressed) {
    const button = this.buttons.get(`${kind} ${row.id}`);
    button.firstElementChild.textContent = name;
    button.lastElementChild.textContent = number(row.count);
    button.setAttribute("aria-pressed", String(pressed));
    const bar = button.querySelector("i");
    if (bar) bar.style.width = `${share * 100}%`;
  }
}
