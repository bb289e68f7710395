// The facts of an item: where it came from, its picture, its model.
import { isVisitor } from "../shared/api.js";
import { bytes, link, make, money, number, say, webUrl } from "../shared/page.js";

/** Terms and descriptions of an item, for a `<dl>`. */
export function factsOf({ custom_id, image, crop, prediction, source, metadata, duplicate_of, review }) {
  const rows = [
    [say("customId"), custom_id],
    [say("title"), source.title && link(webUrl(source.product_url) ?? source.page_url ?? "", source.title)],
    [say("price"), source.price && money(source.price, source.currency)],
    [say("category"), source.category],
    [say("page"), source.page_url && link(source.page_url)],
    [say("pictureUrl"), source.url && link(source.url)],
    [say("rule"), source.rule],
    [say("size"), image?.width && `${number(image.width)} × ${number(image.height)}`],
    [say("crop"), crop && cropText(crop)],
    [say("betterCrop"), review?.crop && cropText(review.crop)],
    [say("bytes"), image && bytes(image.bytes)],
    [say("format"), image?.format],
    [say("duplicate"), duplicate_of && say("yes")],
    [say("model"), prediction && modelLink(prediction.model)],
    [say("knownBefore"), prediction?.reused && say("yes")],
    ...Object.entries(metadata ?? {}).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]),
  ];
  return rows.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
}

/** A link to the page of a model `name@version`. Visitors of a shared job see only its name. */
export function modelLink(ref) {
  if (isVisitor()) return ref;
  const [name, version] = ref.split("@");
  return make("a", { href: `/models/${encodeURIComponent(name)}/${encodeURIComponent(version)}` }, ref);
}

const cropText = ({ x, y, width, height }) => `${number(width)} × ${number(height)} (${number(x)}, ${number(y)})`;
