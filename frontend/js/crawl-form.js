// A shop's address in, a job out.
import { ApiError, postJson, Unreachable } from "./api.js";
import { $, onLanguage, say, sayError } from "./page.js";

/** Which field a problem's pointer is about, and how that is said. */
const FIELDS = [
  ["/crawl/start_urls", "shop-url", "shopBadUrl"],
  ["/crawl/query", "shop-query", "shopBadQuery"],
  ["/crawl/recipe", "shop-recipe", "shopBadRecipe"],
  ["/crawl/limits/pages", "shop-pages", "shopBadPages"],
];
let shown = null;

export function setUpCrawlForm() {
  $("shop").addEventListener("submit", async (event) => {
    event.preventDefault();
    clear();
    const url = address($("shop-url").value);
    if (!url) {
      show("shop-url", () => say("shopNone"));
      return;
    }
    $("shop-send").disabled = true;
    $("shop-send").textContent = say("shopStarting");
    try {
      const job = await postJson("/v1/jobs", { crawl: asked(url) });
      location.href = job.links.page;
    } catch (error) {
      if (!(error instanceof ApiError || error instanceof Unreachable)) throw error;
      tell(error);
      $("shop-send").disabled = false;
      $("shop-send").textContent = say("shopCrawl");
    }
  });
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    $("shop-send").disabled = false;
    $("shop-send").textContent = say("shopCrawl");
  });
  onLanguage(() => shown && ($("shop-problem").textContent = shown()));
}

/** What people write: `shop.example` means the web. */
function address(written) {
  const text = written.trim();
  return !text || /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
}

function asked(url) {
  const crawl = { start_urls: [url] };
  const [query, recipe, pages] = ["shop-query", "shop-recipe", "shop-pages"].map((id) => $(id).value.trim());
  if (query) crawl.query = query;
  if (recipe) crawl.recipe = recipe;
  // What is no number is for the server to refuse, in the words that it has for it.
  if (pages) crawl.limits = { pages: /^[0-9]+$/.test(pages) ? Number(pages) : pages };
  return crawl;
}

function tell(error) {
  const [first] = error.errors ?? [];
  const known = first && FIELDS.find(([pointer]) => first.pointer.startsWith(pointer));
  if (!known) {
    show(null, () => sayError(error.code ?? "unreachable", error.message));
    return;
  }
  const [, field, word] = known;
  // An error that has words of its own (a private address) needs no others.
  const general = error.code === "invalid_request";
  show(field, () => (general ? say(word, { detail: first.detail }) : sayError(error.code, first.detail)));
}

function show(field, sentence) {
  shown = sentence;
  $("shop-problem").textContent = sentence();
  $("shop-problem").hidden = false;
  if (!field) return;
  $("shop-more").open ||= field !== "shop-url";
  $(field).setAttribute("aria-invalid", "true");
  $(field).focus();
}

function clear() {
  shown = null;
  $("shop-problem").hidden = true;
  for (const [, field] of FIELDS) $(field).removeAttribute("aria-invalid");
}
