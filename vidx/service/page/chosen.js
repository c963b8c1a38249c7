// The clips that are selected, and the bar with what can be done with all of them.

import { ask, setMetadata } from "./api.js";
import { button, count, make, notice } from "./dom.js";

const clips = new Map(); // clip_id to the clip
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
  return make(
    "section",
    { "aria-label": "Selected clips" },
    make("output", {}, count(clips.size, "clip")),
    tagging,
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

/** What is typed, as its column has it; of a new column a number where it is one. */
function typed(text, type) {
  if (type === "text" || type === "timestamp") return text;
  if (text === "true" || text === "false") return text === "true";
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

function saveTable() {
  const cell = (value) => `"${String(value ?? "").replaceAll('"', '""')}"`;
  const columns = ["clip_id", "path", "start_seconds", "end_seconds"];
  const lines = [...clips.values()].map((clip) => columns.map((name) => cell(clip[name])).join(","));
  const file = new Blob([[columns.join(","), ...lines, ""].join("\n")], { type: "text/csv" });
  const link = make("a", { href: URL.createObjectURL(file), download: "clips.csv" });
  link.click();
  URL.revokeObjectURL(link.href);
}
