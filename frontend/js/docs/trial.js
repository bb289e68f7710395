// Trying a call: a form for its parameters and its body, and the answer as it came.
import { csrfHeader } from "../shared/api.js";
import { bytes, make, say } from "../shared/page.js";

const JSON_TYPE = "application/json";
const FORM_TYPE = "multipart/form-data";

/** The form that sends a call. Its requests carry the session, like those of the other pages. */
export function trialOf(method, path, call) {
  const parameters = (call.parameters ?? []).map((parameter) => ({ ...parameter, input: make("input", { autocomplete: "off" }) }));
  const body = bodyOf(call.requestBody?.content ?? {});
  const status = make("output");
  const answer = make("pre", { tabindex: "0", hidden: true });
  const form = make("form", { class: "trial", novalidate: true });
  form.append(make("h3", {}, say("docsTry")), ...parameters.map(({ name, input }) => make("label", {}, name, input)), ...body.fields);
  form.append(make("button", { class: "act second" }, say("docsSend")), status, answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    status.textContent = say("docsSending");
    answer.hidden = true;
    try {
      const response = await fetch(urlOf(path, parameters), optionsOf(method, parameters, body));
      const type = response.headers.get("Content-Type") ?? "";
      status.textContent = `${response.status} ${response.statusText} · ${type}`;
      answer.textContent = await textOf(response, type);
    } catch (error) {
      status.textContent = error.message;
    }
    answer.hidden = !answer.textContent;
  });
  return form;
}

function bodyOf(content) {
  if (content[JSON_TYPE]) {
    const area = make("textarea", { spellcheck: "false" });
    return { fields: [make("label", {}, JSON_TYPE, area)], read: () => area.value, type: JSON_TYPE };
  }
  const properties = Object.entries(content[FORM_TYPE]?.schema?.properties ?? {});
  const inputs = properties.map(([name, schema]) => {
    const isFile = schema.format === "binary" || schema.items?.format === "binary";
    return [name, make("input", isFile ? { type: "file", multiple: schema.type === "array" } : { autocomplete: "off" })];
  });
  const read = () => {
    const form = new FormData();
    for (const [name, input] of inputs) {
      for (const value of input.type === "file" ? input.files : [input.value]) if (value) form.append(name, value);
    }
    return form;
  };
  return { fields: inputs.map(([name, input]) => make("label", {}, name, input)), read: inputs.length ? read : null, type: null };
}

function urlOf(path, parameters) {
  const given = (place) => parameters.filter((parameter) => parameter.in === place && parameter.input.value);
  const query = new URLSearchParams(given("query").map(({ name, input }) => [name, input.value]));
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => {
    const parameter = parameters.find((one) => one.in === "path" && one.name === name);
    return encodeURIComponent(parameter?.input.value ?? "");
  });
  return `${filled}${query.size ? `?${query}` : ""}`;
}

function optionsOf(method, parameters, body) {
  const headers = { ...(method === "GET" ? {} : csrfHeader()), ...(body.type ? { "Content-Type": body.type } : {}) };
  for (const { name, in: place, input } of parameters) if (place === "header" && input.value) headers[name] = input.value;
  return { method, headers, body: method === "GET" || !body.read ? undefined : body.read() };
}

/** JSON in lines, other text as it is, and the size of anything else. */
async function textOf(response, type) {
  if (type.includes("json")) {
    const text = await response.text();
    return text && JSON.stringify(JSON.parse(text), null, 2);
  }
  if (type.startsWith("text/")) return response.text();
  const { size } = await response.blob();
  return size ? bytes(size) : "";
}
