// The page: which view is shown, videos that are dropped, and keys.

import { info } from "./api.js";
import { forgetKnown, question, searchFile, showClips } from "./clips.js";
import { count, fileName, notice } from "./dom.js";
import { showDuplicates } from "./duplicates.js";
import { showJobs } from "./jobs.js";
import { showFailures, showVideos } from "./lists.js";
import { showMap } from "./map.js";
import { toHash } from "./question.js";
import { showSnapshots } from "./snapshots.js";

const VIEWS = {
  clips: showClips,
  videos: showVideos,
  map: showMap,
  duplicates: showDuplicates,
  snapshots: showSnapshots,
  failures: showFailures,
  jobs: showJobs,
};
const view = document.getElementById("view");
let leave = () => {};
let turn = 0;

/** Show what the address says. */
async function show() {
  const mine = ++turn;
  const name = location.hash.slice(1).split("?")[0];
  const shown = name in VIEWS ? name : "clips";
  document.querySelectorAll("dialog.clip").forEach((dialog) => dialog.close());
  leave();
  leave = () => {};
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === shown) {
      link.setAttribute("aria-current", "page");
      // Not by scrollIntoView, which has the Tab key go on from there.
      const { parentElement: all, offsetLeft: left } = link;
      all.scrollLeft = left - all.offsetLeft - (all.clientWidth - link.offsetWidth) / 2;
    } else link.removeAttribute("aria-current");
  }
  const link = document.querySelector('nav a[data-view="clips"]');
  scrollTo(0, 0);
  try {
    const left = await VIEWS[shown](view, location.hash);
    if (mine === turn) leave = left;
    else left();
  } catch (problem) {
    notice(problem.message, true);
  }
  link.href = toHash(question);
}

async function tellCollection() {
  try {
    const told = await info();
    document.title = `${fileName(told.path)} – vidx`;
    const counts = `${count(told.num_clips, "clip")} of ${count(told.num_videos, "video")}`;
    document.getElementById("collection").textContent = `${fileName(told.path)}: ${counts}`;
  } catch (problem) {
    notice(problem.message, true);
  }
}

function takeDrops() {
  const veil = document.getElementById("drop");
  const holdsFile = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) veil.hidden = true;
  });
  addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!holdsFile(event)) return;
    event.preventDefault();
    if (event.dataTransfer.files[0]) searchFile(event.dataTransfer.files[0]);
  });
}

function takeKeys() {
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.matches("input, textarea, select")) return;
    const field = document.getElementById("wanted");
    if (!field) return;
    event.preventDefault();
    field.focus();
  });
}

addEventListener("hashchange", show);
addEventListener("tagged", forgetKnown);
addEventListener("embedded", tellCollection);
addEventListener("curated", tellCollection);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  (view.querySelector(".grid button") ?? view).focus();
});
takeDrops();
takeKeys();
tellCollection();
show();
