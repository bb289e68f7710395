// Labels and groups of a model and their names in both languages, fetched once per model.
import { ApiError, get, isVisitor } from "./api.js";
import { nameOf, otherNameOf } from "./page.js";

/** Model -> promise of its labels and groups. */
const fetched = new Map();

let own = null;

/** Resolves to the labels and groups that the owner has added. Those who may not read them have none. */
function ownTaxonomy() {
  own ??= isVisitor()
    ? Promise.resolve({ labels: [], groups: [] })
    : get("/v1/taxonomy").then(
        ({ body }) => body,
        (error) => {
          if (error instanceof ApiError) return { labels: [], groups: [] };
          throw error;
        },
      );
  return own;
}

/**
 * Resolves to the `labels` ({id, group}) and `groups` ({id}) of a model `name@version` and of the owner, and to functions that name them in
 * the present language. An unknown id is its own name.
 */
export async function namesOf(model) {
  if (!fetched.has(model)) {
    fetched.set(model, get(`/v1/labels?model=${encodeURIComponent(model)}`).then(({ body }) => body));
  }
  const [ofModel, added] = await Promise.all([fetched.get(model), ownTaxonomy()]);
  const labels = joined(ofModel.labels, added.labels);
  const groups = joined(ofModel.groups, added.groups);
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

/** Rows by id, those of the model first. */
function joined(ofModel, added) {
  const known = new Set(ofModel.map(({ id }) => id));
  return [...ofModel, ...added.filter(({ id }) => !known.has(id))];
}
