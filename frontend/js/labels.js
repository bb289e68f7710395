// Names of labels and groups, in both languages, once per model.
import { get } from "./api.js";
import { nameOf } from "./page.js";

const known = new Map();

/** Functions that name labels and groups of a model `name@version`; unknown ids name themselves. */
export async function namesOf(model) {
  if (!known.has(model)) {
    known.set(model, get(`/v1/labels?model=${encodeURIComponent(model)}`).then(({ body }) => body));
  }
  const { labels, groups } = await known.get(model);
  const byId = (rows) => new Map(rows.map((row) => [row.id, row.names]));
  const labelNames = byId(labels);
  const groupNames = byId(groups);
  return {
    label: (id) => (labelNames.has(id) ? nameOf(labelNames.get(id)) : id),
    group: (id) => (groupNames.has(id) ? nameOf(groupNames.get(id)) : id),
  };
}
