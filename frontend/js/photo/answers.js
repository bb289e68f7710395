// The answers about the photo: the answer that is shown, and the strip of all answers of this visit.
import { namesOf } from "../shared/labels.js";
import { $, make, number, percent, say, showRanks } from "../shared/page.js";

/** Show one answer: {item, milliseconds?}. */
export async function showAnswer({ item, milliseconds }) {
  const { prediction, crop, image } = item;
  const names = await namesOf(prediction.model);
  const rank = ({ id, score }) => ({ name: names.label(id), other: names.otherLabel(id), score });
  showRanks($("ranks"), prediction.labels.map(rank));
  const [group] = prediction.groups;
  const other = names.otherGroup(group.id);
  $("group").replaceChildren(
    say("group", { name: names.group(group.id) }),
    ...(other ? [" ", make("span", { class: "muted", lang: other.lang }, other.text)] : []),
    ` ${percent(group.score)}`,
  );
  $("part").textContent = crop ? say("partIs", sizes(crop)) : say("partIsWhole");
  const facts = [prediction.model, say("pictureSize", sizes(image))];
  if (milliseconds) facts.splice(1, 0, say("took", { n: number(milliseconds) }));
  $("answer-foot").textContent = facts.join(" · ");
}

const sizes = ({ width, height }) => ({ width: number(width), height: number(height) });

/** Draw the strip of answers. `show(answer)` opens one, `remove(answer)` takes one away. */
export async function drawStrip(answers, shown, { show, remove }) {
  const cells = await Promise.all(answers.map(async (answer) => cell(answer, await namesOf(answer.item.prediction.model))));
  $("answer-list").replaceChildren(...cells);
  $("answers").hidden = answers.length < 2;

  function cell(answer, names) {
    const { label, confidence } = answer.item.prediction;
    const name = names.label(label.id);
    const open = make("button", { type: "button", class: "open", "aria-pressed": String(answer === shown) });
    open.append(
      thumbnail(answer),
      make("span", { class: "text" }, make("span", {}, name), make("span", { class: "muted" }, percent(confidence))),
    );
    open.addEventListener("click", () => show(answer));
    const close = make("button", { type: "button", class: "quiet remove", "aria-label": say("removeAnswer", { name }) }, "×");
    close.addEventListener("click", () => remove(answer));
    return make("li", {}, open, close);
  }
}

/** The crop of an answer, cut out of its photo by the style sheet. */
function thumbnail({ item, src }) {
  const { width, height } = item.image;
  const crop = item.crop ?? { x: 0, y: 0, width, height };
  const picture = make("img", { src, alt: "" });
  picture.style.width = `${(100 * width) / crop.width}%`;
  picture.style.left = `${(-100 * crop.x) / crop.width}%`;
  picture.style.top = `${(-100 * crop.y) / crop.height}%`;
  const frame = make("span", { class: "cut" }, picture);
  frame.style.aspectRatio = `${crop.width} / ${crop.height}`;
  return frame;
}
