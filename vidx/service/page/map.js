// The view of the map: where clips lie beside each other, by colours; a lasso selects.

import * as api from "./api.js";
import { CARD_PIXELS, card, cardHeight } from "./card.js";
import { chosen } from "./chosen.js";
import { acts, readKnown } from "./clips.js";
import { button, count, far, make, notice } from "./dom.js";
import { Grid } from "./grid.js";
import { byName, legend, paints } from "./legend.js";
import { Points } from "./points.js";
import { Sight, nearest, within } from "./sight.js";
import { Tip } from "./tip.js";

const AT_A_TIME = 100; // clips that are asked for by their ids
const NEAR_PIXELS = 12;
const KEYS = "Arrow keys move, + and − zoom, 0 shows all, s selects what is in sight";

/** Show the map that an address asks for, such as "#map?colour=cluster". */
export async function showMap(view, hash) {
  const given = new URLSearchParams(hash.split("?")[1]);
  const asked = {
    colour: given.get("colour") ?? "label",
    method: given.get("method") ?? "pca",
    where: given.get("where") ?? "",
  };
  const leaving = new AbortController();
  const told = make("p.told", { role: "status" }, "Looking");
  const { columns } = await readKnown();
  view.replaceChildren(make("h1", {}, "Map"), form(asked, columns), told);
  let drawn;
  load(asked, leaving.signal, (how) => (told.textContent = far(how)))
    .then((points) => {
      if (!leaving.signal.aborted) drawn = new Drawn(view, told, points);
    })
    .catch((problem) => problem.name !== "AbortError" && refuse(told, problem));
  return () => {
    leaving.abort();
    drawn?.end();
  };
}

function form(asked, columns) {
  const go = () => {
    const chosen = { colour: colour.value, method: method.value, where: where.value };
    location.hash = `#map?${queryOf(chosen)}`;
  };
  const option = (value, text, now) => make("option", { value, selected: value === now }, text);
  const fit = columns.filter((one) => ["text", "integer", "boolean"].includes(one.type));
  const colour = make(
    "select",
    { onchange: go },
    option("label", "label", asked.colour),
    option("cluster", "cluster", asked.colour),
    ...fit.map((one) => option(one.name, one.name, asked.colour)),
  );
  const method = make(
    "select",
    { onchange: go },
    option("pca", "differences (PCA)", asked.method),
    option("umap", "neighbours (UMAP)", asked.method),
  );
  const where = make("input", {
    type: "text",
    value: asked.where,
    spellcheck: false,
    placeholder: "where: motion > 0.02 and width >= 640",
    "aria-label": "Where, an expression",
    onchange: go,
  });
  return make(
    "form.asking",
    { onsubmit: (event) => event.preventDefault() },
    make(
      "div.line",
      {},
      make("label", {}, "colours by", colour),
      make("label", {}, "laid out by", method),
      where,
    ),
  );
}

/** What is asked, without what is empty. */
function queryOf({ colour, method, where }) {
  return new URLSearchParams({ colour, method, ...(where.trim() && { where }) });
}

/** The map in numbers; `answering.py` says how they lie. */
async function load(asked, signal, tell) {
  const bytes = await api.askBytes(`/map/points?${queryOf(asked)}`, { signal, tell });
  const length = new DataView(bytes).getUint32(0, true);
  const { num_clips: number, names } = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  const begin = 4 + length;
  return {
    ids: Float64Array.from(new BigInt64Array(bytes, begin, number), Number),
    places: new Float32Array(bytes, begin + 8 * number, 2 * number),
    colours: new Uint16Array(bytes, begin + 16 * number, number),
    names,
  };
}

