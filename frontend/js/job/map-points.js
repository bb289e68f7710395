// The points of a map in memory, their categories under each colouring, and geometry on them.

/** Places along each side of the map, as in the API. */
export const SIDE = 65_536;
/** The most corners of an area that the API takes. */
const MAX_CORNERS = 200;
/** Lower ends of the bins of confidence, lowest first. */
export const BINS = [0, 0.4, 0.6, 0.8, 0.95];

export class MapPoints {
  /** `answer`: the answer of `GET /v1/jobs/{id}/map/points`. */
  constructor(answer) {
    this.revision = answer.revision;
    this.pictures = answer.pictures;
    this.labels = answer.labels;
    this.ids = answer.id;
    this.positions = Int32Array.from(answer.position);
    this.x = Float32Array.from(answer.x);
    this.y = Float32Array.from(answer.y);
    this.label = Int16Array.from(answer.label);
    this.confidence = Float32Array.from(answer.confidence);
    this.review = Uint8Array.from(answer.review);
    this.predicted = Int16Array.from(answer.predicted);
    this.indexes = new Map(this.ids.map((id, index) => [id, index]));
  }

  get length() {
    return this.ids.length;
  }

  /** The smallest rectangle that holds all points. */
  bounds() {
    const bounds = { left: SIDE, right: 0, top: SIDE, bottom: 0 };
    for (let index = 0; index < this.length; index += 1) {
      bounds.left = Math.min(bounds.left, this.x[index]);
      bounds.right = Math.max(bounds.right, this.x[index]);
      bounds.top = Math.min(bounds.top, this.y[index]);
      bounds.bottom = Math.max(bounds.bottom, this.y[index]);
    }
    return bounds;
  }

  /** The category of a point under a colouring: a label's index or -1, a bin of confidence, or the state of its review. */
  category(index, colouring) {
    if (colouring === "label") return this.label[index];
    if (colouring === "review") return this.review[index];
    const confidence = this.confidence[index];
    return BINS.findLastIndex((low) => confidence >= low);
  }

  /** How many points each category has: Map of category -> count. */
  count(colouring) {
    const counts = new Map();
    for (let index = 0; index < this.length; index += 1) {
      const category = this.category(index, colouring);
      counts.set(category, (counts.get(category) ?? 0) + 1);
    }
    return counts;
  }

  /** Note a review that this page has made: `{label: {id} | null, rejected}`, or null if it was removed. */
  note(id, review) {
    const index = this.indexes.get(id);
    if (index === undefined) return;
    if (!review) {
      this.label[index] = this.predicted[index];
      this.review[index] = 0;
      return;
    }
    this.label[index] = review.rejected ? -1 : this.labels.indexOf(review.label.id);
    this.review[index] = review.rejected ? 3 : this.label[index] === this.predicted[index] ? 1 : 2;
  }

  /** The index of the nearest point to a place within a distance, in units of the map; -1 if there is none. */
  nearest(x, y, within) {
    let best = -1;
    let least = within * within;
    for (let index = 0; index < this.length; index += 1) {
      const distance = (this.x[index] - x) ** 2 + (this.y[index] - y) ** 2;
      if (distance < least) [least, best] = [distance, index];
    }
    return best;
  }

  /** The nearest point to another one in a direction (dx, dy), within 45° of it; -1 if there is none. */
  nextTo(from, dx, dy) {
    let best = -1;
    let least = Infinity;
    for (let index = 0; index < this.length; index += 1) {
      const [x, y] = [this.x[index] - this.x[from], this.y[index] - this.y[from]];
      const along = x * dx + y * dy;
      const across = Math.abs(x * dy - y * dx);
      if (along > 0 && across <= along && along + 2 * across < least) [least, best] = [along + 2 * across, index];
    }
    return best;
  }

  /** The indexes of the points inside of a polygon: corners [x, y] in units of the map (even-odd rule, as the API). */
  inside(corners) {
    const found = [];
    for (let index = 0; index < this.length; index += 1) if (isInside(this.x[index], this.y[index], corners)) found.push(index);
    return found;
  }
}

function isInside(x, y, corners) {
  let inside = false;
  for (let at = 0; at < corners.length; at += 1) {
    const [ax, ay] = corners[at];
    const [bx, by] = corners[(at + 1) % corners.length];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

/** A polygon as the API takes it: at most 200 corners, whole numbers within the map. */
export function simplified(corners) {
  const step = Math.max(1, Math.ceil(corners.length / MAX_CORNERS));
  const whole = (value) => Math.max(0, Math.min(SIDE - 1, Math.round(value)));
  return corners.filter((_, at) => at % step === 0).map(([x, y]) => [whole(x), whole(y)]);
}

/** The filter `area` of the API for a polygon on a map. */
export const areaOf = (revision, corners) => [revision, ...corners.map(([x, y]) => `${x}-${y}`)].join("_");
