// The view of snapshots: selections that are kept by a name.

import * as api from "./api.js";
import { ask } from "./clips.js";
import { button, count, make, notice, quoted } from "./dom.js";
import { showList } from "./lists.js";
import { NOTHING } from "./question.js";

const EMPTY = "There are no snapshots yet. Select clips, and save them by a name.";

/** Show the snapshots. */
export function showSnapshots(view) {
  let leave = () => {};
  const show = () => {
    leave();
    leave = showList(view, "Snapshots", api.pages("/snapshots"), (row) => line(row, show), EMPTY);
  };
  show();
  addEventListener("saved", show);
  return () => {
    removeEventListener("saved", show);
    leave();
  };
}

function line(snapshot, again) {
  const { name, num_clips: number, num_missing: missing, time, rule } = snapshot;
  const forget = async () => {
    if (!confirm(`Forget the snapshot ${name}? Its clips stay.`)) return;
    try {
      await api.deleteSnapshot(name);
      again();
    } catch (problem) {
      notice(problem.message, true);
    }
  };
  const open = () => ask({ ...NOTHING, where: `snapshot(${quoted(name)})` });
  const gone = missing ? `, ${missing.toLocaleString("en")} no longer there` : "";
  return make(
    "div.row.snapshot",
    {},
    button(name, open, { title: `Show the clips of ${name}`, className: "link" }),
    make("span", {}, `${count(number, "clip")}${gone}`),
    make("span.quiet", { title: rule }, `${new Date(time).toLocaleString()} · ${rule}`),
    button("Forget", forget, { "aria-label": `Forget ${name}` }),
  );
}
