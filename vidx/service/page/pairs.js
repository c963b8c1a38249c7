// Groups of duplicates as pairs, what is decided of each, and what that comes to.

/** Decisions, as long as the view is shown. */
export class Choices {
  constructor() {
    this.sides = new Map(); // key of a pair to "left" or "right"; "both" is not in it
    this.members = new Map(); // group to its rows
    this.changed = () => {};
  }

  /** Forget all decisions, and the groups too where others take their place. */
  clear(isAnew = false) {
    this.sides.clear();
    if (isAnew) this.members.clear();
    this.changed();
  }

  /**
   * Each later member of a group beside the first.
   * @param {object[]|null} rows More rows of the answer, group by group; null behind the last.
   */
  pairs(rows) {
    if (!rows) return null;
    for (const row of rows) {
      const known = this.members.get(row.group) ?? [];
      if (!known.some((one) => one.rank === row.rank)) known.push(row);
      this.members.set(row.group, known);
    }
    return rows
      .filter((row) => row.rank > 0)
      .map((row) => ({ key: `${row.group}-${row.rank}`, group: row.group, left: this.members.get(row.group)[0], right: row }));
  }

  /** What is kept of a pair: left, right or both. */
  of(pair) {
    return this.sides.get(pair.key) ?? "both";
  }

  /** Keep one or both of a pair. */
  put(pair, side) {
    if (side === "both") this.sides.delete(pair.key);
    else this.sides.set(pair.key, side);
    this.changed();
  }

  /** Decide pairs by which paths are dropped. */
  decide(pairs, dropped) {
    this.sides.clear();
    for (const pair of pairs) {
      if (dropped.has(pair.right.path)) this.sides.set(pair.key, "left");
      else if (dropped.has(pair.left.path)) this.sides.set(pair.key, "right");
    }
    this.changed();
  }

  /** How many files are to go. */
  get numDropped() {
    return [...this.members.keys()].reduce((sum, group) => sum + this.#droppedOf(group).length, 0);
  }

  /** Columns of groups for a proposal that keeps the first of each. */
  groups() {
    const rows = [...this.members.keys()].flatMap((group) => {
      const dropped = this.#droppedOf(group);
      const kept = this.members.get(group).find((row) => !dropped.includes(row));
      return dropped.length ? [kept, ...dropped] : [];
    });
    return columns(rows, ["group", "path", "video_id", "score", "share"]);
  }

  /** Of a pair that has one side kept, the other goes; the first goes where any right side is kept. */
  #droppedOf(group) {
    const [first, ...others] = this.members.get(group);
    const side = (row) => this.sides.get(`${group}-${row.rank}`);
    const lost = others.filter((row) => side(row) === "left");
    return others.some((row) => side(row) === "right") ? [first, ...lost] : lost;
  }
}

/** Some columns of rows. */
export function columns(rows, names) {
  return Object.fromEntries(names.map((name) => [name, rows.map((row) => row[name])]));
}
