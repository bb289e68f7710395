// Labels and groups of a model and their names in both languages, fetched once per model.
import { get } from "./api.js";
import { nameOf, otherNameOf } from "./page.js";

/** Model -> promise of its labels and groups. */
const fetched = new Map();

/**
 * Resolves to the `labels` ({id, group}) and `groups` ({id}) of a model `name@version`, and to functions that name them in
 * the present language. An unknown id is its own name.
 */
export async function namesOf(model) {
  if (!fetched.has(model)) {
    fetched.set(model, get(`/v1/labels?model=${encodeURIComponent(model)}`).then(({ body }) => body));
  }
  const { labels, groups } = await fetched.get(model);
  const byId = (rows) => new Map(rows.map((row) => [row.id, row.names]));
  const labelNames = byId(labels);
  const groupNames = byId(groups);
  return {
    labels,
    groups,
    label: (id) => (labelNames.has(id) ? nameOf(labelNames.get(id)) : id),
    group: (id) => (groupNames.has(id) ? nameOf(groupNames.get(id)) : id),
    otherLabel: (id) => (labelNames.has(id) ? otherNameOf(labelNames.get(id)) : null),
    otherGroup: (id) => (groupNames.has(id) ? otherNameOf(groupNames.get(id)) : null),
  };
}
