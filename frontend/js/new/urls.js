// The URLs that a person typed or pasted, one per line.

/** A URL of a file that is a picture by its name. Everything else may be a page of a shop. */
const PICTURE = /\.(jpe?g|jfif|png|webp|gif|avif|bmp|heic|heif|tiff?|jp2|jxl)(\?.*)?$/i;
/** Most URLs that a crawl may start from. */
export const MOST_STARTS = 100;

/**
 * Read typed text. Returns `{urls, kind, bad}`: `kind` is pictures or shop, as the URLs look; `bad` is `{line, text}` of the first
 * line that is no web URL, or null. `shop.example` means `https://shop.example`.
 */
export function readUrls(text) {
  const urls = [];
  let bad = null;
  for (const [index, line] of text.split("\n").entries()) {
    const written = line.trim();
    if (!written) continue;
    const url = /^[a-z][a-z0-9+.-]*:/i.test(written) && !/^[^/]+:\d+(\/|$)/.test(written) ? written : `https://${written}`;
    if (isWebUrl(url)) urls.push(url);
    else bad ??= { line: index + 1, text: written };
  }
  return { urls, kind: urls.some((url) => PICTURE.test(url)) || urls.length > MOST_STARTS ? "pictures" : "shop", bad };
}

function isWebUrl(text) {
  if (/\s/.test(text)) return false;
  try {
    const { protocol, hostname } = new URL(text);
    return (protocol === "https:" || protocol === "http:") && hostname !== "";
  } catch {
    return false;
  }
}
