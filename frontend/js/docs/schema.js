// JSON schemas of the OpenAPI document as words and tables. Schemas with a name are links to their own table.
import { make, say } from "../shared/page.js";

const NAMED = "#/components/schemas/";
/** Limits of a value: member of the schema -> how it is written. */
const LIMITS = {
  minimum: (value) => `≥ ${value}`,
  exclusiveMinimum: (value) => `> ${value}`,
  maximum: (value) => `≤ ${value}`,
  exclusiveMaximum: (value) => `< ${value}`,
  minLength: (value) => `length ≥ ${value}`,
  maxLength: (value) => `length ≤ ${value}`,
  minItems: (value) => `items ≥ ${value}`,
  maxItems: (value) => `items ≤ ${value}`,
  pattern: (value) => value,
  default: (value) => `default ${JSON.stringify(value)}`,
};

/** Text with `code` in backticks, as elements. */
export const prose = (text = "") => text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));

/** The type of a schema: words, and links to schemas with a name. */
export function typeOf(schema) {
  if (!schema) return ["any"];
  if (schema.$ref) return [linkTo(schema.$ref.replace(NAMED, ""))];
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices && !schema.properties) return choices.flatMap((choice, index) => [...(index ? [" or "] : []), ...typeOf(choice)]);
  if (schema.allOf?.length === 1) return typeOf(schema.allOf[0]);
  if (schema.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(" · ")];
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.type === "array") return ["array of ", ...typeOf(schema.items)];
  if (schema.format === "binary") return ["file"];
  return [schema.format ? `${schema.type} (${schema.format})` : (schema.type ?? "any")];
}

const linkTo = (name) => make("a", { href: `#schema-${name}` }, name);

/** The limits of a value and of its choices, in one line. */
function limitsOf(schema) {
  const parts = [schema, ...(schema.anyOf ?? [])];
  const limits = parts.flatMap((part) => Object.keys(LIMITS).filter((name) => part[name] !== undefined && part[name] !== null).map((name) => LIMITS[name](part[name])));
  return [...new Set(limits)].join(", ");
}

/** A table of values: rows {name, schema, description, required, place}. */
export function valueTable(rows) {
  const body = rows.map(({ name, schema = {}, description, required, place }) => {
    const head = make("th", { scope: "row" }, name);
    if (required) head.append(make("i", { title: say("docsRequired") }, " *"));
    const type = make("td", { class: "type" }, ...typeOf(schema), make("small", {}, [place, limitsOf(schema)].filter(Boolean).join(", ")));
    return make("tr", {}, head, type, make("td", {}, ...prose(description ?? schema.description)));
  });
  const heads = ["docsName", "docsType", "docsMeaning"].map((word) => make("th", { scope: "col" }, say(word)));
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...body));
  return make("div", { class: "scroll", tabindex: "0" }, table);
}

/** What a schema holds: a table of its members, or the name of its type. */
export function contentOf(schema) {
  if (schema?.$ref || !schema?.properties) return make("p", {}, ...typeOf(schema));
  const required = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties).map(([name, member]) => ({ name, schema: member, required: required.has(name) }));
  return valueTable(rows);
}
