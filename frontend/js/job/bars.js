// The bars of labels, sorted under their groups. A click on a bar shows its pictures; a second click shows all pictures.
import { make, number } from "../shared/page.js";

export class Bars {
  constructor(element, choose) {
    this.element = element;
    this.choose = choose;
    this.buttons = new Map();
    element.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** Tab reaches one bar, and the arrow keys go to the others: a model may have a hundred labels. */
  onKey(event) {
    const steps = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const all = [...this.element.querySelectorAll("button")];
    const target = Math.max(0, Math.min(all.indexOf(event.target) + steps[event.key], all.length - 1));
    this.#letTabReach(all[target]);
    all[target].focus();
  }

  #letTabReach(button) {
    for (const other of this.buttons.values()) other.tabIndex = other === button ? 0 : -1;
  }

  draw(summary, names, chosen) {
    const largest = Math.max(1, ...summary.labels.map((row) => row.count));
    const labelsOf = (group) => summary.labels.filter((row) => row.group === group.id).map((row) => row.id);
    const layout = JSON.stringify(summary.groups.map((group) => [group.id, ...labelsOf(group)]));
    // Rebuild only when bars are added or reordered: a rebuilt bar loses the keyboard focus.
    if (layout !== this.layout) this.build(summary, layout);
    for (const group of summary.groups) {
      this.update("group", group, names.group(group.id), 0, chosen.group === group.id);
    }
    for (const label of summary.labels) {
      this.update("label", label, names.label(label.id), label.count / largest, chosen.label === label.id);
    }
  }

  build(summary, layout) {
    this.layout = layout;
    this.buttons.clear();
    this.element.replaceChildren(
      ...summary.groups.map((group) => {
        const rows = summary.labels.filter((row) => row.group === group.id).map((row) => this.button("label", row));
        return make("div", { class: "cluster" }, this.button("group", group), ...rows);
      }),
    );
    this.#letTabReach(this.element.querySelector("button"));
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
