// The line at the top: what runs, how it is, and figures.

export class Status {
  drawn_hz = 0;
  transport = null;
  #run = null;

  constructor(pill, figures, source) {
    this.pill = pill;
    this.figures = figures;
    this.source = source;
  }

  setRun(welcome) {
    this.#run = welcome;
    this.source.textContent = welcome.camera === "browser" ? "" : welcome.source;
    this.source.title = welcome.source ?? "";
  }

  /** @param {"live"|"recording"|"wait"|"bad"} kind */
  say(kind, words) {
    if (document.body.dataset.state !== kind) document.body.dataset.state = kind;
    if (this.pill.textContent !== words) this.pill.textContent = words; // said aloud when it changes
  }

  setState(state) {
    const run = this.#run ?? {};
    const parts = [
      [`${fixed(state.fps)}`, "fps", ""],
      [`${fixed(state.latency_ms)}`, "ms", ""],
      [`${state.frames_dropped ?? 0}`, "dropped", "wide"],
      [`${fixed(this.drawn_hz)}`, "drawn/s", "wide"],
    ];
    if (state.viewers > 1) parts.push([String(state.viewers), "viewers", "wide"]);
    const line = parts.map(([value, unit, kind]) => figure(value, unit, kind));
    const model = document.createElement("span");
    model.className = "wide";
    model.textContent = [run.model && `${run.model} on ${run.provider}`, this.transport && { webrtc: "WebRTC", ws: "WebSocket" }[this.transport]].filter(Boolean).join(" · ");
    this.figures.replaceChildren(...line, model);
  }
}

const fixed = (value) => (Number.isFinite(value) ? value.toFixed(0) : "–");

function figure(value, unit, kind) {
  const box = document.createElement("span");
  if (kind) box.className = kind;
  const number = document.createElement("b");
  number.textContent = value;
  box.append(number, ` ${unit}`);
  return box;
}
