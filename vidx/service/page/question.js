// What is asked, as it stands in the page's address: going back goes back, reloading asks again.

import { search, pages } from "./api.js";
import { quoted } from "./dom.js";

export const FIRST_HITS = 100;
const MOST_HITS = 1000;

/** What nothing is asked with. */
export const NOTHING = {
  like: [], // names of examples: "7" is a clip, "u0f3c..." an upload
  unlike: [],
  where: "",
  label: "",
  path: "",
  by: "clip",
  likeness: "similar",
  others: false, // only other videos than the examples'
  least: -1, // score
};

/** Read the question from an address such as "#clips?like=7&by=video". */
export function fromHash(hash) {
  const given = new URLSearchParams(hash.split("?").slice(1).join("?"));
  const names = (key) => (given.get(key) ?? "").split(",").filter((one) => /^(\d+|u[0-9a-f]{32})$/.test(one));
  const text = (key) => given.get(key) ?? NOTHING[key];
  return {
    like: names("like"),
    unlike: names("unlike"),
    where: text("where"),
    label: text("label"),
    path: text("path"),
    by: text("by"),
    likeness: text("likeness"),
    others: given.get("others") === "true",
    least: Number(text("least")) || (given.get("least") === "0" ? 0 : NOTHING.least),
  };
}

/** The address of a question; what is as in `NOTHING` is left out. */
export function toHash(question) {
  const told = new URLSearchParams();
  for (const [key, value] of Object.entries(question)) {
    if (String(value) !== String(NOTHING[key])) told.set(key, String(value));
  }
  return told.size ? `#clips?${told}` : "#clips";
}

/** Whether clips are compared, not just listed. */
export const compares = (question) => question.like.length + question.unlike.length > 0;

/** What may be a hit, as one expression; empty where everything may. */
export function expression({ where, label, path }) {
  const parts = [];
  if (where.trim()) parts.push(`(${where})`);
  if (label) parts.push(`label(${quoted(label)}) > 0`);
  if (path) parts.push(`path glob ${quoted(`*${path.replace(/[*?[]/g, "[$&]")}*`)}`);
  return parts.join(" and ");
}

/** The body of a search. */
export function body(question, k) {
  const example = (name) => (name[0] === "u" ? { upload: name.slice(1) } : { clip_id: Number(name) });
  const { like, unlike, by, likeness } = question;
  const isOne = like.length === 1 && !unlike.length;
  const asked = isOne
    ? { query: example(like[0]) }
    : { like: like.map(example), unlike: unlike.map(example) };
  const where = expression(question);
  return { ...asked, k, by, likeness, exclude_self: question.others, ...(where && { where }) };
}

/** A function that gives the rows that answer, some at a time; null behind the last. */
export function answers(question, signal) {
  if (!compares(question)) return pages("/clips", { where: expression(question) });
  const sizes = [FIRST_HITS, MOST_HITS];
  let known = 0;
  return async () => {
    const k = sizes.shift();
    const wasAll = k === MOST_HITS && known < FIRST_HITS;
    if (!k || wasAll) return null;
    const { hits } = await search(body(question, k), signal);
    const more = hits.slice(known);
    known = hits.length;
    return more.filter((hit) => hit.score >= question.least);
  };
}
