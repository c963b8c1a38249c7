// What the server is asked. It alone is asked: every URL is below /v1.

import { make } from "./dom.js";

/** What the server refuses, in its words. */
export class Problem extends Error {
  constructor(body, status) {
    super([body.detail, body.next_step].filter(Boolean).join(" — ") || `status ${status}`);
    this.status = status;
  }
}

/** Ask for something as JSON. A token is asked for where the server takes one. */
export async function ask(path, { method = "GET", body, signal, raw } = {}) {
  const headers = method === "GET" ? {} : { "x-vidx": "1" };
  if (body !== undefined) headers["content-type"] = "application/json";
  const content = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const answer = await fetch(`/v1${path}`, { method, headers, body: content, signal });
  if (answer.status === 401 && path !== "/login") {
    await login();
    return ask(path, { method, body, signal, raw });
  }
  if (answer.status === 204) return null;
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(told, answer.status);
  return told;
}

export const info = () => ask("/info");
export const labels = async () => (await ask("/labels")).labels;
export const clip = (clipId) => ask(`/clips/${clipId}`);
export const search = (question, signal) =>
  ask("/search", { method: "POST", body: question, signal });
export const setMetadata = (columns) =>
  ask("/metadata", { method: "POST", body: { on: "clip_id", columns } });
export const jobs = async () => (await ask("/jobs")).jobs;
export const startJob = (paths, retryFailed) =>
  ask("/jobs", { method: "POST", body: { paths, retry_failed: retryFailed } });
export const cancelJob = (jobId) => ask(`/jobs/${jobId}`, { method: "DELETE" });
export const upload = (file) => ask("/uploads", { method: "POST", raw: file });

export const preview = (clipId) => `/v1/clips/${clipId}/preview`;
export const film = (clipId) => `/v1/clips/${clipId}/span`;
export const source = (videoId, start, end) =>
  `/v1/videos/${videoId}/source#t=${start.toFixed(3)},${end.toFixed(3)}`;

/**
 * A list that is read page by page.
 * @param {string} path Such as "/clips".
 * @param {object} asked Further parameters; those without a value are left out.
 * @returns {() => Promise<object[]|null>} The next rows; null behind the last.
 */
export function pages(path, asked = {}, limit = 200) {
  const name = path.split("/").pop();
  let cursor = "";
  return async () => {
    if (cursor === null) return null;
    const query = new URLSearchParams({ limit });
    for (const [key, value] of Object.entries(asked)) if (value) query.set(key, value);
    if (cursor) query.set("cursor", cursor);
    const told = await ask(`${path}?${query}`);
    cursor = told.next_cursor;
    return told[name];
  };
}

/** All rows of a list that is known to be short enough. */
export async function all(path) {
  const next = pages(path, {}, 1000);
  const rows = [];
  for (let more = await next(); more; more = await next()) rows.push(...more);
  return rows;
}

let asking = null;

/** Ask for the token, once for all requests that wait for it. */
function login() {
  asking ??= new Promise((resolve) => {
    const token = make("input", { type: "password", required: true, autocomplete: "off" });
    const wrong = make("p.problem", { role: "alert" });
    const form = make(
      "form",
      {
        onsubmit: async (event) => {
          event.preventDefault();
          try {
            await ask("/login", { method: "POST", body: { token: token.value } });
          } catch (problem) {
            wrong.textContent = problem.message;
            return;
          }
          dialog.close();
          dialog.remove();
          asking = null;
          resolve();
        },
      },
      make("h2", {}, "This server takes a token"),
      make("label", {}, "Token, as told when it was started", token),
      wrong,
      make("button.main", {}, "Go on"),
    );
    const dialog = make("dialog.login", { oncancel: (event) => event.preventDefault() }, form);
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}
