// Dots as pixels. Copying 10,000 small pictures onto a canvas takes a processor without a GPU tens of milliseconds, and
// writing their pixels into memory takes one or two.

/** Stamps that are kept: one for each colour, size and visibility. */
const KEPT = 400;

export class Stamps {
  constructor() {
    this.known = new Map();
  }

  /** Begin a picture of so many pixels, filled with a colour. */
  begin(width, height, ground) {
    if (this.width !== width || this.height !== height) {
      Object.assign(this, { width, height, image: new ImageData(width, height) });
      this.pixels = new Uint32Array(this.image.data.buffer);
      this.known.clear();
    }
    if (this.ground !== ground) {
      this.known.clear();
      this.ground = ground;
      this.filling = this.render(1, (context) => context.fillRect(0, 0, 1, 1))[0];
    }
    this.pixels.fill(this.filling);
  }

  /** The pixels of a small square that is drawn on the ground. */
  render(side, draw) {
    const canvas = new OffscreenCanvas(side, side);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = this.ground;
    context.fillRect(0, 0, side, side);
    draw(context);
    return new Uint32Array(context.getImageData(0, 0, side, side).data.buffer);
  }

  /** The pixels of a dot, without those that are the ground: {offsets from its middle, colours, reach in pixels}. */
  stamp(colour, radius, alpha) {
    const key = `${colour} ${radius.toFixed(2)} ${alpha}`;
    let stamp = this.known.get(key);
    if (!stamp) {
      const reach = Math.ceil(radius + 1);
      const side = 2 * reach + 1;
      const pixels = this.render(side, (context) => {
        context.globalAlpha = alpha;
        context.fillStyle = colour;
        context.beginPath();
        context.arc(reach + 0.5, reach + 0.5, radius, 0, 2 * Math.PI);
        context.fill();
      });
      const drawn = [...pixels.keys()].filter((at) => pixels[at] !== this.filling);
      const offsets = Int32Array.from(drawn, (at) => (Math.floor(at / side) - reach) * this.width + (at % side) - reach);
      stamp = { offsets, colours: Uint32Array.from(drawn, (at) => pixels[at]), reach };
      if (this.known.size >= KEPT) this.known.clear();
      this.known.set(key, stamp);
    }
    return stamp;
  }

  /** Put a stamp at a pixel. At the edge of the picture, where it would not fit, it is left out. */
  put({ offsets, colours, reach }, x, y) {
    if (x < reach || y < reach || x >= this.width - reach || y >= this.height - reach) return;
    const middle = y * this.width + x;
    for (let at = 0; at < offsets.length; at += 1) this.pixels[middle + offsets[at]] = colours[at];
  }
}
