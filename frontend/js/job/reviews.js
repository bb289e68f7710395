// Reviews: setting labels, taking them back, and how often people agree with the model.
import { requestJson, Unreachable } from "../shared/api.js";

/** Reviews that one request may hold. */
const AT_ONCE = 1000;

export class Reviews {
  /**
   * `list`: an ItemList, whose items show each review at once. `onChange()` is called after every change, and `onError(error)`
   * if the server has not stored one; the items then show what they were before.
   */
  constructor(job, list, { onChange, onError }) {
    Object.assign(this, { list, onChange, onError });
    this.path = `/v1/jobs/${encodeURIComponent(job)}/reviews`;
    /** What takes back each action, the latest last: [{count, reviews}]. */
    this.done = [];
    /** The requests are sent one after the other, so that the server stores them in the order of the keys. */
    this.sending = Promise.resolve();
    this.waiting = 0;
  }

  /** Set the same label for items: a label's id, or null if no label fits. `crop` is a better crop of the one item. */
  set(ids, label, crop) {
    const verdict = label === null ? { rejected: true } : { label };
    return this.#act(ids.map((item) => ({ item, ...verdict, ...(crop && { crop }) })));
  }

  remove(ids) {
    return this.#act(ids.map((item) => ({ item, remove: true })));
  }

  get canUndo() {
    return this.done.length > 0;
  }

  /** Take back the latest action. Resolves to the ids that it concerned. */
  async undo() {
    await this.sending;
    const last = this.done.pop();
    if (!last) return [];
    await this.#act(last, { undoing: true });
    return last.map(({ item }) => item);
  }

  #act(reviews, { undoing = false } = {}) {
    const shown = reviews.map(({ item }) => ({ item, review: this.list.find(item)?.review ?? null }));
    for (const review of reviews) this.list.change(review.item, { review: shownReview(review) });
    this.waiting += 1;
    this.onChange();
    this.sending = this.sending.then(() => this.#send(reviews, shown, undoing));
    return this.sending;
  }

  async #send(reviews, shown, undoing) {
    try {
      const before = [];
      for (let first = 0; first < reviews.length; first += AT_ONCE) {
        const answer = await requestJson("POST", this.path, { reviews: reviews.slice(first, first + AT_ONCE) });
        before.push(...answer.before);
      }
      if (!undoing) this.done.push(before);
    } catch (error) {
      for (const { item, review } of shown) this.list.change(item, { review });
      this.onError(error);
      if (!(error instanceof Unreachable) && error.status === undefined) throw error;
    } finally {
      this.waiting -= 1;
      this.onChange();
    }
  }
}

/** The review of an item as the API would answer it, as far as the page shows it. */
function shownReview({ label, rejected, remove, crop }) {
  if (remove) return null;
  return { label: rejected ? null : { id: label }, rejected: Boolean(rejected), crop: crop ?? null };
}
