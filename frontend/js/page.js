// What both pages share: language, light or dark, numbers, small DOM helpers.
import { signedIn, signOut } from "./api.js";
import { CRAWL_WORDS } from "./words-crawl.js";
import { WORDS } from "./words.js";

const STORED_LANGUAGE = "lookbook.language";
const STORED_THEME = "lookbook.theme";

export const $ = (id) => document.getElementById(id);

let language = localStorage.getItem(STORED_LANGUAGE) || (navigator.language.startsWith("ko") ? "ko" : "en");
const listeners = [];
const SENTENCES = { en: { ...WORDS.en, ...CRAWL_WORDS.en }, ko: { ...WORDS.ko, ...CRAWL_WORDS.ko } };

/** A sentence in the present language, its {members} filled in. */
export function say(key, members = {}) {
  return SENTENCES[language][key].replace(/\{(\w+)\}/g, (_, name) => members[name]);
}

/** The word for one of a group of codes (`states`, `reasons` …); a code without one is shown as it is. */
export const sayOf = (group, code) => SENTENCES[language][group][code] || code.replaceAll("_", " ");

/** Why an item or a request failed, for a person. */
export function sayError(code, detail) {
  const errors = WORDS[language].errors;
  return errors[code] || errors.other.replace("{detail}", detail);
}

export const nameOf = (names) => names[language] || names.en;
export const number = (value) => new Intl.NumberFormat(language).format(value);
export const percent = (value) => new Intl.NumberFormat(language, { style: "percent" }).format(value);

export function bytes(value) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const step = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), units.length - 1);
  const format = { style: "unit", unit: units[step], maximumFractionDigits: step > 1 ? 1 : 0 };
  return new Intl.NumberFormat(language, format).format(value / 1000 ** step);
}

/** A price as people write it, if it is a number in a currency that there is; as it was given otherwise. */
export function money(price, currency) {
  const given = [price, currency].filter(Boolean).join(" ");
  if (!/^\d+(\.\d+)?$/.test(price) || !/^[A-Z]{3}$/.test(currency ?? "")) return given;
  return new Intl.NumberFormat(language, { style: "currency", currency, currencyDisplay: "narrowSymbol" }).format(price);
}

/** The time of day of a moment (RFC 3339). */
export const clock = (moment) => new Intl.DateTimeFormat(language, { timeStyle: "medium" }).format(new Date(moment));

export function duration(seconds) {
  if (seconds < 90) return say("seconds", { n: number(Math.max(1, Math.round(seconds))) });
  return say("minutes", { n: number(Math.round(seconds / 60)) });
}

/** Called now and whenever the language changes. */
export function onLanguage(render) {
  listeners.push(render);
  render();
}

/** An element with attributes, text and children; text is never taken as HTML. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** Where an address leads, if that is the web and nowhere else; null otherwise. */
export const webAddress = (address) => (/^https?:\/\//i.test(address ?? "") ? address : null);

/** An address as a link, if following it leads to the web; as text otherwise. */
export function link(address, text = address) {
  const href = webAddress(address);
  return href ? make("a", { href, target: "_blank", rel: "noopener noreferrer" }, text) : text;
}

/** Ranked labels with their bars: `rows` of {name, score}. */
export function showRanks(list, rows) {
  list.replaceChildren(
    ...rows.map(({ name, score }) => {
      const bar = make("i");
      bar.style.width = `${score * 100}%`;
      return make("li", {}, make("span", {}, name), make("span", {}, percent(score)), make("span", { class: "track" }, bar));
    }),
  );
}

export function setUpPage() {
  const theme = localStorage.getItem(STORED_THEME);
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = (dark) => document.documentElement.setAttribute("data-bs-theme", dark ? "dark" : "light");
  apply(theme ? theme === "dark" : system.matches);
  system.addEventListener("change", () => !localStorage.getItem(STORED_THEME) && apply(system.matches));
  $("theme").addEventListener("click", () => {
    const dark = document.documentElement.getAttribute("data-bs-theme") !== "dark";
    localStorage.setItem(STORED_THEME, dark ? "dark" : "light");
    apply(dark);
  });
  const out = $("sign-out");
  if (out) {
    out.hidden = !signedIn();
    out.addEventListener("click", signOut);
  }
  $("language").addEventListener("click", () => {
    language = language === "ko" ? "en" : "ko";
    localStorage.setItem(STORED_LANGUAGE, language);
    for (const render of listeners) render();
  });
  onLanguage(() => {
    document.documentElement.lang = language;
    $("language").textContent = say("language");
    for (const element of document.querySelectorAll("[data-i18n]")) element.textContent = say(element.dataset.i18n);
    for (const element of document.querySelectorAll("[data-i18n-label]")) {
      element.setAttribute("aria-label", say(element.dataset.i18nLabel));
    }
  });
}
