// The view of jobs: have videos embedded, and see how far that is.

import * as api from "./api.js";
import { button, count, make, notice } from "./dom.js";

/** Show the jobs. */
export async function showJobs(view) {
  const list = make("ul.jobs", { "aria-label": "Jobs" });
  const none = make("p.told", {});
  const followed = new Map(); // job_id to its events
  const follow = (job) => {
    none.textContent = "";
    const item = make("li", {}, ...told(job));
    list.prepend(item);
    if (job.status !== "running") return;
    const events = new EventSource(`/v1/jobs/${job.job_id}/events`);
    const hear = (event) => {
      const state = JSON.parse(event.data);
      if (state.status === "running" && update(item, state)) return;
      item.replaceChildren(...told(state));
      if (state.status !== "running") {
        events.close();
        dispatchEvent(new Event("embedded"));
      }
    };
    for (const status of ["running", "done", "failed", "cancelled"]) events.addEventListener(status, hear);
    followed.set(job.job_id, events);
  };
  view.replaceChildren(make("h1", {}, "Jobs"), jobForm(follow), none, list);
  const known = await api.jobs();
  if (!known.length) none.textContent = "Nothing has been embedded since the server was started.";
  known.reverse().forEach(follow);
  return () => followed.forEach((events) => events.close());
}

function jobForm(follow) {
  const paths = make("textarea", {
    required: true,
    rows: 2,
    placeholder: "/videos/new",
    "aria-label": "Files and folders on the server, one a line",
  });
  const retry = make("input", { type: "checkbox" });
  const start = async (event) => {
    event.preventDefault();
    const lines = paths.value.split("\n").map((line) => line.trim());
    try {
      follow(await api.startJob(lines.filter(Boolean), retry.checked));
      paths.value = "";
    } catch (problem) {
      notice(problem.message, true);
    }
  };
  return make(
    "form.asking",
    { onsubmit: start },
    make("p", {}, "Embed files and folders on the server, below those it was started with (--root)."),
    make("div.line", {}, paths, make("label", {}, retry, "try failed ones again"), make("button.main", {}, "Embed")),
  );
}

function told(job) {
  const cancel = () => api.cancelJob(job.job_id).catch((problem) => notice(problem.message, true));
  return [
    make("h2", {}, make("span.status", { "data-status": job.status }, job.status), ` ${job.paths.join(", ")}`),
    job.status === "running" && make("progress", { "aria-label": "Files done", max: 1 }),
    make("p.sum", {}, sum(job)),
    job.status === "running" && button("Cancel", cancel),
  ].filter(Boolean);
}

/** Bring a job that runs up to date in place, so that a button under a pointer stays. */
function update(item, job) {
  const bar = item.querySelector("progress");
  if (!bar || !job.progress) return Boolean(bar);
  bar.max = Math.max(job.progress.num_files, 1);
  bar.value = job.progress.num_files_done;
  item.querySelector(".sum").textContent = sum(job);
  return true;
}

function sum({ progress, report, error, next_step: step }) {
  if (error) return [error, step].filter(Boolean).join(" — ");
  if (report) {
    const kinds = ["embedded", "partial", "unchanged", "duplicate", "moved", "failed", "failed_before"];
    const parts = kinds.filter((kind) => report[kind]).map((kind) => `${report[kind]} ${kind.replace("_", " ")}`);
    return `${count(report.num_files, "file")}: ${parts.join(", ")}; ${count(report.num_clips, "clip")} in ${report.seconds.toFixed(1)} s`;
  }
  if (!progress) return "";
  return `${progress.num_files_done} of ${count(progress.num_files, "file")}, ${count(progress.num_clips, "clip")}, ${progress.num_failed} failed; ${progress.stage}`;
}
