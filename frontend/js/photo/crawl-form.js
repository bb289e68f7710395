// The form that starts a crawl of a shop.
import { ApiError, postJson } from "../shared/api.js";
import { $, onLanguage, say, sayError, sayFailure } from "../shared/page.js";

/** Pointers of problems, the field that each is about, and the sentence for it. */
const FIELDS = [
  ["/crawl/start_urls", "shop-url", "shopBadUrl"],
  ["/crawl/query", "shop-query", "shopBadQuery"],
  ["/crawl/recipe", "shop-recipe", "shopBadRecipe"],
  ["/crawl/limits/pages", "shop-pages", "shopBadPages"],
];
/** Returns the sentence that is shown, in the present language. Null if none is shown. */
let problem = null;

export function setUpCrawlForm() {
  $("shop").addEventListener("submit", async (event) => {
    event.preventDefault();
    clear();
    const url = withScheme($("shop-url").value);
    if (!url) {
      show("shop-url", () => say("shopNone"));
      return;
    }
    $("shop-send").disabled = true;
    $("shop-send").textContent = say("shopStarting");
    try {
      const job = await postJson("/v1/jobs", { crawl: crawlRequest(url) });
      location.href = job.links.page;
    } catch (error) {
      showError(error);
      enableSending();
    }
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) enableSending();
  });
  onLanguage(() => problem && ($("shop-problem").textContent = problem()));
}

function enableSending() {
  $("shop-send").disabled = false;
  $("shop-send").textContent = say("shopCrawl");
}

/** The URL that a person wrote. `shop.example` means `https://shop.example`. */
function withScheme(written) {
  const text = written.trim();
  return !text || /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
}

function crawlRequest(url) {
  const crawl = { start_urls: [url] };
  const [query, recipe, pages] = ["shop-query", "shop-recipe", "shop-pages"].map((id) => $(id).value.trim());
  if (query) crawl.query = query;
  if (recipe) crawl.recipe = recipe;
  // Send text that is not a number as it is: the server refuses it and says why.
  if (pages) crawl.limits = { pages: /^[0-9]+$/.test(pages) ? Number(pages) : pages };
  return crawl;
}

/** Show why the server refused the crawl, at the field that is wrong if the server names one. */
function showError(error) {
  const first = error instanceof ApiError ? error.errors[0] : undefined;
  const known = first && FIELDS.find(([pointer]) => first.pointer.startsWith(pointer));
  if (!known) {
    show(null, () => sayFailure(error));
    return;
  }
  const [, field, word] = known;
  // Other codes, such as blocked_address, have sentences of their own.
  const general = error.code === "invalid_request";
  show(field, () => (general ? say(word, { detail: first.detail }) : sayError(error.code, first.detail)));
}

function show(field, sentence) {
  $("shop-problem").textContent = sentence();
  problem = sentence;
  $("shop-problem").hidden = false;
  if (!field) return;
  $("shop-more").open ||= field !== "shop-url";
  $(field).setAttribute("aria-invalid", "true");
  $(field).focus();
}

function clear() {
  problem = null;
  $("shop-problem").hidden = true;
  for (const [, field] of FIELDS) $(field).removeAttribute("aria-invalid");
}
