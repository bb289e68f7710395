// The facts of an item: where it came from, its picture, its model.
import { isVisitor } from "../shared/api.js";
import { bytes, link, make, money, number, percent, say, sayOf, webUrl } from "../shared/page.js";

/** Terms and descriptions of an item, for a `<dl>`. */
export function factsOf({ custom_id, image, crop, prediction, source, product, metadata, duplicate_of, review, accepted }) {
  const rows = [
    [say("customId"), custom_id],
    ...factsOfProduct(product ?? {}, source.page_url),
    [say("page"), source.page_url && link(source.page_url)],
    [say("pictureUrl"), source.url && link(source.url)],
    [say("rule"), source.rule],
    [say("size"), image?.width && `${number(image.width)} × ${number(image.height)}`],
    [say("crop"), crop && cropText(crop)],
    [say("betterCrop"), review?.crop && cropText(review.crop)],
    [say("acceptedFact"), accepted && !review && say("acceptedFrom", { threshold: percent(accepted.threshold) })],
    [say("bytes"), image && bytes(image.bytes)],
    [say("format"), image?.format],
    [say("duplicate"), duplicate_of && say("yes")],
    [say("model"), prediction && modelLink(prediction.model)],
    [say("knownBefore"), prediction?.reused && say("yes")],
    ...Object.entries(metadata ?? {}).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]),
  ];
  return rows.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, ...[value].flat())]);
}

/** The facts of a product, each with the rule that found it on the page of the shop. */
function factsOfProduct({ sources = {}, ...product }, pageUrl) {
  const rows = {
    title: product.title && link(webUrl(product.url) ?? pageUrl ?? "", product.title),
    brand: product.brand,
    price: product.price && money(product.price, product.currency),
    list_price: product.list_price && money(product.list_price, product.currency),
    availability: product.availability && sayOf("availabilities", product.availability),
    color: product.color,
    size: product.size,
    material: product.material,
    category: product.category,
    breadcrumb: product.breadcrumb?.join(" › "),
    sku: product.sku,
    gtin: product.gtin,
    mpn: product.mpn,
    variant_of: product.variant_of,
    product_id: product.product_id,
    description: product.description,
  };
  return Object.entries(rows).map(([field, value]) => [
    sayOf("productFields", field),
    value && (sources[field] ? [value, " ", make("small", { class: "muted rule" }, sources[field])] : value),
  ]);
}

/** A link to the page of a model `name@version`. Visitors of a shared job see only its name. */
export function modelLink(ref) {
  if (isVisitor()) return ref;
  const [name, version] = ref.split("@");
  return make("a", { href: `/models/${encodeURIComponent(name)}/${encodeURIComponent(version)}` }, ref);
}

const cropText = ({ x, y, width, height }) => `${number(width)} × ${number(height)} (${number(x)}, ${number(y)})`;
