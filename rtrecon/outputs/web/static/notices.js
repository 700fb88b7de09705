// Words for the person: short notices, and a banner for what lasts.

const STAYS_MS = 4200;
const BAD_STAYS_MS = 9000;

export class Notices {
  #said = new Set();

  constructor(box, banner) {
    this.box = box;
    this.banner = banner;
    this.text = banner.querySelector("#banner-text");
    this.button = banner.querySelector("#banner-act");
    this.button.addEventListener("click", () => this.act?.());
  }

  /** @param {"note"|"bad"} kind */
  say(words, kind = "note") {
    const last = this.box.lastElementChild;
    if (last?.textContent === words) last.remove(); // again: it stays longer
    const line = document.createElement("p");
    line.textContent = words;
    if (kind === "bad") line.className = "bad";
    this.box.append(line);
    while (this.box.children.length > 3) this.box.firstElementChild.remove();
    setTimeout(() => line.remove(), kind === "bad" ? BAD_STAYS_MS : STAYS_MS);
  }

  /** Say something once, however often it happens. */
  once(key, words, kind = "bad") {
    if (this.#said.has(key)) return;
    this.#said.add(key);
    this.say(words, kind);
  }

  /** @param {string} words @param {{label: string, act: () => void}|null} way out */
  hold(words, way = null) {
    if (this.text.textContent !== words) this.text.textContent = words;
    this.button.hidden = !way;
    if (way) this.button.textContent = way.label;
    this.act = way?.act;
    this.banner.hidden = false;
  }

  release() {
    this.banner.hidden = true;
  }
}
