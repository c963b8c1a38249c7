// All clips of one video in a line, of which only those in sight exist, and their scores above.

import { preview } from "./api.js";
import { make, span } from "./dom.js";

const THUMB_PIXELS = 112;
const MARGIN = 3;

/**
 * A strip of clips.
 * @param {object[]} clips In the order of time.
 * @param {Map<number, number>} scores By clip_id; clips without one do not match.
 * @param {object} current The one that is shown.
 * @param {(clip: object) => void} show Told which one is wanted.
 */
export class Strip {
  constructor(clips, scores, current, show) {
    Object.assign(this, { clips, scores, current, show });
    const found = [...scores.values()];
    [this.least, this.most] = [Math.min(...found), Math.max(...found)];
    this.thumbs = new Map();
    this.line = make("div.line-of-clips");
    this.window = make("div.strip", { onscroll: () => this.#put(), tabIndex: -1 }, this.line);
    this.overview = make("canvas", {
      height: 36,
      onclick: (event) => this.#jump(event.offsetX / this.overview.clientWidth),
      role: "img",
      "aria-label": `${scores.size} of ${clips.length} clips match`,
    });
    this.element = make("div", {}, this.overview, this.window);
    this.window.addEventListener("keydown", (event) => this.#walk(event));
  }

  /** Draw it, once it is in the page. */
  draw() {
    this.line.style.width = `${this.clips.length * THUMB_PIXELS}px`;
    this.place = Math.max(0, this.clips.findIndex((one) => one.clip_id === this.current.clip_id));
    this.window.scrollLeft = (this.place + 0.5) * THUMB_PIXELS - this.window.clientWidth / 2;
    this.#drawOverview();
    this.#put();
  }

  /** How well a clip matches, 0 to 1 between the worst and the best of this video; null: not. */
  #share(clip) {
    const score = this.scores.get(clip.clip_id);
    if (score === undefined) return null;
    return this.most > this.least ? (score - this.least) / (this.most - this.least) : 1;
  }

  #drawOverview() {
    const { overview, clips } = this;
    overview.width = overview.clientWidth * devicePixelRatio;
    overview.height = 36 * devicePixelRatio;
    const pen = overview.getContext("2d");
    const style = getComputedStyle(overview);
    const each = overview.width / clips.length;
    clips.forEach((clip, place) => {
      const share = this.#share(clip);
      const isCurrent = clip.clip_id === this.current.clip_id;
      pen.fillStyle = isCurrent ? style.getPropertyValue("--mark") : style.color;
      pen.globalAlpha = share === null ? 0.15 : 1;
      const high = overview.height * (share === null ? 0.06 : 0.12 + 0.88 * share);
      pen.fillRect(place * each, overview.height - high, Math.max(each - 1, 1), high);
    });
  }

  #put() {
    const first = Math.floor(this.window.scrollLeft / THUMB_PIXELS) - MARGIN;
    const last = Math.ceil((this.window.scrollLeft + this.window.clientWidth) / THUMB_PIXELS) + MARGIN;
    for (const [place, thumb] of this.thumbs) {
      if ((place < first || place >= last) && thumb !== document.activeElement) {
        thumb.remove();
        this.thumbs.delete(place);
      }
    }
    for (let place = Math.max(0, first); place < Math.min(last, this.clips.length); place++) {
      if (!this.thumbs.has(place)) this.line.append(this.#thumb(place));
    }
  }

  #thumb(place) {
    const clip = this.clips[place];
    const score = this.scores.get(clip.clip_id);
    const thumb = make(
      score === undefined ? "button" : "button.matches",
      {
        type: "button",
        onclick: () => this.show(clip),
        tabIndex: place === this.place ? 0 : -1,
        "aria-label": `${span(clip)}${score === undefined ? "" : `, score ${score.toFixed(3)}`}`,
        "aria-current": clip.clip_id === this.current.clip_id ? "true" : null,
        "data-place": place,
      },
      make("img", { src: preview(clip.clip_id), alt: "", decoding: "async" }),
      make("span", {}, score === undefined ? span(clip).split(" ")[0] : score.toFixed(2)),
    );
    thumb.style.left = `${place * THUMB_PIXELS}px`;
    thumb.style.setProperty("--share", this.#share(clip) ?? 0);
    this.thumbs.set(place, thumb);
    return thumb;
  }

  #jump(share) {
    this.window.scrollLeft = share * this.clips.length * THUMB_PIXELS - this.window.clientWidth / 2;
  }

  #walk(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const place = Number(event.target.dataset?.place) + step;
    if (!step || !this.clips[place]) return;
    event.preventDefault();
    const left = place * THUMB_PIXELS;
    const { scrollLeft, clientWidth } = this.window;
    if (left < scrollLeft) this.window.scrollLeft = left;
    if (left + THUMB_PIXELS > scrollLeft + clientWidth) this.window.scrollLeft = left + THUMB_PIXELS - clientWidth;
    this.#put();
    this.thumbs.get(place).focus({ preventScroll: true });
  }
}
