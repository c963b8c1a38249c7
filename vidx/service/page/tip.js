// A small picture beside the pointer: which clip a point of the map is.

import { preview } from "./api.js";
import { make } from "./dom.js";

const [AWAY, WIDE] = [14, 190]; // pixels

export class Tip {
  constructor() {
    this.picture = make("img", { alt: "", decoding: "async" });
    this.text = make("span");
    this.element = make("div.tip", { hidden: true, "aria-hidden": "true" }, this.picture, this.text);
  }

  /** Show a clip beside a pixel. */
  show(clipId, name, x, y) {
    if (this.clipId !== clipId) {
      this.clipId = clipId;
      this.picture.src = preview(clipId);
      this.text.textContent = name ? `clip ${clipId}, ${name}` : `clip ${clipId}`;
    }
    const isRight = x + AWAY + WIDE > this.element.parentElement.clientWidth;
    this.element.hidden = false;
    this.element.style.transform = `translate(${isRight ? x - AWAY - WIDE : x + AWAY}px, ${y + AWAY}px)`;
  }

  hide() {
    this.element.hidden = true;
  }
}
