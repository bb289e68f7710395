// One call of the API: a line that opens to its parameters, its body, its answers and a form to try it.
import { make, say } from "../shared/page.js";
import { contentOf, prose, valueTable } from "./schema.js";
import { trialOf } from "./trial.js";

/** Every call of the document, in its order: {id, method, path, tag, call}. */
export function callsOf(document) {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, call]) => ({
      id: call.operationId,
      method: method.toUpperCase(),
      path,
      tag: call.tags?.[0] ?? "",
      call,
    })),
  );
}

/** The line of a call. What is inside is made when it opens. */
export function lineOf({ id, method, path, call }) {
  const summary = make("summary", {}, make("span", { class: "method" }, method), make("span", { class: "path" }, path));
  summary.append(make("span", { class: "what" }, ...prose(call.summary)));
  const line = make("details", { class: "call", id }, summary);
  line.addEventListener("toggle", () => {
    line.querySelector(".inside")?.remove();
    if (line.open) line.append(insideOf(method, path, call));
  });
  return line;
}

function insideOf(method, path, call) {
  const inside = make("div", { class: "inside" });
  if (call.description) inside.append(make("p", {}, ...prose(call.description)));
  if (call.parameters?.length) {
    const rows = call.parameters.map((parameter) => ({ ...parameter, place: parameter.in }));
    inside.append(make("h3", {}, say("docsParameters")), valueTable(rows));
  }
  for (const [type, { schema }] of Object.entries(call.requestBody?.content ?? {})) {
    inside.append(make("h3", {}, say("docsBody", { type })), contentOf(schema));
  }
  inside.append(make("h3", {}, say("docsAnswers")), answersOf(call.responses));
  inside.append(trialOf(method, path, call));
  return inside;
}

function answersOf(responses) {
  const rows = Object.entries(responses).map(([status, { description, content }]) => {
    const [type, body] = Object.entries(content ?? {})[0] ?? [];
    return { name: status, schema: body?.schema ?? { type: type ?? "–" }, description };
  });
  return valueTable(rows);
}
