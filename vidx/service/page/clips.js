// The view of clips: the form, and the grid of what answers it.

import * as api from "./api.js";
import { askingForm } from "./asking.js";
import { CARD_PIXELS, card, cardHeight } from "./card.js";
import { chosen } from "./chosen.js";
import { openClip } from "./clip.js";
import { count, make, notice } from "./dom.js";
import { Grid } from "./grid.js";
import { FIRST_HITS, answers, compares, fromHash, toHash } from "./question.js";

const uploads = new Map(); // upload_id to the name of its file

let known; // labels and columns, read once

/** What was asked in this view last; "Clips" comes back to it. */
export let question = fromHash("");

/** Ask otherwise, from any view. */
export function ask(change) {
  location.hash = toHash({ ...question, ...change });
}

/** Search for a file of the user's. */
export async function searchFile(file) {
  notice(`Sending ${file.name}`);
  try {
    const { upload_id: id } = await api.upload(file);
    uploads.set(id, file.name);
    ask({ like: [`u${id}`], unlike: [], path: "" });
  } catch (problem) {
    notice(`${file.name}: ${problem.message}`, true);
  }
}

/** Show the clips that an address asks for. */
export async function showClips(view, hash) {
  question = fromHash(hash);
  await readKnown();
  const leaving = new AbortController();
  const told = make("p.told", { role: "status" }, compares(question) ? "Searching" : "");
  const grid = new Grid({
    cell: (clip) => card(clip, acts(grid)),
    width: CARD_PIXELS,
    height: cardHeight,
    next: answers(question, leaving.signal),
    label: compares(question) ? "Hits" : "Clips",
    failed: (problem) => problem.name !== "AbortError" && refuse(told, problem),
  });
  const key = keyOf(view.querySelector(".asking :focus"));
  const form = askingForm(question, known, ask, searchFile, uploads);
  view.replaceChildren(form, told, grid.element);
  [...form.querySelectorAll("input, select")].find((field) => keyOf(field) === key)?.focus();
  const redraw = () => grid.redraw();
  addEventListener("chosen", redraw);
  grid.begin().then(() => tell(told, grid));
  return () => {
    leaving.abort();
    removeEventListener("chosen", redraw);
    grid.end();
  };
}

/** What can be done with a clip, wherever it is shown. */
export function acts(grid) {
  return {
    open: (clip) => openClip(clip, grid?.rows ?? [clip], question, acts(grid)),
    similar: (clip) => ask({ like: [String(clip.clip_id)], unlike: [], path: "" }),
    like: (clip) => judge(clip, "like", "unlike"),
    unlike: (clip) => judge(clip, "unlike", "like"),
    chosen: (clipId) => chosen.has(clipId),
    choose: (clip, isOn, isRange) => chosen.put(clip, isOn, isRange ? grid?.rows : null),
  };
}

function judge(clip, side, other) {
  const name = String(clip.clip_id);
  ask({
    path: "", // it was for finding the example
    by: question.by === "segment" ? "clip" : question.by, // a mixture has no times
    [side]: [...new Set([...question[side], name])],
    [other]: question[other].filter((one) => one !== name),
  });
}

/** The labels that clips may have, and the columns of metadata. */
export async function readKnown() {
  if (!known) {
    const [labels, info] = await Promise.all([api.labels(), api.info()]);
    known = { labels, columns: info.metadata };
  }
  return known;
}

/** The columns have become more. */
export function forgetKnown() {
  known = undefined;
}

/** What tells a field from the others when the form is made anew, for the keyboard to stay. */
function keyOf(field) {
  return field && (field.getAttribute("aria-label") ?? `${field.type} ${field.value}`);
}

function tell(told, grid) {
  if (told.classList.contains("problem")) return;
  if (!grid.rows.length) told.textContent = emptyText();
  else if (compares(question)) told.textContent = hitsText(grid.rows);
  else told.textContent = "";
}

function emptyText() {
  const isAsked = compares(question) || question.where || question.label || question.path;
  return isAsked ? "No clip is so. Ask for less." : "There are no clips yet. Embed some videos.";
}

function hitsText(hits) {
  const [best] = hits;
  const partly = best.query_problem ? ` The query could be read in part only: ${best.query_problem.message}.` : "";
  const many = hits.length < FIRST_HITS ? count(hits.length, "hit") : `the best ${hits.length}; scroll for more`;
  return `Best score ${best.score.toFixed(3)}, ${many}.${partly}`;
}

function refuse(told, problem) {
  told.className = "told problem";
  told.setAttribute("role", "alert");
  told.textContent = problem.message;
}
