// The card of one product: what its shop says about it, the verdict of its photos, and the photos of something else.
import { link, make, money, number, percent, say, sayOf, webUrl } from "../shared/page.js";
import { urlWith } from "../shared/url-state.js";

/** Photos of a card. The link to all pictures of the product leads to the others. */
const SHOWN = 6;

/** A list item for a product of the API. `names`: the names of labels. */
export function productCard(row, names) {
  const { product, photos } = row;
  const numbered = photos.map((photo, index) => ({ ...photo, index }));
  const alike = numbered.filter((photo) => !photo.set_apart).slice(0, SHOWN);
  const apart = numbered.filter((photo) => photo.set_apart).slice(0, SHOWN);
  const card = make("article", {}, heading(product), ...verdict(row, names), photoRow(alike, product, names, false));
  if (apart.length) {
    card.append(make("p", { class: "small apart" }, `◇ ${say("setApart", { count: number(row.set_apart.length) })}`));
    card.append(photoRow(apart, product, names, true));
  }
  const shown = alike.length + apart.length;
  if (row.pictures > shown) {
    const text = say("allPhotos", { count: number(row.pictures) });
    card.append(make("a", { class: "quiet", href: itemsOf(product) }, text));
  }
  return make("li", {}, card);
}

function heading(product) {
  const title = product.title || product.product_id;
  const url = webUrl(product.url ?? "");
  const facts = [
    product.brand && make("span", {}, product.brand),
    product.price && make("b", {}, money(product.price, product.currency)),
    product.list_price && make("s", {}, make("span", { class: "visually-hidden" }, `${sayOf("productFields", "list_price")} `), money(product.list_price, product.currency)),
    product.availability && make("span", {}, sayOf("availabilities", product.availability)),
    product.sku && make("span", {}, `${sayOf("productFields", "sku")} ${product.sku}`),
  ].filter(Boolean);
  return make("header", {}, make("h2", {}, url ? link(url, title) : title), make("p", { class: "small muted known" }, ...facts));
}

function verdict(row, names) {
  const { verdict: label, confidence, votes, product } = row;
  if (!label) return [make("p", { class: "verdict" }, say("noVerdict"))];
  const sure = row.by_review ? say("byReview") : percent(confidence);
  const lines = [
    make("p", { class: "verdict" }, make("b", {}, names.label(label.id)), ` ${sure} `, make("span", { class: "small muted" }, votes === 1 ? say("vote") : say("votes", { count: number(votes) }))),
  ];
  if (row.contradicts_category) {
    const category = product.category || product.breadcrumb.join(" › ");
    lines.push(make("p", { class: "contradicts" }, `⚠ ${say("contradictsCategory", { category })}`));
  }
  return lines;
}

function photoRow(photos, product, names, withLabels) {
  return make("ul", { class: "photos" }, ...photos.map((photo) => make("li", {}, photoLink(photo, product, names, withLabels))));
}

/** A link to a photo among the pictures of its product. */
function photoLink(photo, product, names, withLabel) {
  const label = photo.label ? names.label(photo.label) : say(photo.reviewed ? "noLabelFits" : "noVerdict");
  const said = say("photoOf", { title: product.title || product.product_id, label });
  const picture = photo.thumbnail ? make("img", { src: photo.thumbnail, alt: said, loading: "lazy" }) : make("span", { class: "missing", role: "img", "aria-label": said }, "…");
  const caption = withLabel ? [make("span", { class: "small", "aria-hidden": "true" }, label)] : [];
  return make("a", { href: itemsOf(product, photo), "data-item": photo.id }, picture, ...caption);
}

/** The URL of this page with the pictures of a product, one of them open. */
const itemsOf = (product, photo) =>
  urlWith({ view: null, verdict: null, contradicts: null, apart: null, unsure: null, product_id: product.product_id, item: photo?.id, index: photo ? String(photo.index) : null });
