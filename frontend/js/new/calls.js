// The calls with which a program submits what is chosen on this page.
import { cli, curl, pythonClient, shell } from "../shared/script-calls.js";

/** Files or URLs that a call names before it says "and so on". */
const MOST_NAMED = 3;
/** Options that need not be said. */
const DEFAULTS = { model: "production", priority: "normal" };

/** `{curl, Python, CLI}` for a source: `{kind, pictures, file, urls, crawl}`. `options`: name, model, priority. */
export function callsFor(source, options) {
  const jobs = `${location.origin}/v1/jobs`;
  const asked = Object.entries(options).filter(([name, value]) => value !== DEFAULTS[name]);
  const fields = asked.map(([name, value]) => ` -F ${shell(`${name}=${value}`)}`).join("");
  const named = asked.map(([name, value]) => `, ${name}=${JSON.stringify(value)}`).join("");
  const flags = asked.map(([name, value]) => ` --${name} ${shell(value)}`).join("");
  const python = (call) => `${pythonClient()}\njob = client.${call}\nprint(job.wait().state.counts)`;
  const json = (body) => `${curl()} --json ${shell(JSON.stringify({ ...Object.fromEntries(asked), ...body }))} ${jobs}`;
  if (source.kind === "shop") {
    const { start_urls: urls, limits, ...rest } = source.crawl;
    const extra = Object.entries({ ...rest, ...(limits && { limits }) });
    const flagOf = { pages: "max-pages", pictures: "max-pictures" };
    const crawlFlags = Object.entries({ ...rest, ...limits }).map(([name, value]) => ` --${flagOf[name] ?? name} ${shell(String(value))}`);
    return {
      curl: json({ crawl: source.crawl }),
      Python: python(`crawl(${JSON.stringify(urls)}${extra.map(([n, v]) => `, ${n}=${JSON.stringify(v)}`).join("")}${named})`),
      CLI: `${cli()} crawl ${urls.map(shell).join(" ")}${crawlFlags.join("")}${flags}`,
    };
  }
  if (source.kind === "urls") {
    const urls = source.urls.slice(0, MOST_NAMED);
    return {
      curl: json({ items: urls.map((url) => ({ url })) }),
      Python: python(`submit_items(${JSON.stringify(urls)}${named})`),
      CLI: `${cli()} submit ${urls.map(shell).join(" ")}${flags}`,
    };
  }
  if (source.kind !== "pictures") {
    const file = source.file.name;
    return {
      curl: `${curl()} -F ${shell(`${source.kind}=@${file}`)}${fields} ${jobs}`,
      Python: python(`submit_${source.kind}(${JSON.stringify(file)}${named})`),
      CLI: `${cli()} submit ${shell(file)}${flags}`,
    };
  }
  return ofPictures(source.pictures, { fields, named, flags, python, jobs });
}

function ofPictures(pictures, { fields, named, flags, python, jobs }) {
  const tops = new Set(pictures.map(({ path }) => (path.includes("/") ? path.split("/")[0] : "")));
  const [folder] = tops.size === 1 ? tops : [""];
  const paths = pictures.slice(0, MOST_NAMED).map(({ path }) => path);
  if (!folder) {
    return {
      curl: `${curl()}${paths.map((path) => ` -F ${shell(`images=@${path}`)}`).join("")}${fields} ${jobs}`,
      Python: python(`submit_uploads(${JSON.stringify(paths)}${named})`),
      CLI: `${cli()} submit ${paths.map(shell).join(" ")}${flags}`,
    };
  }
  return {
    // An archive keeps the paths of its files.
    curl: `zip -r pictures.zip ${shell(folder)}\n${curl()} -F archive=@pictures.zip${fields} ${jobs}`,
    Python: `from lookbook import pictures_in\n${python(`submit_uploads(pictures_in(${JSON.stringify(folder)})${named})`)}`,
    CLI: `${cli()} submit ${shell(folder)}${flags}`,
  };
}
