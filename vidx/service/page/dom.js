// Elements, and how times, scores and paths are told.

/**
 * Make an element.
 * @param {string} tag Its name, with classes after dots: "p.empty".
 * @param {object} set Properties; on* are listeners, aria-*, data-* and role attributes.
 * @param {...(Node|string|null|false)} inside What it holds; null and false are passed over.
 */
export function make(tag, set = {}, ...inside) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  element.classList.add(...classes);
  for (const [key, value] of Object.entries(set)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key.includes("-") || key === "role" || key === "list") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...inside.filter((one) => one !== null && one !== false));
  return element;
}

/** A button; the name is what is seen, unless another is given for those who do not see it. */
export function button(text, onclick, set = {}) {
  return make("button", { type: "button", onclick, ...set }, text);
}

/** 75.5 as 1:15.5 */
export function time(seconds) {
  const tenths = Math.round(seconds * 10);
  const [hours, minutes] = [Math.floor(tenths / 36000), Math.floor(tenths / 600) % 60];
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** The span of a clip, a hit or a segment. */
export function span(clip) {
  return `${time(clip.start_seconds)} – ${time(clip.end_seconds)}`;
}

/** The last part of a path; whole paths stand in titles. */
export function fileName(path) {
  return path ? path.split(/[\\/]/).pop() : "a file that is gone";
}

/** 1 clip, 2 clips, 12,345 clips */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** Text within an expression: it's as 'it''s' */
export function quoted(text) {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Say something for a while; a problem stays until it is closed. */
export function notice(text, isProblem = false) {
  const said = make(isProblem ? "p.problem" : "p", {}, text);
  const close = button("×", () => said.remove(), { "aria-label": "Close" });
  said.append(close);
  document.getElementById("notices").append(said);
  if (!isProblem) setTimeout(() => said.remove(), 4000);
}

/** How far an answer is that takes long, in words. */
export function far({ stage, done, total }) {
  const share = total > 1 ? ` ${Math.floor((100 * done) / total)} %` : "";
  return stage ? `Comparing clips:${share || " begun"}` : "Looking";
}

/** A function that runs once nothing has called it for a while. */
export function settled(run, milliseconds) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...given), milliseconds);
  };
}
