// The calls with which a program reads what the page of a job shows.
import { cli, curl, pythonClient, shell } from "../shared/script-calls.js";

/** Filters of the API that the command line has as options of the same name. */
const OPTIONS = ["status", "label", "group", "min_confidence", "max_confidence", "reviewed", "duplicates"];

export function scriptCalls(job, { sort, ...filter }) {
  const query = new URLSearchParams({ format: "csv", ...filter });
  const file = "predictions.csv";
  const options = OPTIONS.filter((name) => filter[name]).map((name) => optionOf(name, filter[name]));
  const named = Object.entries(filter).map(([name, value]) => `, ${name}=${pythonValue(value)}`);
  return {
    curl: `${curl()} -o ${file} ${shell(`${location.origin}${job.links.export}?${query}`)}`,
    Python: [
      pythonClient(),
      `job = client.job(${JSON.stringify(job.id)})`,
      `for item in job.items(sort=${JSON.stringify(sort)}${named.join("")}):`,
      "    print(item.source.name, item.prediction and item.prediction.label.id)",
    ].join("\n"),
    CLI: [cli(), "export", job.id, "-o", file, ...options].join(" "),
  };
}

function optionOf(name, value) {
  const option = name.replaceAll("_", "-");
  if (name === "reviewed") return value === "true" ? "--reviewed" : "--not-reviewed";
  if (name === "duplicates") return "--hide-duplicates";
  return `--${option} ${shell(value)}`;
}

/** A value of a query as Python writes it. */
function pythonValue(value) {
  if (value === "true") return "True";
  if (value === "false") return "False";
  return Number.isFinite(Number(value)) ? value : JSON.stringify(value);
}
