// The parts of model versions that several pages show.
import { get } from "./api.js";
import { make, sayOf } from "./page.js";

/** The aliases that point to a version, as marks. */
export const aliasMarks = ({ aliases }) => aliases.map((alias) => make("span", { class: `alias ${alias}` }, sayOf("aliases", alias)));

/** Resolves to an option for each version. The one in production is chosen, and its value is the alias. */
export async function versionOptions() {
  const { body } = await get("/v1/models?limit=100");
  return body.data.map(({ name, version, aliases }) => {
    const isDefault = aliases.includes("production");
    const text = [`${name}@${version}`, ...aliases.map((alias) => sayOf("aliases", alias))].join(" · ");
    return make("option", { value: isDefault ? "production" : `${name}@${version}`, selected: isDefault }, text);
  });
}

/** The path of a version's page. */
export const pathOfVersion = ({ name, version }) => `/models/${encodeURIComponent(name)}/${encodeURIComponent(version)}`;
