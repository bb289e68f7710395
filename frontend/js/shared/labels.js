// Names of labels and groups in both languages, fetched once per model.
import { get } from "./api.js";
import { nameOf, otherNameOf } from "./page.js";

/** Model -> promise of its labels and groups. */
const fetched = new Map();

/** Resolves to functions that name the labels and groups of a model `name@version`. An unknown id is its own name. */
export async function namesOf(model) {
  if (!fetched.has(model)) {
    fetched.set(model, get(`/v1/labels?model=${encodeURIComponent(model)}`).then(({ body }) => body));
  }
  const { labels, groups } = await fetched.get(model);
  const byId = (rows) => new Map(rows.map((row) => [row.id, row.names]));
  const labelNames = byId(labels);
  const groupNames = byId(groups);
  return {
    label: (id) => (labelNames.has(id) ? nameOf(labelNames.get(id)) : id),
    group: (id) => (groupNames.has(id) ? nameOf(groupNames.get(id)) : id),
    otherLabel: (id) => (labelNames.has(id) ? otherNameOf(labelNames.get(id)) : null),
    otherGroup: (id) => (groupNames.has(id) ? otherNameOf(groupNames.get(id)) : null),
  };
}
