// The field that sets any label of the model: type a part of its name, and choose with the arrow keys.
import { $, make, say } from "../shared/page.js";

export class LabelPicker {
  /** `names()`: the names of the moment. `choose(id)` is called with the chosen label. */
  constructor(names, choose) {
    this.names = names;
    this.select = $("viewer-label");
    this.select.addEventListener("change", () => {
      const { value } = this.select;
      // The keys work again for the next picture.
      $("viewer").focus();
      if (value) choose(value);
    });
  }

  show({ review }) {
    this.select.replaceChildren(make("option", { value: "" }, say("otherLabel")), ...labelOptions(this.names()));
    this.select.value = review?.label?.id ?? "";
  }

  focus() {
    this.select.focus();
    this.select.showPicker?.();
  }
}

/** The labels of a model as options, under their groups. */
export function labelOptions(names) {
  return names.groups.map((group) =>
    make(
      "optgroup",
      { label: names.group(group.id) },
      ...names.labels
        .filter((label) => label.group === group.id)
        .map((label) => make("option", { value: label.id }, names.label(label.id))),
    ),
  );
}
