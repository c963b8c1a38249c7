// A clip in a grid: a picture that plays, what is known of it, and what can be done with it.

import { preview } from "./api.js";
import { button, fileName, make, span } from "./dom.js";
import { drop, player } from "./player.js";

/** The least width of a card, in pixels. */
export const CARD_PIXELS = 232;
const CAPTION_PIXELS = 96;
const HOVER_MILLISECONDS = 120; // a pointer that passes over plays nothing

/** The height that a card of a width has. */
export const cardHeight = (width) => Math.round(((width - 16) * 9) / 16) + CAPTION_PIXELS;

/**
 * A card of a clip, a hit or a segment.
 * @param {object} clip As the API tells it.
 * @param {object} acts open, similar, like, unlike, choose: functions of the clip; chosen: of its id.
 */
export function card(clip, acts) {
  const name = `${fileName(clip.path)}, ${span(clip)}`;
  const picture = make("img", { src: preview(clip.clip_id), alt: "", decoding: "async" });
  const shown = make(
    "button.picture",
    { type: "button", onclick: () => acts.open(clip), "aria-label": `Open ${name}` },
    picture,
    "score" in clip && make("span.score", { title: scoreTitle(clip) }, clip.score.toFixed(3)),
    make("span.time", {}, span(clip)),
  );
  const box = make("input", {
    type: "checkbox",
    checked: acts.chosen(clip.clip_id),
    "aria-label": `Select ${name}`,
    onclick: (event) => acts.choose(clip, event.target.checked, event.shiftKey),
  });
  const whole = make(
    "article.card",
    { onkeydown: (event) => onKey(event, clip, acts, box) },
    shown,
    make("div.file", {}, make("label.box", {}, box), make("span", { title: clip.path }, fileName(clip.path))),
    make("p.labels", {}, ...clip.labels.slice(0, 2).map(label)),
    tools(clip, acts, name),
  );
  playOn(shown, clip);
  return whole;
}

/** A label with its share as the length of a line. */
export function label({ name, score }) {
  const told = make("span.label", { title: `${name} ${score.toFixed(3)}` }, name);
  told.style.setProperty("--share", score);
  return told;
}

function tools(clip, acts, name) {
  const tool = (text, said, act) =>
    button(text, () => act(clip), { "aria-label": `${said} ${name}`, title: said });
  return make(
    "div.tools",
    {},
    tool("Similar", "Find what is similar to", acts.similar),
    tool("+", "More like", acts.like),
    tool("−", "Less like", acts.unlike),
  );
}

function onKey(event, clip, acts, box) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const act = { s: acts.similar, "+": acts.like, l: acts.like, "-": acts.unlike, u: acts.unlike }[event.key];
  if (act) act(clip);
  else if (event.key === "x") box.click();
  else return;
  event.preventDefault();
}

function scoreTitle({ score, background_share: share }) {
  const told = `Cosine similarity ${score.toFixed(4)}`;
  if (share === null || share === undefined) return told;
  return `${told}; ${(share * 100).toPrecision(2)} % of random pairs here are closer`;
}

/** Play while the pointer is over it, or the keyboard is at it. */
export function playOn(shown, clip) {
  let timer, video;
  const stop = () => {
    clearTimeout(timer);
    if (video) drop(video);
    video = undefined;
  };
  const start = () => {
    stop();
    timer = setTimeout(() => {
      video = player(clip, { onplaying: (event) => event.target.classList.add("plays") });
      shown.querySelector("img").after(video);
    }, HOVER_MILLISECONDS);
  };
  const startByKeyboard = () => {
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (shown.matches(":focus-visible") && !isCalm) start();
  };
  shown.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && start());
  shown.addEventListener("pointerleave", stop);
  shown.addEventListener("focus", startByKeyboard);
  shown.addEventListener("blur", stop);
}
