// The fields of a crawl: search word, recipe and limits.
import { get } from "../shared/api.js";
import { $, make, number, say } from "../shared/page.js";

/** Pointers of problems, the field that each is about, and the sentence for it. */
export const SHOP_FIELDS = [
  ["/crawl/start_urls", "urls", "shopBadUrl"],
  ["/crawl/query", "query", "shopBadQuery"],
  ["/crawl/recipe", "recipe", "shopBadRecipe"],
  ["/crawl/limits/pages", "pages", "shopBadPages"],
  ["/crawl/limits/pictures", "pictures", "shopBadPictures"],
  ["/crawl/limits/depth", "depth", "shopBadDepth"],
  ["/crawl/limits/minutes", "minutes", "shopBadMinutes"],
];
const LIMITS = ["pages", "pictures", "depth", "minutes"];
/** The site recipes of the server. */
let recipes = [];

/** Read the recipes. Without them, the recipe that matches a page is used. */
export async function setUpShop() {
  ({ body: { data: recipes } } = await get("/v1/recipes"));
}

export function drawRecipes() {
  const chosen = $("recipe").value;
  const named = recipes.map(({ name, hosts }) => make("option", { value: name }, [name, hosts.join(", ")].filter(Boolean).join(" · ")));
  $("recipe").replaceChildren(make("option", { value: "" }, say("anyRecipe")), ...named);
  $("recipe").value = chosen;
}

/** The crawl that the fields describe. Text that is no number is sent as it is: the server refuses it and says why. */
export function crawlOf(urls) {
  const crawl = { start_urls: urls };
  for (const id of ["query", "recipe"]) if ($(id).value.trim()) crawl[id] = $(id).value.trim();
  const limits = LIMITS.map((id) => [id, $(id).value.trim()]).filter(([, value]) => value);
  if (limits.length) {
    crawl.limits = Object.fromEntries(limits.map(([id, value]) => [id, /^[0-9]+$/.test(value) ? Number(value) : value]));
  }
  return crawl;
}

export function emptyShop() {
  for (const id of ["query", "recipe", ...LIMITS]) $(id).value = "";
}

/** Why the crawl would be refused: `{field, sentence}`, or null. `maximums` are those of the server. */
export function whyNoCrawl(crawl, maximums) {
  for (const [name, value] of Object.entries(crawl.limits ?? {})) {
    const most = maximums[name];
    if (most !== undefined && value > most) return { field: name, sentence: () => say("atMost", { most: number(most) }) };
  }
  return null;
}
