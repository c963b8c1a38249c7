// The views of videos and of failures.

import { pages, startJob } from "./api.js";
import { ask } from "./clips.js";
import { button, count, fileName, make, notice, quoted, time } from "./dom.js";
import { Grid } from "./grid.js";
import { NOTHING } from "./question.js";

const LINE_PIXELS = 64;

/** Show the videos. */
export function showVideos(view) {
  return showList(view, "Videos", pages("/videos"), videoLine, "There are no videos yet.");
}

/** Show what could not be embedded, and why. */
export function showFailures(view) {
  return showList(view, "Failures", pages("/failures"), failureLine, "All files could be embedded.");
}

/** Show a list, a line a row. */
export function showList(view, title, next, cell, emptyText) {
  const told = make("p.told", { role: "status" });
  const grid = new Grid({
    cell,
    width: 4000, // one column
    height: () => LINE_PIXELS,
    next,
    label: title,
    failed: (problem) => notice(problem.message, true),
  });
  grid.element.classList.add("lines");
  view.replaceChildren(make("h1", {}, title), told, grid.element);
  grid.begin().then(() => {
    if (!grid.rows.length) told.textContent = emptyText;
  });
  return () => grid.end();
}

function videoLine(video) {
  const { width, height, codec, duration_seconds: duration } = video;
  const its = video.path ? { path: video.path } : { where: `video_id = ${quoted(video.video_id)}` };
  const remark = video.problem_reason ?? video.notes.map((note) => note.reason ?? note).join(", ");
  return make(
    "div.row",
    {},
    button(fileName(video.path), () => ask({ ...NOTHING, ...its }), { title: video.path, className: "link" }),
    make("span", {}, `${count(video.num_clips, "clip")}, ${time(duration)}`),
    make("span.quiet", {}, [`${width}×${height} ${codec}`, remark].filter(Boolean).join(" · ")),
  );
}

function failureLine(failure) {
  const again = async () => {
    try {
      await startJob([failure.path], true);
      location.hash = "#jobs";
    } catch (problem) {
      notice(problem.message, true);
    }
  };
  return make(
    "div.row",
    {},
    button(`Try again`, again, { "aria-label": `Try ${fileName(failure.path)} again` }),
    make("span", { title: failure.path }, `${fileName(failure.path)} `, make("strong", {}, failure.reason.replaceAll("_", " "))),
    make("span.quiet", { title: failure.message }, `${failure.message} · ${count(failure.attempts, "attempt")}`),
  );
}
