// What the server is asked. It alone is asked: every URL is below /v1.

import { make } from "./dom.js";

/** What the server refuses, in its words. */
export class Problem extends Error {
  constructor(body, status) {
    super([body.detail, body.next_step].filter(Boolean).join(" — ") || `status ${status}`);
    this.status = status;
  }
}

/**
 * Ask for something as JSON. A token is asked for where the server takes one.
 * @param {string} path Below /v1.
 * @param {object} given method, body (sent as JSON), raw (sent as it is), signal; tell: told how far
 *   an answer is that takes long: {stage, done, total}.
 */
export async function ask(path, given = {}) {
  const answer = await request(path, given);
  return answer.status === 204 ? null : answer.json();
}

/** The same for what is no JSON. */
export async function askBytes(path, given = {}) {
  return (await request(path, given)).arrayBuffer();
}

async function request(path, given) {
  const { method = "GET", body, signal, raw, tell } = given;
  const headers = method === "GET" ? {} : { "x-vidx": "1" };
  if (body !== undefined) headers["content-type"] = "application/json";
  const content = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const answer = await fetch(`/v1${path}`, { method, headers, body: content, signal });
  if (answer.status === 401 && path !== "/login") {
    await login();
    return request(path, given);
  }
  if (answer.status === 202 && method === "GET") { // it is still being found
    tell?.(await answer.json());
    return request(path, given);
  }
  if (!answer.ok) throw new Problem(await answer.json().catch(() => ({})), answer.status);
  return answer;
}

let collection = ""; // its uuid, once it is known

export async function info() {
  const told = await ask("/info");
  collection = told.uuid;
  return told;
}

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
export const snapshots = () => all("/snapshots");
export const saveSnapshot = (name, clipIds) =>
  ask("/snapshots", { method: "POST", body: { name, clip_ids: clipIds } });
export const deleteSnapshot = (name) =>
  ask(`/snapshots?${new URLSearchParams({ name })}`, { method: "DELETE" });
export const proposals = async () => (await ask("/proposals")).proposals;
export const propose = (groups, keep) =>
  ask("/proposals", { method: "POST", body: { groups, keep } });
export const proposalRows = (id) => all(`/proposals/${id}/rows`);
export const applyProposal = (id) => ask(`/proposals/${id}/apply`, { method: "POST" });
export const forgetProposal = (id) => ask(`/proposals/${id}`, { method: "DELETE" });
export const undo = (commit) => ask(`/commits/${commit}/undo`, { method: "POST" });
export const upload = (file) => ask("/uploads", { method: "POST", raw: file });

// A browser keeps these, and clips of another collection may have the same numbers.
export const preview = (clipId) => `/v1/clips/${clipId}/preview?of=${collection}`;
export const film = (clipId) => `/v1/clips/${clipId}/span?of=${collection}`;
export const source = (videoId, start, end) =>
  `/v1/videos/${videoId}/source#t=${start.toFixed(3)},${end.toFixed(3)}`;

/**
 * A list that is read page by page.
 * @param {string} path Such as "/clips".
 * @param {object} asked Further parameters; those without a value are left out.
 * @param {object} given As `ask` takes it: signal, tell.
 * @returns {() => Promise<object[]|null>} The next rows; null behind the last.
 */
export function pages(path, asked = {}, limit = 200, given = {}) {
  const name = path.split("/").pop();
  let cursor = "";
  return async () => {
    if (cursor === null) return null;
    const query = new URLSearchParams({ limit });
    for (const [key, value] of Object.entries(asked)) if (value) query.set(key, value);
    if (cursor) query.set("cursor", cursor);
    const told = await ask(`${path}?${query}`, given);
    cursor = told.next_cursor;
    return told[name] ?? told.rows;
  };
}

/** All rows of a list that is known to be short enough. */
export async function all(path, asked = {}) {
  const next = pages(path, asked, 1000);
  const rows = [];
  for (let more = await next(); more; more = await next()) rows.push(...more);
  return rows;
}

/** Some clips by their ids, in that order; few enough for an address. */
export async function clipsOf(ids) {
  const where = `clip_id in (${ids.join(", ")})`;
  const rows = await all("/clips", { where });
  const known = new Map(rows.map((row) => [row.clip_id, row]));
  return ids.filter((id) => known.has(id)).map((id) => known.get(id));
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
