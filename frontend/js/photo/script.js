// The calls that do from a script what the page does: classify the photo, or the part of it that is shown.
import { cli, curl, pythonClient, shell } from "../shared/script-calls.js";

/** The calls for an answer's file and crop; for any photo if there is no answer. */
export function classifyCalls(item) {
  const name = item?.source.name ?? "photo.jpg";
  const crop = item?.crop;
  const sides = crop && [crop.x, crop.y, crop.width, crop.height];
  const json = crop && JSON.stringify(crop);
  return {
    curl: `${curl()} -F ${shell(`image=@${name}`)}${crop ? ` -F ${shell(`crop=${json}`)}` : ""} ${location.origin}/v1/classifications`,
    Python: [
      pythonClient(),
      `item = client.classify(${JSON.stringify(name)}${crop ? `, crop=${json}` : ""})`,
      "print(item.prediction.label.name, item.prediction.confidence)",
    ].join("\n"),
    CLI: `${cli()} classify ${shell(name)}${crop ? ` --crop ${sides.join(",")}` : ""}`,
  };
}
