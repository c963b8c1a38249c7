// The view of duplicates: two videos side by side, of which one may go, or neither.

import * as api from "./api.js";
import { playOn } from "./card.js";
import { acts } from "./clips.js";
import { button, count, far, fileName, make, notice, span, time } from "./dom.js";
import { Grid } from "./grid.js";
import { Choices, columns } from "./pairs.js";
import { Proposals } from "./proposals.js";

const PAIR_PIXELS = 292;
const NARROW_PIXELS = 640;
const NARROW_PAIR_PIXELS = 470;
const WAYS = { longest: "the longest", "highest-resolution": "the highest resolution", first: "the left one" };
const ABOUT =
  "Videos of which more than half is in another one. Nothing is done before a proposal is applied, and files stay as they are.";
// So that no footage is lost.
const PLACE = ["start_seconds", "end_seconds", "offset_seconds", "compared_seconds"];
const SIDES = { left: "Keep left", both: "Keep both", right: "Keep right" };

/** Show the groups that an address asks for, such as "#duplicates?threshold=0.6". */
export function showDuplicates(view, hash) {
  const threshold = new URLSearchParams(hash.split("?")[1]).get("threshold") ?? "";
  const told = make("p.told", { role: "status" }, "Looking");
  const place = make("div");
  const choices = new Choices();
  const leaving = new AbortController();
  let grid;
  const proposals = new Proposals(() => {
    dispatchEvent(new Event("curated"));
    begin();
  });
  const begin = () => {
    grid?.end();
    choices.clear(true);
    told.className = "told";
    told.textContent = "Looking";
    const tell = (how) => (told.textContent = far(how));
    const given = { tell, signal: leaving.signal };
    const next = api.pages("/duplicates", { by: "video", threshold }, 200, given);
    grid = new Grid({
      cell: (pair) => pairCell(pair, choices),
      width: 4000, // one column
      height: () => (innerWidth > NARROW_PIXELS ? PAIR_PIXELS : NARROW_PAIR_PIXELS),
      next: async () => choices.pairs(await next()),
      label: "Pairs of videos",
      failed: (problem) => refuse(told, problem),
    });
    const mine = grid;
    place.replaceChildren(grid.element);
    grid.begin().then(() => {
      if (mine !== grid || told.classList.contains("problem")) return;
      told.textContent = grid.rows.length ? "" : "No two videos show the same.";
    });
  };
  const write = () => writeProposal(choices, proposals);
  view.replaceChildren(
    make("h1", {}, "Duplicates"),
    asking(threshold),
    proposals.element,
    deciding(choices, () => grid.redraw(), { threshold }, write),
    told,
    place,
  );
  begin();
  proposals.show();
  return () => {
    leaving.abort();
    grid.end();
  };
}

function asking(threshold) {
  const least = make("input", {
    type: "number",
    min: -1,
    max: 1,
    step: 0.01,
    value: threshold,
    placeholder: "as usual",
    onchange: () => (location.hash = least.value === "" ? "#duplicates" : `#duplicates?threshold=${least.value}`),
  });
  return make(
    "form.asking",
    { onsubmit: (event) => event.preventDefault() },
    make("p", {}, ABOUT),
    make("div.line", {}, make("label", {}, "similar at least", least)),
  );
}

function deciding(choices, redraw, asked, write) {
  const ways = Object.entries(WAYS).map(([value, text]) => make("option", { value }, text));
  const way = make("select", { "aria-label": "Which one of each" }, ...ways);
  const decide = async () => {
    try {
      await decideAll(choices, asked, way.value);
      redraw();
    } catch (problem) {
      notice(problem.message, true);
    }
  };
  const sum = make("output", {}, "");
  choices.changed = () => (sum.textContent = choices.numDropped ? `${count(choices.numDropped, "file")} would go` : "");
  return make(
    "div.line.deciding",
    { role: "group", "aria-label": "Decisions" },
    make("label", {}, "everywhere keep", way),
    button("Decide", decide),
    button("Keep all", () => {
      choices.clear();
      redraw();
    }),
    button("Write the proposal", write, { className: "main" }),
    sum,
  );
}

