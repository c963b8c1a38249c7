// What of a map is in sight: moved and zoomed by pointer, wheel, fingers and keys, and lassos in it.

const LEAST_ZOOM = 0.5;
const MOST_ZOOM = 5000;
const KEY_PIXELS = 60;
const CLICK_PIXELS = 4;

/**
 * @param {HTMLCanvasElement} canvas What takes pointers and keys.
 * @param {number[]} box Of all points: least x, least y, most x, most y.
 * @param {object} hear moved(), lassoed(polygon in coordinates, isMore), pointed(x, y in
 *   pixels, or null), clicked(x, y in pixels), lassoing(polygon in pixels or null).
 */
export class Sight {
  constructor(canvas, box, hear) {
    Object.assign(this, { canvas, box, hear, isLasso: false, pointers: new Map() });
    this.whole();
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#up(event));
    canvas.addEventListener("pointerleave", () => hear.pointed(null));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Show all. */
  whole() {
    const [left, low, right, high] = this.box;
    this.centre = [(left + right) / 2, (low + high) / 2];
    this.zoom = 1;
  }

  /** Pixels of the page that a unit of coordinates takes. */
  get unit() {
    const [left, low, right, high] = this.box;
    const { clientWidth, clientHeight } = this.canvas;
    const fit = Math.min(clientWidth / (right - left || 1), clientHeight / (high - low || 1));
    return 0.92 * fit * this.zoom;
  }

  /** What takes coordinates to -1 to 1, as the graphics card has it. */
  get projection() {
    const { clientWidth, clientHeight } = this.canvas;
    const scale = [(2 * this.unit) / clientWidth, (2 * this.unit) / clientHeight];
    const shift = [-this.centre[0] * scale[0], -this.centre[1] * scale[1]];
    return { scale, shift, zoom: this.zoom };
  }

  /** Coordinates of a pixel. */
  at(x, y) {
    const { clientWidth, clientHeight } = this.canvas;
    return [this.centre[0] + (x - clientWidth / 2) / this.unit, this.centre[1] - (y - clientHeight / 2) / this.unit];
  }

  /** Everything in sight, as a polygon in coordinates. */
  get frame() {
    const { clientWidth: wide, clientHeight: high } = this.canvas;
    return [this.at(0, 0), this.at(wide, 0), this.at(wide, high), this.at(0, high)];
  }

  /** Move by pixels. */
  pan(right, down) {
    this.centre[0] -= right / this.unit;
    this.centre[1] += down / this.unit;
    this.hear.moved();
  }

  /** Zoom around a pixel, the middle unless another is given. */
  zoomBy(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const before = this.at(x, y);
    this.zoom = Math.min(Math.max(this.zoom * factor, LEAST_ZOOM), MOST_ZOOM);
    const after = this.at(x, y);
    this.centre = this.centre.map((one, axis) => one + before[axis] - after[axis]);
    this.hear.moved();
  }

  #down(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    const place = [event.offsetX, event.offsetY];
    this.pointers.set(event.pointerId, place);
    this.began = place;
    this.line = this.isLasso && this.pointers.size === 1 ? [place] : null;
  }

  #move(event) {
    const [x, y] = [event.offsetX, event.offsetY];
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse") this.hear.pointed(x, y);
      return;
    }
    this.hear.pointed(null);
    if (this.pointers.size === 2) this.#pinch(event.pointerId, before, [x, y]);
    else if (this.line) {
      this.line.push([x, y]);
      this.hear.lassoing(this.line);
    } else this.pan(x - before[0], y - before[1]);
    this.pointers.set(event.pointerId, [x, y]);
  }

  #pinch(pointerId, before, now) {
    this.line = null;
    this.hear.lassoing(null);
    const [, other] = [...this.pointers].find(([id]) => id !== pointerId);
    const apart = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]);
    this.zoomBy(apart(now) / Math.max(apart(before), 1), other[0], other[1]);
  }

  #up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    const { line, began } = this;
    this.line = null;
    this.hear.lassoing(null);
    if (event.type === "pointercancel" || this.pointers.size) return;
    const isClick = Math.hypot(event.offsetX - began[0], event.offsetY - began[1]) < CLICK_PIXELS;
    if (line && line.length > 2 && !isClick) {
      this.hear.lassoed(line.map(([x, y]) => this.at(x, y)), event.shiftKey);
    } else if (isClick) this.hear.clicked(event.offsetX, event.offsetY);
  }

  #wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    this.zoomBy(Math.exp(-event.deltaY * lines * 0.0015), event.offsetX, event.offsetY);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = {
      ArrowLeft: () => this.pan(KEY_PIXELS, 0),
      ArrowRight: () => this.pan(-KEY_PIXELS, 0),
      ArrowUp: () => this.pan(0, KEY_PIXELS),
      ArrowDown: () => this.pan(0, -KEY_PIXELS),
      "+": () => this.zoomBy(1.4),
      "-": () => this.zoomBy(1 / 1.4),
      0: () => {
        this.whole();
        this.hear.moved();
      },
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }
}

/**
 * Which points lie in a polygon.
 * @param {Float32Array} places x and y of each, in pairs.
 * @param {number[][]} polygon Corners; the last is joined to the first.
 * @returns {number[]} Their places.
 */
export function within(places, polygon) {
  const [xs, ys] = [polygon.map(([x]) => x), polygon.map(([, y]) => y)];
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const found = [];
  for (let place = 0; place < places.length / 2; place++) {
    const [x, y] = [places[2 * place], places[2 * place + 1]];
    if (x < left || x > right || y < low || y > high) continue;
    let isIn = false;
    for (let one = 0, other = xs.length - 1; one < xs.length; other = one++) {
      const crosses = ys[one] > y !== ys[other] > y;
      if (crosses && x < ((xs[other] - xs[one]) * (y - ys[one])) / (ys[other] - ys[one]) + xs[one]) isIn = !isIn;
    }
    if (isIn) found.push(place);
  }
  return found;
}

/** The place of the point that is nearest to coordinates, at most so far away; -1 where none is. */
export function nearest(places, [x, y], distance) {
  let [found, least] = [-1, distance * distance];
  for (let place = 0; place < places.length / 2; place++) {
    const [right, up] = [places[2 * place] - x, places[2 * place + 1] - y];
    const apart = right * right + up * up;
    if (apart <= least) [found, least] = [place, apart];
  }
  return found;
}
