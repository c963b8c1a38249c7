// The colours of a map, and what they stand for.

import { button, count, make } from "./dom.js";

// Apart from each other on light and on dark ground.
const COLOURS = ["#3b7dd8", "#e07b1a", "#2f9e6e", "#c8475c", "#8a63d2", "#a9892a", "#26a0b5", "#d465ad", "#6f8f2c", "#9a6a4f", "#5566c4"];
const OTHER = "#8b9197";
const [CLEAR, DIM] = [190, 40]; // of 255: how opaque points are that are selected, and that are not
const NAMES = COLOURS.length;

/**
 * What the colours stand for, as buttons that select.
 * @param {string[]} names Of colours, the most frequent first.
 * @param {Uint16Array} colours Of each point, its place among the names.
 * @param {(colour: number|null) => void} choose Told which one is wanted; null: all behind the last.
 */
export function legend(names, colours, choose) {
  const counts = new Float64Array(names.length + 1);
  for (const colour of colours) counts[colour]++;
  const entry = (name, number, colour, css) => {
    const swatch = make("span.swatch", { "aria-hidden": "true" });
    swatch.style.background = css;
    const what = button("", () => choose(colour), { "aria-label": `Select ${name}, ${count(number, "clip")}`, title: `Select ${name}` });
    what.append(swatch, make("span", {}, name), make("span.quiet", {}, number.toLocaleString("en")));
    return make("li", {}, what);
  };
  const told = names.slice(0, NAMES).map((name, place) => entry(name, counts[place], place, COLOURS[place]));
  const rest = counts.slice(NAMES).reduce((sum, one) => sum + one, 0);
  const none = names.length <= NAMES ? counts[names.length] : 0;
  if (names.length > NAMES && rest) told.push(entry("others", rest, null, OTHER));
  else if (none) told.push(entry("without", none, names.length, OTHER));
  return make("ul.legend", { "aria-label": "Colours" }, ...told);
}

/** The places of the points of a colour; null: of all that have none of their own. */
export function byName(colours, wanted) {
  const found = [];
  for (let place = 0; place < colours.length; place++) {
    if (colours[place] === wanted || (wanted === null && colours[place] >= NAMES)) found.push(place);
  }
  return found;
}

/** The bytes that `Points.paint` takes; where some clips are selected the others are dim. */
export function paints(colours, numNames, ids, chosen) {
  const words = [...COLOURS.slice(0, Math.min(NAMES, numNames)), OTHER].map(wordOf);
  const isAny = chosen.ids().length > 0;
  const painted = new Uint32Array(colours.length);
  for (let place = 0; place < colours.length; place++) {
    const word = words[Math.min(colours[place], words.length - 1)];
    painted[place] = word[isAny && !chosen.has(ids[place]) ? 1 : 0];
  }
  return painted;
}

/** A colour as the graphics card reads it, clear and dim. */
function wordOf(css) {
  const bytes = [1, 3, 5].map((at) => parseInt(css.slice(at, at + 2), 16));
  return [CLEAR, DIM].map((alpha) => new Uint32Array(new Uint8Array([...bytes, alpha]).buffer)[0]);
}