/** A map that is there. */
class Drawn {
  constructor(view, told, points) {
    Object.assign(this, points, { told });
    this.canvas = make("canvas.map", {
      tabIndex: 0,
      role: "application",
      "aria-label": `Map of ${count(this.ids.length, "clip")}`,
      "aria-describedby": "map-keys",
    });
    this.line = make("canvas.lasso", { "aria-hidden": "true" });
    this.tip = new Tip();
    this.shown = make("section", { "aria-label": "Selected on the map" });
    this.board = make("div.board", {}, this.canvas, this.line, this.tip.element);
    view.append(this.#tools(), make("div.map-and-legend", {}, this.board, this.#legend()), this.shown);
    told.textContent = `${count(this.ids.length, "clip")}. Drag to move, scroll to zoom; the lasso selects.`;
    this.points = new Points(this.canvas, this.places);
    this.sight = new Sight(this.canvas, boxOf(this.places), {
      moved: () => this.#draw(),
      lassoed: (polygon, isMore) => this.#choose(within(this.places, polygon), isMore),
      lassoing: (line) => drawLine(this.line, line),
      pointed: (x, y) => this.#point(x, y),
      clicked: (x, y) => this.#open(x, y),
    });
    this.repaint = () => this.#paint();
    addEventListener("chosen", this.repaint);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.scheme.addEventListener("change", this.repaint);
    this.resized = new ResizeObserver(() => this.#fit());
    this.resized.observe(this.board);
    this.#fit();
    this.#paint();
    this.#show(chosen.ids());
  }

  end() {
    removeEventListener("chosen", this.repaint);
    this.scheme.removeEventListener("change", this.repaint);
    this.resized.disconnect();
    this.grid?.end();
    this.points.end();
  }

  #tools() {
    const lasso = make("input", { type: "checkbox", onchange: () => this.#take(lasso.checked) });
    const chooseSight = () => this.#choose(within(this.places, this.sight.frame));
    this.canvas.addEventListener("keydown", (event) => {
      if (event.key === "s" && !event.ctrlKey && !event.metaKey && !event.altKey) chooseSight();
    });
    return make(
      "div.line.map-tools",
      {},
      make("label.toggle", {}, lasso, "Lasso"),
      button("Select what is in sight", chooseSight),
      button("+", () => this.sight.zoomBy(1.4), { "aria-label": "Zoom in" }),
      button("−", () => this.sight.zoomBy(1 / 1.4), { "aria-label": "Zoom out" }),
      button("Show all", () => {
        this.sight.whole();
        this.#draw();
      }),
      make("span.quiet", { id: "map-keys" }, KEYS),
    );
  }

  #take(isLasso) {
    this.sight.isLasso = isLasso;
    this.canvas.classList.toggle("takes-lasso", isLasso);
  }

  #legend() {
    return legend(this.names, this.colours, (colour) => this.#choose(byName(this.colours, colour)));
  }

  #fit() {
    const share = globalThis.devicePixelRatio || 1;
    for (const one of [this.canvas, this.line]) {
      one.width = Math.round(this.board.clientWidth * share);
      one.height = Math.round(this.board.clientHeight * share);
    }
    this.#draw();
  }

  #draw() {
    this.points.draw(this.sight.projection);
  }

  #paint() {
    this.points.paint(paints(this.colours, this.names.length, this.ids, chosen));
    this.#draw();
  }

  #choose(places, isMore = false) {
    const ids = places.map((place) => this.ids[place]);
    chosen.putIds(ids, isMore);
    this.#show(isMore ? chosen.ids() : ids);
    if (!ids.length) notice("No clip lies there.");
  }

  /** Some clips as cards below the map. */
  #show(ids) {
    this.grid?.end();
    const left = [...ids];
    if (!left.length) {
      this.shown.replaceChildren();
      return;
    }
    const grid = new Grid({
      cell: (clip) => card(clip, acts(grid)),
      width: CARD_PIXELS,
      height: cardHeight,
      next: async () => (left.length ? api.clipsOf(left.splice(0, AT_A_TIME)) : null),
      label: "Selected clips",
      failed: (problem) => notice(problem.message, true),
    });
    this.grid = grid;
    this.shown.replaceChildren(make("h2.on-map", {}, `${count(ids.length, "clip")} of the map`), grid.element);
    grid.begin();
  }

  #at(x, y) {
    return nearest(this.places, this.sight.at(x, y), NEAR_PIXELS / this.sight.unit);
  }

  #point(x, y) {
    const place = x === null || this.sight.isLasso ? -1 : this.#at(x, y);
    this.canvas.classList.toggle("points", place >= 0);
    if (place < 0) this.tip.hide();
    else this.tip.show(this.ids[place], this.names[this.colours[place]], x, y);
  }

  async #open(x, y) {
    const place = this.#at(x, y);
    if (place < 0) return;
    try {
      acts(null).open(await api.clip(this.ids[place]));
    } catch (problem) {
      notice(problem.message, true);
    }
  }
}

function boxOf(places) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (let at = 0; at < places.length; at += 2) {
    box[0] = Math.min(box[0], places[at]);
    box[1] = Math.min(box[1], places[at + 1]);
    box[2] = Math.max(box[2], places[at]);
    box[3] = Math.max(box[3], places[at + 1]);
  }
  return box;
}

function drawLine(canvas, line) {
  const pen = canvas.getContext("2d");
  const share = canvas.width / canvas.clientWidth;
  pen.setTransform(share, 0, 0, share, 0, 0);
  pen.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  if (!line) return;
  pen.beginPath();
  for (const [x, y] of line) pen.lineTo(x, y);
  pen.closePath();
  pen.strokeStyle = getComputedStyle(canvas).color;
  pen.fillStyle = pen.strokeStyle;
  pen.lineWidth = 2;
  pen.stroke();
  pen.globalAlpha = 0.12;
  pen.fill();
  pen.globalAlpha = 1;
}

function refuse(told, problem) {
  told.className = "told problem";
  told.setAttribute("role", "alert");
  told.textContent = problem.message;
}
