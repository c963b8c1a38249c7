// The clips that are selected, and the bar with what can be done with all of them.

import { ask, clipsOf, saveSnapshot, setMetadata } from "./api.js";
import { button, count, make, notice } from "./dom.js";

const AT_A_TIME = 200; // clips that are asked for by their ids
const clips = new Map(); // clip_id to the clip, or to {clip_id} where no more is known
let last = null;

export const chosen = {
  has: (clipId) => clips.has(clipId),

  /** Select a clip or not; with rows, all from the last one that was clicked. */
  put(clip, isOn, rows = null) {
    for (const one of rows ? between(rows, last, clip) : [clip]) {
      if (isOn) clips.set(one.clip_id, one);
      else clips.delete(one.clip_id);
    }
    last = clip;
    changed(Boolean(rows));
  },

  /** Select clips of which the ids are known; the others stay if they are to be added to. */
  putIds(ids, isMore) {
    if (!isMore) clips.clear();
    for (const id of ids) if (!clips.has(id)) clips.set(id, { clip_id: id });
    changed(true);
  },

  ids: () => [...clips.keys()],

  clear() {
    clips.clear();
    changed(true);
  },
};

function between(rows, from, to) {
  const places = [from, to].map((clip) => rows.findIndex((one) => one.clip_id === clip?.clip_id));
  const [first, end] = places.sort((a, b) => a - b);
  return first < 0 ? [to] : rows.slice(first, end + 1);
}

function changed(isMany) {
  const bar = document.getElementById("selected");
  if (!clips.size) bar.replaceChildren();
  else if (bar.firstChild) bar.querySelector("output").textContent = count(clips.size, "clip");
  else bar.append(drawBar());
  if (isMany) dispatchEvent(new Event("chosen"));
}

function drawBar() {
  const name = make("input", { required: true, placeholder: "column", "aria-label": "Column", maxLength: 200 });
  const value = make("input", { required: true, placeholder: "value", "aria-label": "Value" });
  const tagging = make(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        tag(name.value.trim(), value.value.trim());
      },
    },
    name,
    value,
    make("button.main", {}, "Tag"),
  );
  const called = make("input", { required: true, placeholder: "name", "aria-label": "Name of the snapshot", maxLength: 200 });
  const saving = make(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        keep(called.value.trim());
      },
    },
    called,
    make("button.main", {}, "Save snapshot"),
  );
  return make(
    "section",
    { "aria-label": "Selected clips" },
    make("output", {}, count(clips.size, "clip")),
    tagging,
    saving,
    button("Save as CSV", saveTable),
    button("Clear", () => chosen.clear()),
  );
}

async function tag(column, text) {
  const ids = [...clips.keys()];
  try {
    const { columns } = await ask("/metadata");
    const value = typed(text, columns.find((one) => one.name === column)?.type);
    const report = await setMetadata({ clip_id: ids, [column]: ids.map(() => value) });
    notice(`Set ${column} of ${count(report.num_keys, "clip")}.`);
    dispatchEvent(new Event("tagged"));
  } catch (problem) {
    notice(problem.message, true);
  }
}

async function keep(name) {
  try {
    const report = await saveSnapshot(name, [...clips.keys()]);
    notice(`Saved ${count(report.num_clips, "clip")} as ${report.name}.`);
    dispatchEvent(new Event("saved"));
  } catch (problem) {
    notice(problem.message, true);
  }
}

/** What is typed, as its column has it; of a new column a number where it is one. */
function typed(text, type) {
  if (type === "text" || type === "timestamp") return text;
  if (text === "true" || text === "false") return text === "true";
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

async function saveTable() {
  try {
    await fillIn();
  } catch (problem) {
    notice(problem.message, true);
    return;
  }
  const cell = (value) => `"${String(value ?? "").replaceAll('"', '""')}"`;
  const columns = ["clip_id", "path", "start_seconds", "end_seconds"];
  const lines = [...clips.values()].map((clip) => columns.map((name) => cell(clip[name])).join(","));
  const file = new Blob([[columns.join(","), ...lines, ""].join("\n")], { type: "text/csv" });
  const link = make("a", { href: URL.createObjectURL(file), download: "clips.csv" });
  link.click();
  URL.revokeObjectURL(link.href);
}

/** Ask for the clips of which only the ids are known. */
async function fillIn() {
  const unknown = [...clips.values()].filter((one) => one.path === undefined).map((one) => one.clip_id);
  for (let first = 0; first < unknown.length; first += AT_A_TIME) {
    for (const clip of await clipsOf(unknown.slice(first, first + AT_A_TIME))) clips.set(clip.clip_id, clip);
  }
}
