// The map of a job: its pictures as points, similar ones near each other. It is made by a worker when a person first asks.
import { change, get, pause, Unreachable } from "../shared/api.js";
import { $, attempt, number, onLanguage, percent, say, sayError, sayFailure } from "../shared/page.js";
import { pushState, readState } from "../shared/url-state.js";
import { MapCanvas, thumbnailOf } from "./map-canvas.js";
import { MapGestures } from "./map-gestures.js";
import { colourOf, describe, drawLegend } from "./map-legend.js";
import { areaOf, MapPoints, simplified } from "./map-points.js";
import { LARGEST } from "./selection.js";

/** Pixels around a point within which the mouse or a finger finds it. */
const REACH = { mouse: 10, touch: 22 };
/** Milliseconds between two looks at a map that is being made. */
const POLL = 1000;
/** Pixels that Shift and an arrow key move the map. */
const STEP = 80;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class JobMap {
  /** `selection`, `list`, `look`: of the page; `mayMake()`: a key may write; `open(position)` opens an item; `show()`: the URL asks for another view. */
  constructor(job, { selection, list, look, mayMake, open, show }) {
    Object.assign(this, { selection, list, look, mayMake, open, show, path: `/v1/jobs/${encodeURIComponent(job)}/map` });
    Object.assign(this, { points: null, state: null, colouring: "label", highlighted: null, current: -1, area: null });
    this.view = new MapCanvas($("map"), this, (category) => colourOf(category, this.colouring, this.points.labels.length));
    this.gestures = new MapGestures(this.view, {
      lasso: () => $("map-lasso").getAttribute("aria-pressed") === "true",
      hover: (px, py) => this.point(this.find(px, py, REACH.mouse)),
      leave: () => this.point(-1),
      tap: (px, py, event) => this.onTap(px, py, event),
      drawn: (corners, event) => this.choose(simplified(corners), event.ctrlKey || event.metaKey),
    });
    $("map").addEventListener("keydown", (event) => this.onKey(event));
    // While the viewer is open, its picture stays the current point, so that keys work as soon as it is closed.
    $("map").addEventListener("blur", (event) => event.relatedTarget?.closest("dialog, #map-card") || this.point(-1));
    $("map-lasso").addEventListener("click", () => this.press($("map-lasso")));
    $("map-in").addEventListener("click", () => this.zoom(1.6));
    $("map-out").addEventListener("click", () => this.zoom(1 / 1.6));
    $("map-fit").addEventListener("click", () => this.view.fit());
    $("map-make").addEventListener("click", () => this.make());
    $("map-list").addEventListener("click", () => this.showInList());
    $("map-card").addEventListener("click", () => this.current >= 0 && this.openCurrent());
    $("map-colour").addEventListener("change", () => this.colourBy($("map-colour").value));
    new MutationObserver(() => this.redraw()).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
    onLanguage(() => this.state && this.redraw());
  }

  /** Whether the map is shown instead of the list. */
  get isShown() {
    return readState().view === "map";
  }

  /** Show the view that the URL asks for. */
  draw(job) {
    const { isShown } = this;
    const link = $("show-map");
    link.textContent = say("map");
    link.setAttribute("aria-current", String(isShown));
    if (isShown) $("show-as").firstElementChild.setAttribute("aria-current", "false");
    $("show-as").hidden &&= !job.counts.succeeded && !isShown;
    $("items-view").classList.toggle("as-map", isShown);
    $("map-view").hidden = !isShown;
    if (!isShown) this.aborter?.abort();
  }

  /** Read the state of the map, have it made if there is none, and show its points. */
  async load() {
    this.aborter?.abort();
    this.aborter = new AbortController();
    const { signal } = this.aborter;
    await this.whileShown(signal, async () => {
      this.state = (await get(this.path, { signal })).body;
      const isMissing = this.state.status === "none" && !this.state.unavailable;
      if (isMissing && this.mayMake()) this.state = await change("POST", this.path);
      await this.follow(signal);
    });
  }

  async make() {
    const done = await attempt($("refused"), async () => (this.state = await change("POST", this.path)));
    if (done) await this.whileShown(this.aborter.signal, () => this.follow(this.aborter.signal));
  }

  /** Show the points, and those of the new map when it is made. */
  async follow(signal) {
    if (this.state.revision && this.points?.revision !== this.state.revision) await this.readPoints(signal);
    this.redraw();
    while (this.state.status === "waiting" || this.state.status === "computing") {
      await pause(POLL, signal);
      this.state = (await get(this.path, { signal })).body;
      if (this.state.status === "ready") await this.readPoints(signal);
      this.redraw();
    }
  }

  async readPoints(signal) {
    this.points = new MapPoints((await get(`${this.path}/points`, { signal })).body);
    for (const [id, { review }] of this.list.changes) if (review !== undefined) this.points.note(id, review);
    Object.assign(this, { current: -1, highlighted: null, area: null });
    this.selection.clear();
    if (this.view.width) this.view.fit();
  }

  /** Do `work` until the person leaves the map. */
  async whileShown(signal, work) {
    try {
      await work();
    } catch (error) {
      if (error.name === "AbortError" || signal.aborted) return;
      $("map-plain").textContent = error instanceof Unreachable ? say("unreachable") : sayFailure(error);
      $("map-plain").hidden = false;
    }
  }

  /** Draw everything again: the state, the language, the theme, the reviews or the colours have changed. */
  redraw() {
    if (!this.state) return;
    const { state, points } = this;
    const isComing = state.status === "waiting" || state.status === "computing";
    $("map-body").hidden = $("map-tools").hidden = !points;
    const plain = this.plain();
    $("map-plain").hidden = !plain;
    $("map-plain").textContent = plain;
    $("map-progress").hidden = !isComing;
    $("map-progress").value = state.progress ?? 0;
    $("map-note").textContent = this.note(isComing);
    $("map-make").hidden = isComing || Boolean(state.unavailable) || !this.mayMake() || (state.status === "ready" && !state.outdated);
    $("map-make").textContent = say(points ? "mapAgain" : "mapMake");
    if (!points) return;
    $("map-colour").value = this.colouring;
    drawLegend($("map-legend"), this, this.look.names(), (category) => this.highlight(category));
    this.onSelection();
    this.view.measure();
  }

  /** Why there is no map, in a sentence; empty if there is one or one is coming. */
  plain() {
    const { state } = this;
    if (state.unavailable) return sayError(state.unavailable.code, state.unavailable.detail);
    if (state.status === "failed") return say("mapFailed", { reason: state.error });
    return state.status === "none" && !this.mayMake() ? say("mapNone") : "";
  }

  note(isComing) {
    const { state } = this;
    if (isComing) return say(state.status === "waiting" ? "mapWaits" : "mapComputing", { part: percent(state.progress ?? 0) });
    if (!this.points) return "";
    const counts = { count: number(state.points), total: number(state.pictures) };
    const about = say(state.points < state.pictures ? "mapSample" : "mapAll", counts);
    return state.outdated ? `${about} ${say("mapOutdated")}` : about;
  }

  colourBy(colouring) {
    Object.assign(this, { colouring, highlighted: null });
    this.redraw();
  }

  highlight(category) {
    this.highlighted = this.highlighted === category ? null : category;
    this.redraw();
  }

  press(button) {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  }

  zoom(factor) {
    const [px, py] = this.current >= 0 ? this.view.pixelOf(this.current) : [this.view.width / 2, this.view.height / 2];
    this.view.zoomAt(px, py, factor);
  }

  find(px, py, reach) {
    return this.points ? this.points.nearest(...this.view.placeOf(px, py), reach / this.view.scale) : -1;
  }

  /** Make a point the current one (-1: none), and show its picture beside it. */
  point(index) {
    if (index === this.current) return;
    this.current = index;
    $("map-card").hidden = index < 0;
    this.view.drawSoon();
    if (index < 0) return;
    const text = describe(this.points, index, this.look.names());
    $("map-picture").src = thumbnailOf(this.points.ids[index]);
    $("map-picture").alt = "";
    $("map-text").textContent = text;
    const [px, py] = this.view.pixelOf(index);
    // Beside the point, on the side with more room.
    $("map-card").classList.toggle("left", px > this.view.width / 2);
    $("map-card").classList.toggle("above", py > this.view.height / 2);
    $("map-card").style.setProperty("--x", `${px}px`);
    $("map-card").style.setProperty("--y", `${py}px`);
  }

  onTap(px, py, event) {
    const touched = event.pointerType !== "mouse";
    const before = this.current;
    const index = this.find(px, py, touched ? REACH.touch : REACH.mouse);
    this.point(index);
    if (index < 0) this.selection.clear();
    else if (event.ctrlKey || event.metaKey) this.toggle(index);
    // The first tap of a finger shows the card, and the second one opens the picture.
    else if (!touched || before === index) this.openCurrent();
  }

  openCurrent() {
    this.open(this.points.positions[this.current]);
  }

  toggle(index) {
    const { ids } = this.selection;
    const id = this.points.ids[index];
    this.area = null;
    this.selection.chooseIds(ids.has(id) ? [...ids].filter((other) => other !== id) : [...ids, id]);
  }

  /** Select the points inside of a polygon. With a highlighted category, only its points. */
  choose(corners, adding) {
    const inside = this.points.inside(corners).filter((index) => this.highlighted === null || this.highlighted === this.points.category(index, this.colouring));
    const ids = inside.map((index) => this.points.ids[index]);
    this.area = adding || this.highlighted !== null || !ids.length ? null : areaOf(this.points.revision, corners);
    this.selection.chooseIds(adding ? [...new Set([...this.selection.ids, ...ids])] : ids);
    this.tell(ids.length > LARGEST ? say("mapTooMany", { count: number(ids.length), most: number(LARGEST) }) : say("selectedCount", { count: number(ids.length) }));
  }

  tell(text) {
    $("map-status").textContent = text;
  }

  /** The selection has changed, here or by an action of the page. */
  onSelection() {
    if (!this.selection.size) this.area = null;
    $("map-list").hidden = !this.area;
    this.view.drawSoon();
  }

  /** Reviews were made or taken back. */
  onReviews() {
    if (!this.points) return;
    for (const [id, { review }] of this.list.changes) if (review !== undefined) this.points.note(id, review);
    if (this.isShown) this.redraw();
  }

  /** Show the pictures inside of the lasso in the list, where the other filters apply, too. */
  showInList() {
    pushState({ view: null, area: this.area, at: null, item: null, index: null });
    this.show();
  }

  focus(position) {
    $("map").focus({ preventScroll: true });
    if (position !== undefined && this.points) this.moveTo(this.points.positions.indexOf(position));
  }

  moveTo(index) {
    if (index < 0) return;
    this.view.reveal(index);
    this.current = -1;
    this.point(index);
    this.tell(say("mapPoint", { text: describe(this.points, index, this.look.names()), n: number(index + 1), total: number(this.points.length) }));
  }

  onKey(event) {
    if (!this.points || event.altKey) return;
    const command = event.ctrlKey || event.metaKey;
    const arrow = ARROWS[event.key];
    const actions = {
      "+": () => this.zoom(1.6),
      "=": () => this.zoom(1.6),
      "-": () => this.zoom(1 / 1.6),
      0: () => this.view.fit(),
      Enter: () => this.current >= 0 && this.openCurrent(),
      " ": () => this.current >= 0 && this.openCurrent(),
      s: () => this.current >= 0 && this.toggle(this.current),
      Escape: () => (this.selection.clear(), this.point(-1)),
    };
    if (arrow && event.shiftKey) this.view.pan(-arrow[0] * STEP, -arrow[1] * STEP);
    else if (arrow) this.moveTo(this.current < 0 ? this.points.nearest(this.view.x, this.view.y, Infinity) : this.points.nextTo(this.current, ...arrow));
    else if (command && event.key === "a") this.choose(this.corners(), false);
    else if (!command && event.key in actions) actions[event.key]();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** The corners of the part of the map that is in view. */
  corners() {
    const { width, height } = this.view;
    return simplified([[0, 0], [width, 0], [width, height], [0, height]].map(([px, py]) => this.view.placeOf(px, py)));
  }
}
