// Use openapi-fetch with the types that openapi-typescript generates: `node with_openapi_fetch.js URL NAME…`, with names of samples.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };

const [url, ...given] = process.argv.slice(2);
if (url === undefined) throw new Error("expected a URL");
const client = createClient<paths>({ baseUrl: url });

/** The form of a multipart operation. The types call a file a string, as OpenAPI does. */
function formOf(body: Record<string, unknown>): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(body)) {
    for (const part of Array.isArray(value) ? value : [value]) {
      if (part instanceof File) form.append(name, part, part.name);
      else form.append(name, String(part));
    }
  }
  return form;
}

const files = await Promise.all(
  given.map(async (name) => new File([await (await fetch(`${url}/samples/${name}`)).blob()], name, { type: "image/jpeg" })),
);
const created = await client.POST("/v1/jobs/uploads", {
  body: { images: files as unknown as string[], name: "generated" },
  bodySerializer: formOf,
});
if (created.data === undefined) throw new Error(JSON.stringify(created.error));
const job: components["schemas"]["JobOut"] = created.data;
for (let status = job.status; status !== "completed"; ) {
  const { data, error } = await client.GET("/v1/jobs/{job_id}", { params: { path: { job_id: job.id } } });
  if (data === undefined) throw new Error(JSON.stringify(error));
  status = data.status;
  await new Promise((resolve) => setTimeout(resolve, 200));
}
const items = await client.GET("/v1/jobs/{job_id}/items", { params: { path: { job_id: job.id }, query: { sort: "position" } } });
const table = await client.GET("/v1/jobs/{job_id}/export", { params: { path: { job_id: job.id } }, parseAs: "text" });
const first = items.data?.data[0];
if (first === undefined) throw new Error(JSON.stringify(items.error));
const thumbnail = await client.GET("/v1/items/{item_id}/thumbnail", {
  params: { path: { item_id: first.id } },
  parseAs: "arrayBuffer",
});
const start = new Uint8Array(thumbnail.data ?? new ArrayBuffer(0)).slice(0, 2);
console.log(
  JSON.stringify({
    names: items.data?.data.map((item) => item.source.name),
    csv: table.data,
    thumbnail: [...start].map((byte) => byte.toString(16)).join(""),
    single: first.prediction?.label.id ?? null,
  }),
);
