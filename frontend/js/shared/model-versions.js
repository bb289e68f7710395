// The parts of model versions that several pages show.
import { make, sayOf } from "./page.js";

/** The aliases that point to a version, as marks. */
export const aliasMarks = ({ aliases }) => aliases.map((alias) => make("span", { class: `alias ${alias}` }, sayOf("aliases", alias)));

/** The path of a version's page. */
export const pathOfVersion = ({ name, version }) => `/models/${encodeURIComponent(name)}/${encodeURIComponent(version)}`;
