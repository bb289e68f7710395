// Shared by all pages: language, theme, number formats, small DOM helpers.
import { ApiError, session, signedIn, signOut, Unreachable } from "./api.js";
import { WORDS as ERROR_WORDS } from "../words/errors.js";
import { WORDS as SHARED_WORDS } from "../words/shared.js";

const STORED_LANGUAGE = "lookbook.language";
const STORED_THEME = "lookbook.theme";

export const $ = (id) => document.getElementById(id);

let language = localStorage.getItem(STORED_LANGUAGE) || (navigator.language.startsWith("ko") ? "ko" : "en");
const listeners = [];
const SENTENCES = { en: {}, ko: {} };

/** A sentence in the present language, with its {placeholders} filled in. */
export function say(key, values = {}) {
  return filled(SENTENCES[language][key], values);
}

const filled = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);

/** The word for a code of a group, such as `states` or `reasons`. A code without a word is shown as it is. */
export const sayOf = (group, code) => SENTENCES[language][group][code] || code.replaceAll("_", " ");

/** Why an item or a request failed, in a sentence for its error code. */
export function sayError(code, detail) {
  const { errors } = SENTENCES[language];
  return filled(errors[code] ?? errors.other, { detail });
}

/** Why a request failed: a sentence for an error of api.js. Throws any other error again, because it is a bug. */
export function sayFailure(error) {
  if (error instanceof ApiError) return sayError(error.code, error.message);
  if (error instanceof Unreachable) return sayError("no_answer", "");
  throw error;
}

/** Do something that the server may refuse. Then `place` says why. Resolves to whether it was done. */
export async function attempt(place, work) {
  place.hidden = true;
  try {
    await work();
  } catch (error) {
    place.textContent = sayFailure(error);
    place.hidden = false;
    return false;
  }
  return true;
}

/** Why an item failed: a sentence in the present language, and the server's own explanation, which is in English. */
export function failureParts({ code, detail }) {
  const sentence = sayError(code, detail);
  if (!detail || language === "en") return [detail ? `${sentence} (${detail})` : sentence];
  return [sentence, make("details", {}, make("summary", {}, say("serverSays")), make("span", { lang: "en" }, detail))];
}

export const nameOf = (names) => names[language] || names.en;
/** The name in the language that the page does not show, or null if it is the same. */
export function otherNameOf(names) {
  const other = names[language === "ko" ? "en" : "ko"];
  return other && other !== nameOf(names) ? { text: other, lang: language === "ko" ? "en" : "ko" } : null;
}

export const number = (value) => new Intl.NumberFormat(language).format(value);

/** A share of 1 in per cent, with so many decimals. */
export const percent = (value, decimals = 0) =>
  new Intl.NumberFormat(language, {
    style: "percent",
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  }).format(value);

export function bytes(value) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const step = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), units.length - 1);
  const format = { style: "unit", unit: units[step], maximumFractionDigits: step > 1 ? 1 : 0 };
  return new Intl.NumberFormat(language, format).format(value / 1000 ** step);
}

/** A price in the format of the language. A price that is no number, or has no currency code, is shown as given. */
export function money(price, currency) {
  const given = [price, currency].filter(Boolean).join(" ");
  if (!/^\d+(\.\d+)?$/.test(price) || !/^[A-Z]{3}$/.test(currency ?? "")) return given;
  return new Intl.NumberFormat(language, { style: "currency", currency, currencyDisplay: "narrowSymbol" }).format(price);
}

/** The time of day of a moment (RFC 3339). */
export const clock = (moment) => new Intl.DateTimeFormat(language, { timeStyle: "medium" }).format(new Date(moment));

/** The day of a moment (RFC 3339). */
export const day = (moment) => new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(new Date(moment));

/** The day and the time of a moment (RFC 3339). */
export const dayAndTime = (moment) =>
  new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(moment));

export function duration(seconds) {
  if (seconds < 90) return say("seconds", { n: number(Math.max(1, Math.round(seconds))) });
  return say("minutes", { n: number(Math.round(seconds / 60)) });
}

