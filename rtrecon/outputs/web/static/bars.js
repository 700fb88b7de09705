// Coefficients as bars: those that move, or all.

const FEW = 14;
const WORTH = 0.04;

/** `eyeBlinkLeft` as "eye blink left". */
export const spoken = (name) => name.replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`);

export class Bars {
  showsAll = false;
  #box;
  #rows = [];
  #weights = [];
  #chosen = [];

  /** @param {HTMLElement} box */
  constructor(box) {
    this.#box = box;
  }

  setNames(names) {
    this.#weights = names.map(() => 0);
    this.#rows = names.map((name) => {
      const row = document.createElement("div");
      const [label, bar, value] = ["span", "i", "span"].map((tag) => row.appendChild(document.createElement(tag)));
      label.textContent = spoken(name);
      value.textContent = "0";
      return { row, bar, value, shown: -1 };
    });
    this.#box.replaceChildren(...this.#rows.map(({ row }) => row));
    this.#choose();
  }

  /** @param {number[]|null} values 0 to 1 */
  update(values) {
    if (!values) return;
    this.#rows.forEach((row, k) => {
      const value = Math.min(Math.max(values[k] ?? 0, 0), 1);
      this.#weights[k] = Math.max(value, this.#weights[k] * 0.985); // what moved lately stays
      const shown = Math.round(value * 100);
      if (shown === row.shown) return;
      row.shown = shown;
      row.bar.style.setProperty("--value", value.toFixed(2));
      row.value.textContent = String(shown);
      row.row.classList.toggle("on", value > WORTH);
    });
    this.#choose();
  }

  /** The rows that moved most, in their own order, so that they do not jump about. */
  #choose() {
    const kept = new Set(this.#chosen);
    if (!this.showsAll) {
      const order = [...this.#weights.keys()].sort((a, b) => this.#rank(b, kept) - this.#rank(a, kept)).slice(0, FEW);
      this.#chosen = order;
    }
    const few = new Set(this.#chosen);
    this.#rows.forEach(({ row }, k) => {
      const hidden = !this.showsAll && !few.has(k);
      if (row.hidden !== hidden) row.hidden = hidden;
    });
  }

  #rank(k, kept) {
    return this.#weights[k] + (kept.has(k) ? 0.08 : 0);
  }
}
