// The form above the clips: what they are to be like, and which of them are meant.

import { preview } from "./api.js";
import { button, make, settled } from "./dom.js";
import { compares } from "./question.js";

const TYPING_MILLISECONDS = 500;
const BY = { clip: "Clips", video: "Videos", segment: "Segments" };

/**
 * Draw the form.
 * @param {object} question What is asked now.
 * @param {object} known Labels, and columns of metadata: {labels, columns}.
 * @param {(change: object) => void} change Told what is to be asked otherwise.
 * @param {(file: File) => void} search Told of a video to search for.
 * @param {Map<string, string>} uploads The file names of uploads.
 */
export function askingForm(question, known, change, search, uploads) {
  return make(
    "form.asking",
    { role: "search", "aria-label": "Clips", onsubmit: (event) => event.preventDefault() },
    make("div.line", {}, fileButton(search), ...wanted(question, change), examples(question, change, uploads)),
    filters(question, known, change),
    compares(question) && comparing(question, change),
  );
}

function fileButton(search) {
  const file = make("input", {
    type: "file",
    accept: "video/*,.mkv,.avi",
    onchange: () => file.files[0] && search(file.files[0]),
    "aria-label": "Search by a video",
  });
  return make("label.file-button.main", {}, "Search by a video", file);
}

/** A clip's number searches; anything else is a part of paths. */
function wanted(question, change) {
  const field = make("input", {
    type: "search",
    id: "wanted",
    value: question.path,
    placeholder: "clip number, or part of a path",
    "aria-label": "Clip number, or part of a path",
    onchange: () => {
      const text = field.value.trim();
      if (/^\d+$/.test(text)) change({ like: [text], unlike: [], path: "" });
      else change({ path: text });
    },
  });
  return [field];
}

function examples(question, change, uploads) {
  const chips = ["like", "unlike"].flatMap((side) =>
    question[side].map((name) => {
      const isUpload = name[0] === "u";
      const told = isUpload ? (uploads.get(name.slice(1)) ?? "an upload") : `clip ${name}`;
      const without = () => change({ [side]: question[side].filter((one) => one !== name) });
      return make(
        `li.${side}`,
        {},
        !isUpload && make("img", { src: preview(name), alt: "" }),
        make("span", {}, `${side === "like" ? "like" : "unlike"} ${told}`),
        button("×", without, { "aria-label": `No longer ${side} ${told}` }),
      );
    }),
  );
  return chips.length > 0 && make("ul.examples", { "aria-label": "Examples" }, ...chips);
}

function filters(question, known, change) {
  const where = make("input", {
    type: "text",
    id: "where",
    value: question.where,
    spellcheck: false,
    placeholder: "where: motion > 0.02 and width >= 640",
    "aria-label": "Where, an expression",
    "aria-describedby": "columns",
    onchange: () => change({ where: where.value }),
  });
  const labels = make(
    "select",
    { "aria-label": "Label", onchange: () => change({ label: labels.value }) },
    make("option", { value: "" }, "any label"),
    ...known.labels.map((name) => make("option", { selected: name === question.label }, name)),
  );
  const isAsked = question.where || question.label || question.path || compares(question);
  const nothing = { where: "", label: "", path: "", like: [], unlike: [], least: -1, others: false };
  return make(
    "div.line",
    {},
    where,
    known.labels.length > 0 && labels,
    isAsked && button("Clear", () => change(nothing)),
    columnsHelp(known.columns, where),
  );
}

/** The columns that an expression may name; each is put into it by a click. */
function columnsHelp(columns, where) {
  const facts = "path duration_seconds width height codec status clip_id start_seconds brightness contrast sharpness motion black_share frozen_share repeats";
  const names = [...facts.split(" "), ...columns.map((one) => one.name)];
  const put = (name) => {
    where.setRangeText(/^\w+$/.test(name) ? name : `"${name}"`, where.selectionStart, where.selectionEnd, "end");
    where.focus();
  };
  return make(
    "details.columns",
    {},
    make("summary", {}, "Columns"),
    make("p", { id: "columns" }, ...names.map((name) => button(name, () => put(name)))),
  );
}

function comparing(question, change) {
  const isMixture = question.like.length !== 1 || question.unlike.length > 0;
  const allowed = Object.entries(BY).filter(([value]) => value !== "segment" || !isMixture);
  const by = allowed.map(([value, text]) =>
    make(
      "label",
      {},
      make("input", { type: "radio", name: "by", value, checked: question.by === value, onchange: () => change({ by: value }) }),
      text,
    ),
  );
  const likeness = make(
    "select",
    { "aria-label": "Likeness", onchange: () => change({ likeness: likeness.value }) },
    make("option", { value: "similar", selected: question.likeness === "similar" }, "by meaning"),
    make("option", { value: "copy", selected: question.likeness === "copy" }, "same footage"),
  );
  const others = make("input", {
    type: "checkbox",
    checked: question.others,
    onchange: () => change({ others: others.checked }),
  });
  return make(
    "div.line",
    {},
    make("fieldset.by", {}, make("legend", {}, "By"), ...by),
    likeness,
    make("label", {}, others, "other videos only"),
    leastScore(question, change),
  );
}

function leastScore(question, change) {
  const told = make("output", {}, question.least > -1 ? question.least.toFixed(2) : "any");
  const later = settled((value) => change({ least: value }), TYPING_MILLISECONDS);
  const slider = make("input", {
    type: "range",
    min: -1,
    max: 1,
    step: 0.01,
    value: question.least,
    "aria-label": "Least score",
    oninput: () => {
      told.textContent = Number(slider.value).toFixed(2);
      later(Number(slider.value));
    },
  });
  return make("label.least", {}, "score at least", slider, told);
}