/** Have the server choose in each group. */
async function decideAll(choices, asked, way) {
  const rows = await api.all("/duplicates", { by: "video", ...asked });
  if (!rows.length) return;
  const groups = columns(rows, ["group", "path", "video_id", "score", "share", ...PLACE]);
  const { proposal_id: id } = await api.propose(groups, way);
  const decided = await api.proposalRows(id);
  await api.forgetProposal(id); // it was for looking only
  const dropped = new Set(decided.filter((row) => row.action === "drop").map((row) => row.path));
  choices.decide(choices.pairs(rows), dropped);
}

async function writeProposal(choices, proposals) {
  const groups = choices.groups();
  if (!groups.group.length) {
    notice("Nothing is to go yet: keep the left or the right one of some pair.");
    return;
  }
  try {
    await api.propose(groups, "first");
    proposals.show();
  } catch (problem) {
    notice(problem.message, true);
  }
}

function pairCell(pair, choices) {
  const { left, right } = pair;
  const name = `${fileName(left.path)} and ${fileName(right.path)}`;
  const sides = Object.entries(SIDES).map(([side, text]) =>
    make(
      "label",
      {},
      make("input", {
        type: "radio",
        name: `pair-${pair.key}`,
        value: side,
        checked: choices.of(pair) === side,
        onchange: () => choose(side),
      }),
      text,
    ),
  );
  const whole = make(
    "article.pair",
    { "aria-label": name, onkeydown: (event) => onKey(event, choose) },
    sideOf(left, "left"),
    make(
      "div.between",
      {},
      make("strong", { title: "Similarity, as copies" }, right.score.toFixed(3)),
      make("span.quiet", {}, right.match === "exact" ? "the same file content" : `${Math.round(right.share * 100)} % of the right one`),
      make("fieldset.by", {}, make("legend", {}, `Of ${name}`), ...sides),
    ),
    sideOf(right, "right"),
  );
  const mark = () => (whole.dataset.keep = choices.of(pair));
  function choose(side) {
    choices.put(pair, side);
    whole.querySelector(`input[value=${side}]`).checked = true;
    mark();
  }
  mark();
  return whole;
}

function onKey(event, choose) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const side = { l: "left", r: "right", b: "both" }[event.key];
  if (!side) return;
  event.preventDefault();
  choose(side);
}

/** One of the two: the clip of it that matches, and what is known of it. */
function sideOf(row, where) {
  const picture = make("img", { alt: "", decoding: "async" });
  const shown = make(
    "button.picture",
    { type: "button", "aria-label": `Open the ${where} one, ${fileName(row.path)}` },
    picture,
    make("span.time", {}, span(row)),
  );
  const facts = make("p.quiet", {}, "");
  fill(row, shown, picture, facts).catch(() => (facts.textContent = "No longer in the collection."));
  return make(
    "div.side",
    {},
    shown,
    make("div.file", {}, make("span", { title: row.path }, fileName(row.path))),
    facts,
  );
}

async function fill(row, shown, picture, facts) {
  const where = `video_id = '${row.video_id}' and end_seconds > ${row.start_seconds}`;
  const [{ clips }, video] = await Promise.all([
    api.ask(`/clips?${new URLSearchParams({ where, limit: 1 })}`),
    api.ask(`/videos/${row.video_id}`),
  ]);
  const [clip] = clips;
  picture.src = api.preview(clip.clip_id);
  shown.addEventListener("click", () => acts(null).open(clip));
  playOn(shown, clip);
  const size = video.size_bytes ? ` · ${(video.size_bytes / 1e6).toFixed(1)} MB` : "";
  facts.textContent = `${time(video.duration_seconds)} · ${video.width}×${video.height} ${video.codec}${size}`;
  facts.title = row.path;
}

function refuse(told, problem) {
  told.className = "told problem";
  told.setAttribute("role", "alert");
  told.textContent = problem.message;
}