/** Call `render` now and whenever the language changes. */
export function onLanguage(render) {
  listeners.push(render);
  render();
}

/** Make an element with attributes and children. Text is never parsed as HTML. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** The URL if its scheme is http or https, null otherwise. Links with other schemes could run scripts. */
export const webUrl = (url) => (/^https?:\/\//i.test(url ?? "") ? url : null);

/** A link to a web URL. Any other URL is plain text. */
export function link(url, text = url) {
  const href = webUrl(url);
  return href ? make("a", { href, target: "_blank", rel: "noopener noreferrer" }, text) : text;
}

/** Show ranked labels with bars. `rows` are {name, other?, score}, best first; `other`: the name in the other language, if shown. */
export function showRanks(list, rows) {
  list.replaceChildren(
    ...rows.map(({ name, other, score }) => {
      const bar = make("i");
      bar.style.width = `${score * 100}%`;
      const text = make("span", {}, name, ...(other ? [" ", make("span", { class: "other", lang: other.lang }, other.text)] : []));
      return make("li", {}, text, make("span", {}, percent(score)), make("span", { class: "track" }, bar));
    }),
  );
}

/** Set up what every page has: words, theme, language, menu, sign-out. `words`: the {en, ko} sentences of the page. */
export function setUpPage(...words) {
  for (const { en, ko } of [SHARED_WORDS, ERROR_WORDS, ...words]) {
    Object.assign(SENTENCES.en, en);
    Object.assign(SENTENCES.ko, ko);
  }
  setUpTheme();
  setUpMenu();
  $("sign-out").hidden = !signedIn();
  $("sign-out").addEventListener("click", signOut);
  $("language").addEventListener("click", () => {
    language = language === "ko" ? "en" : "ko";
    localStorage.setItem(STORED_LANGUAGE, language);
    for (const render of listeners) render();
  });
  onLanguage(() => {
    document.documentElement.lang = language;
    translate(document);
  });
}

/** Fill the elements below `root` that name a sentence as their text, their label or their placeholder. */
export function translate(root) {
  for (const element of root.querySelectorAll("[data-i18n]")) element.textContent = say(element.dataset.i18n);
  for (const element of root.querySelectorAll("[data-i18n-label]")) {
    element.setAttribute("aria-label", say(element.dataset.i18nLabel));
  }
  for (const element of root.querySelectorAll("[data-i18n-placeholder]")) {
    element.placeholder = say(element.dataset.i18nPlaceholder);
  }
}

/** theme.js has applied the theme before the page was drawn. Follow the system until the person chooses a theme. */
function setUpTheme() {
  const root = document.documentElement;
  const apply = (dark) => root.setAttribute("data-bs-theme", dark ? "dark" : "light");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
    if (!localStorage.getItem(STORED_THEME)) apply(event.matches);
  });
  $("theme").addEventListener("click", () => {
    const dark = root.getAttribute("data-bs-theme") !== "dark";
    localStorage.setItem(STORED_THEME, dark ? "dark" : "light");
    apply(dark);
  });
}

function setUpMenu() {
  const here = location.pathname;
  for (const link of document.querySelectorAll(".places a")) {
    const path = link.getAttribute("href");
    if (here === path) link.setAttribute("aria-current", "page");
    else if (path !== "/" && here.startsWith(path)) link.setAttribute("aria-current", "true");
  }
  for (const menu of document.querySelectorAll("details.menu")) closeElsewhere(menu);
  if (signedIn()) showWhoIsSignedIn();
}

/** The menu of the head has the name of the key. */
async function showWhoIsSignedIn() {
  let key = null;
  try {
    ({ key } = await session());
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
  }
  if (!key) return;
  const summary = document.querySelector(".head .menu summary");
  summary.removeAttribute("data-i18n");
  summary.replaceChildren(make("span", { class: "who", title: key.name }, key.name));
}

/** Close a menu (`<details>`) on Escape, after a choice, and on a click elsewhere. */
export function closeElsewhere(menu) {
  addEventListener("click", (event) => {
    if (!menu.contains(event.target) || event.target.closest("a")) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
    event.stopPropagation();
  });
}
