// The proposals that were written: looked at, applied, taken back.

import * as api from "./api.js";
import { button, count, fileName, make, notice } from "./dom.js";

export class Proposals {
  /** @param {() => void} changed Called after the collection has changed. */
  constructor(changed) {
    this.changed = changed;
    this.element = make("section.proposals", { "aria-label": "Proposals", hidden: true });
  }

  /** Read and draw them anew. */
  async show() {
    try {
      const known = await api.proposals();
      this.element.hidden = !known.length;
      this.element.replaceChildren(make("h2", {}, "Proposals"), make("ul.jobs", {}, ...known.map((one) => this.#item(one))));
    } catch (problem) {
      notice(problem.message, true);
    }
  }

  #item(proposal) {
    const { proposal_id: id, num_drop: drops, num_keep: keeps, applied } = proposal;
    const isApplied = applied !== null;
    const act = isApplied
      ? button("Undo", () => this.#do(() => this.#undo(applied)))
      : button("Apply", () => this.#do(() => this.#apply(id)), { className: "main" });
    const forget = button("Forget", () => this.#do(() => api.forgetProposal(id), false));
    return make(
      "li",
      {},
      make("h3", {}, make("span.status", {}, isApplied ? "applied" : "proposed"), ` ${count(drops, "file")} to go, ${keeps} to stay`),
      look(id),
      make("div.line", {}, act, forget),
    );
  }

  async #do(act, isChange = true) {
    try {
      await act();
    } catch (problem) {
      notice(problem.message, true);
    }
    await this.show();
    if (isChange) this.changed();
  }

  async #apply(id) {
    const done = await api.applyProposal(id);
    notice(`${count(done.paths.length, "file")} taken out of the collection.`);
    const left = done.left_alone.map((one) => `${fileName(one.path)}: ${one.problem.message}`);
    if (left.length) notice(`Left alone: ${left.join("; ")}`, true);
  }

  async #undo(commit) {
    const back = await api.undo(commit);
    notice(`${count(back.num_locations, "file")} back in the collection.`);
  }
}

/** What a proposal says of each file, read when it is wanted. */
function look(id) {
  const rows = make("ul.rows");
  const fill = async () => {
    try {
      const told = await api.proposalRows(id);
      rows.replaceChildren(...told.map(line));
    } catch (problem) {
      notice(problem.message, true);
    }
  };
  const whole = make("details", { ontoggle: () => whole.open && fill() }, make("summary", {}, "Look"), rows);
  return whole;
}

function line({ action, path, why }) {
  return make("li", { title: path }, make("strong", {}, action), ` ${fileName(path)} `, make("span.quiet", {}, why));
}
