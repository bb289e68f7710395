// Refusals, each at the field that it is about.
import { ApiError } from "../shared/api.js";
import { $, onLanguage, say, sayError, sayFailure } from "../shared/page.js";
import { SHOP_FIELDS } from "./shop.js";

const FIELDS = [...SHOP_FIELDS, ["/url", "preview", "shopBadUrl"], ["/recipe", "recipe", "shopBadRecipe"], ["/query", "query", "shopBadQuery"], ["/items", "urls", "badUrlItem"], ["/name", "name", null], ["/model", "model", null]];
/** The id of the notice -> what returns its sentence in the present language. */
const shown = new Map();

export function setUpFields() {
  onLanguage(() => {
    for (const [notice, sentence] of shown) $(notice).textContent = sentence();
  });
}

/** Show a sentence in the notice of a field, and go to the field. Other notices are named by their own id. */
export function refuse(field, sentence) {
  const notice = $(`${field}-problem`);
  shown.set(notice.id, sentence);
  notice.textContent = sentence();
  notice.hidden = false;
  const control = $(field);
  if (!control || !control.matches("input, select, textarea")) return;
  control.setAttribute("aria-invalid", "true");
  control.focus();
}

/** Show why the server refused a submission: at the field that is wrong if the server names one, else in `general`. */
export function refuseBy(error, general) {
  const first = error instanceof ApiError ? error.errors[0] : undefined;
  const known = first && FIELDS.find(([pointer]) => first.pointer.startsWith(pointer));
  if (!known) {
    refuse(general, () => sayFailure(error));
    return;
  }
  const [, field, word] = known;
  // Other codes, such as blocked_address, have sentences of their own.
  const isGeneral = error.code === "invalid_request" && word;
  const line = Number(first.pointer.split("/")[2]) + 1;
  refuse(field, () => (isGeneral ? say(word, { detail: first.detail, line }) : sayError(error.code, first.detail)));
}

/** Remove the sentences of all fields. */
export function accept() {
  for (const notice of shown.keys()) $(notice).hidden = true;
  shown.clear();
  for (const control of document.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
}
