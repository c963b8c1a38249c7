// A grid of any length, of which only what is near the window exists; arrow keys walk in it.

import { make } from "./dom.js";

const MARGIN_ROWS = 2;

/**
 * A virtualised grid.
 * @param {object} how
 * @param {(row: object, place: number) => HTMLElement} how.cell What one row of the list looks like;
 *   its first focusable element is where the keyboard goes.
 * @param {number} how.width The least width of a cell, in pixels.
 * @param {(width: number) => number} how.height The height that a cell of a width has.
 * @param {() => Promise<object[]|null>} how.next More rows; null behind the last.
 * @param {string} how.label What it is called.
 * @param {(problem: Error) => void} how.failed Told when rows cannot be had.
 */
export class Grid {
  constructor(how) {
    this.how = how;
    this.rows = [];
    this.isWhole = false;
    this.place = 0; // where the keyboard is
    this.cells = new Map();
    this.element = make("div.grid", { role: "list", "aria-label": how.label });
    this.element.addEventListener("keydown", (event) => this.#walk(event));
    this.element.addEventListener("focusin", (event) => this.#took(event.target));
    this.#watch();
  }

  /** Read the first rows. */
  async begin() {
    await this.#more();
    this.draw();
  }

  /** Forget the elements: no longer looked at. */
  end() {
    removeEventListener("scroll", this.drawSoon);
    this.resized.disconnect();
    this.isOver = true;
  }

  /** Draw anew what is seen, as after a change of a row. */
  redraw() {
    const hadFocus = this.element.contains(document.activeElement);
    this.cells.forEach((cell) => cell.remove());
    this.cells.clear();
    this.draw();
    if (hadFocus) this.#focus(this.place);
  }

  /** Put the cells near the window in place, and take the others out. */
  draw() {
    if (this.isOver || !this.element.isConnected) return;
    const { columns, width, height, numLines } = this.#measure();
    this.element.style.height = `${numLines * height}px`;
    const top = -this.element.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / height) - MARGIN_ROWS);
    const last = Math.ceil((top + innerHeight) / height) + MARGIN_ROWS;
    const [from, to] = [first * columns, Math.min(this.rows.length, last * columns)];
    for (const [place, cell] of this.cells) {
      const isFocused = cell.contains(document.activeElement);
      if ((place < from || place >= to) && !isFocused) this.#take(place, cell);
    }
    for (let place = from; place < to; place++) this.#put(place, columns, width, height);
    if (last >= numLines && !this.isWhole && !this.isLoading) this.#more().then(() => this.draw());
  }

  #measure() {
    const all = this.element.clientWidth;
    const columns = Math.max(1, Math.floor(all / this.how.width));
    const width = all / columns;
    const height = this.how.height(width);
    this.columns = columns;
    return { columns, width, height, numLines: Math.ceil(this.rows.length / columns) };
  }

  #put(place, columns, width, height) {
    let cell = this.cells.get(place);
    if (!cell) {
      cell = make("div.cell", { role: "listitem" }, this.how.cell(this.rows[place], place));
      cell.setAttribute("aria-posinset", place + 1);
      cell.dataset.place = place;
      for (const one of focusable(cell)) one.tabIndex = place === this.place ? 0 : -1;
      this.cells.set(place, cell);
      this.element.append(cell);
    }
    cell.setAttribute("aria-setsize", this.isWhole ? this.rows.length : -1);
    Object.assign(cell.style, {
      width: `${width}px`,
      height: `${height}px`,
      transform: `translate(${(place % columns) * width}px, ${Math.floor(place / columns) * height}px)`,
    });
  }

  #take(place, cell) {
    // A picture that has not come is no longer wanted.
    for (const image of cell.querySelectorAll("img")) image.removeAttribute("src");
    cell.remove();
    this.cells.delete(place);
  }

  async #more() {
    this.isLoading = true;
    try {
      const more = await this.how.next();
      if (more) this.rows.push(...more);
      else this.isWhole = true;
    } catch (problem) {
      this.isWhole = true;
      if (!this.isOver) this.how.failed(problem);
    } finally {
      this.isLoading = false;
    }
  }

  #watch() {
    let isDue = false;
    this.drawSoon = () => {
      if (isDue) return;
      isDue = true;
      requestAnimationFrame(() => {
        isDue = false;
        this.draw();
      });
    };
    addEventListener("scroll", this.drawSoon, { passive: true });
    this.resized = new ResizeObserver(this.drawSoon);
    this.resized.observe(this.element);
  }

  #walk(event) {
    if (event.target.matches("input, select, textarea")) return;
    const steps = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: this.columns,
      ArrowUp: -this.columns,
      Home: -this.place,
      End: this.rows.length - 1 - this.place,
    };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.#focus(Math.min(Math.max(this.place + steps[event.key], 0), this.rows.length - 1));
  }

  /** Bring a place into the window, and the keyboard to it. */
  #focus(place) {
    const { height } = this.#measure();
    const line = Math.floor(place / this.columns);
    const top = this.element.getBoundingClientRect().top + scrollY + line * height;
    const covered = document.querySelector(".top").offsetHeight;
    if (top < scrollY + covered) scrollTo(0, top - covered - 8);
    else if (top + height > scrollY + innerHeight) scrollTo(0, top + height - innerHeight + 8);
    this.draw();
    const cell = this.cells.get(place);
    if (cell) focusable(cell)[0]?.focus({ preventScroll: true });
  }

  #took(target) {
    const cell = target.closest(".cell");
    if (!cell) return;
    const before = this.cells.get(this.place);
    if (before && before !== cell) for (const one of focusable(before)) one.tabIndex = -1;
    this.place = Number(cell.dataset.place);
    for (const one of focusable(cell)) one.tabIndex = 0;
  }
}

function focusable(cell) {
  return cell.querySelectorAll("button, a, input");
}
