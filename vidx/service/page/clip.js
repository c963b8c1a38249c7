// One clip, large: what is known of it, its place in its video, and its neighbours.

import * as api from "./api.js";
import { card, label } from "./card.js";
import { button, fileName, make, notice, span } from "./dom.js";
import { drop, player } from "./player.js";
import { body, compares } from "./question.js";
import { Strip } from "./strip.js";

const NUM_NEIGHBOURS = 12;
const MOST_HITS = 1000;
const KNOWN = new Set(
  "clip_id video_id path start_seconds end_seconds labels rank score locations query_start_seconds query_end_seconds likeness query_problem background_share num_clips".split(" "),
);

/**
 * Show a clip over the page.
 * @param {object} clip A clip, a hit or a segment.
 * @param {object[]} rows The list it is from, in which the arrow keys go on.
 * @param {object} question What is asked: the strip marks its matches.
 * @param {object} acts As `card` takes them.
 */
export function openClip(clip, rows, question, acts) {
  const dialog = make("dialog.clip", { "aria-label": "A clip" });
  let video;
  const show = (next) => {
    if (video) drop(video);
    clip = next;
    video = player(next, { controls: true, poster: api.preview(next.clip_id) });
    dialog.replaceChildren(...parts(next, video, question, within, show, () => dialog.close()));
  };
  const leaveFor = (act) => (one) => {
    dialog.close();
    act(one);
  };
  const within = {
    ...acts,
    open: show,
    similar: leaveFor(acts.similar),
    like: leaveFor(acts.like),
    unlike: leaveFor(acts.unlike),
  };
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const isElsewhere = event.target.closest("video, input, .strip, .neighbours");
    const place = rows.findIndex((one) => one.clip_id === clip.clip_id);
    if (!step || isElsewhere || place < 0 || !rows[place + step]) return;
    event.preventDefault();
    show(rows[place + step]);
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    drop(video);
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  show(clip);
}

function parts(clip, video, question, acts, show, close) {
  const facts = make("dl.facts");
  const neighbours = make("div.neighbours", { role: "list", "aria-label": "Similar clips" });
  const strip = make("section", { "aria-label": "Clips of its video" });
  fillFacts(facts, clip).catch(refuse);
  fillNeighbours(neighbours, clip, acts).catch(refuse);
  fillStrip(strip, clip, question, show).catch(refuse);
  return [
    make(
      "header",
      {},
      make("h2", { title: clip.path }, `${fileName(clip.path)}, ${span(clip)}`),
      button("Similar", () => acts.similar(clip), { className: "main" }),
      button("More like this", () => acts.like(clip)),
      button("Less like this", () => acts.unlike(clip)),
      button("×", close, { "aria-label": "Close", className: "close" }),
    ),
    make("div.large", {}, video, facts),
    strip,
    make("h3", {}, "Similar clips of other videos"),
    neighbours,
  ];
}

async function fillFacts(facts, clip) {
  const told = await api.clip(clip.clip_id);
  const fact = (name, ...values) => facts.append(make("dt", {}, name), make("dd", {}, ...values));
  fact("clip", String(told.clip_id));
  fact("path", make("span.path", {}, told.path ?? "gone"));
  if ("score" in clip) fact("score", clip.score.toFixed(4));
  if ("num_clips" in clip) {
    const of = { start_seconds: clip.query_start_seconds, end_seconds: clip.query_end_seconds };
    fact("of the query", span(of));
  }
  if (told.labels.length) fact("labels", ...told.labels.map(label));
  for (const [name, value] of Object.entries(told)) {
    if (KNOWN.has(name) || value === null) continue;
    fact(name.replaceAll("_", " "), typeof value === "number" && value % 1 ? value.toPrecision(4) : String(value));
  }
}

async function fillNeighbours(neighbours, clip, acts) {
  const { hits } = await api.search({ query: { clip_id: clip.clip_id }, k: NUM_NEIGHBOURS, exclude_self: true });
  const cards = hits.map((hit) => make("div", { role: "listitem" }, card(hit, acts)));
  neighbours.replaceChildren(...(cards.length ? cards : [make("p.empty", {}, "There are none.")]));
}

/** All clips of the video; those that match what is asked are marked, else those like this one. */
async function fillStrip(section, clip, question, show) {
  const asked = compares(question) ? { ...question, by: "clip", others: false } : null;
  const of = asked ?? { like: [String(clip.clip_id)], unlike: [], by: "clip", likeness: "similar", where: "", label: "", path: "" };
  const inVideo = `video_id = '${clip.video_id}'`;
  const search = body({ ...of, where: of.where.trim() ? `(${of.where}) and ${inVideo}` : inVideo }, MOST_HITS);
  const [clips, { hits }] = await Promise.all([
    api.all(`/videos/${clip.video_id}/clips`),
    api.search(search),
  ]);
  const scores = new Map(hits.filter((hit) => hit.score >= (asked?.least ?? -1)).map((hit) => [hit.clip_id, hit.score]));
  clips.sort((a, b) => a.start_seconds - b.start_seconds);
  const strip = new Strip(clips, scores, clip, show);
  const told = asked ? "bars: how well each matches what is asked" : "bars: how similar each is to this one";
  section.replaceChildren(make("h3", {}, `The whole video, ${told}`), strip.element);
  strip.draw();
}

function refuse(problem) {
  notice(problem.message, true);
}
