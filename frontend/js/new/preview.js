// The preview of a shop: what the first page of a crawl would yield.
import { get, postJson } from "../shared/api.js";
import { $, link, make, money, number, onLanguage, say, sayError } from "../shared/page.js";
import { WORDS as CRAWL_WORDS } from "../words/crawl.js";
import { accept, refuse, refuseBy } from "./fields.js";

const KINDS = { product: "kindProduct", listing: "kindListing", other: "kindOther", empty: "kindEmpty", consent: "kindConsent", error: "kindError", sitemap: "kindSitemap" };
/** Milliseconds between two questions, and the most questions. */
const INTERVAL = 700;
const MOST_QUESTIONS = 80;
/** The page that is shown, or null. */
let page = null;
/** Counts the previews, so that the answer to an earlier one is not shown. */
let asked = 0;

/** `crawl()` returns the crawl that the fields describe. */
export function setUpPreview(crawl) {
  $("preview-ask").addEventListener("click", async () => {
    accept();
    const mine = (asked += 1);
    forgetPage();
    $("preview-state").textContent = say("previewRuns");
    $("preview-ask").disabled = true;
    const { start_urls: [url], recipe, query } = crawl();
    try {
      const preview = await made(await postJson("/v1/previews", { url, recipe, query }));
      if (mine !== asked) return;
      if (preview.error) refuse("preview", () => sayError(preview.error.code, preview.error.detail));
      page = preview.page;
      draw();
    } catch (error) {
      if (mine === asked) refuseBy(error, "preview");
    } finally {
      $("preview-ask").disabled = false;
      if (mine === asked) $("preview-state").textContent = "";
    }
  });
  onLanguage(draw);
}

/** Hide the preview of another source. */
export function forgetPreview() {
  asked += 1;
  forgetPage();
  $("preview-state").textContent = "";
}

function forgetPage() {
  page = null;
  $("preview-page").hidden = true;
}

async function made(preview) {
  for (let questions = 0; preview.state === "running" && questions < MOST_QUESTIONS; questions += 1) {
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
    ({ body: preview } = await get(`/v1/previews/${preview.id}`));
  }
  return preview.state === "running" ? { ...preview, error: { code: "unavailable", detail: "" } } : preview;
}

function draw() {
  $("preview-page").hidden = !page;
  if (!page) return;
  $("preview-title").textContent = page.title || page.url;
  $("preview-facts").replaceChildren(...facts().map((fact) => make("span", {}, fact)));
  $("preview-pictures").replaceChildren(...page.pictures.map(pictureOf));
}

function facts() {
  const { kind, found, links, recipe } = page;
  const rows = [say(KINDS[kind]), say("previewFound", { count: number(found) })];
  const follows = links.products + links.pages + links.others;
  rows.push(say("previewLinks", { count: number(follows), products: number(links.products) }));
  if (recipe) rows.push(say("previewRecipe", { name: recipe }));
  const language = document.documentElement.lang;
  const reasons = CRAWL_WORDS[language].reasons;
  const left = Object.entries(page.left_out).map(([reason, count]) => `${reasons[reason] ?? reason} (${number(count)})`);
  if (left.length) rows.push(say("previewLeftOut", { reasons: left.join(", ") }));
  return rows;
}

function pictureOf({ url, title, price, currency, page_url: product, thumbnail }) {
  const image = thumbnail ? make("img", { src: thumbnail, alt: "" }) : make("span", { class: "blank" });
  const name = make("span", { class: "name" }, link(product ?? url, title || url));
  return make("li", {}, image, name, make("span", { class: "muted" }, price ? money(price, currency) : ""));
}
