// What the page counts, and the newest result: for tests and for curious people.

import { PROTOCOL } from "./link.js";

const TIMES_KEPT = 600;

export const debug = (window.rtreconDebug = {
  protocol: PROTOCOL, connected: false, connections: 0, welcome: null, state: null, view: null,
  received: 0, decoded: 0, drawn: 0, skipped: 0, garbage: 0, bytes: 0, errors: [], notices: [],
  lastSeq: -1, lastDrawnSeq: -1, lastHeader: null, last: null, drawnAt: {}, arrivedAt: {},
  camera: { on: false, transport: null, error: null }, want: null, lost: null, contextLost: 0,
});
let kept = [];

/** The server's numbers begin anew. */
export function forgetTimes() {
  kept = [];
  debug.arrivedAt = {};
  debug.drawnAt = {};
}

export function noteArrived(result, arrived_ms) {
  debug.decoded++;
  debug.lastSeq = result.seq;
  debug.last = result;
  debug.lastHeader = light(result);
  debug.arrivedAt[result.seq] = arrived_ms;
  kept.push(result.seq);
  if (kept.length > TIMES_KEPT) {
    const old = kept.shift();
    delete debug.arrivedAt[old];
    delete debug.drawnAt[old];
  }
}

/** @param {number[]} seqs that are on the screen now */
export function noteDrawn(seqs) {
  const t_ms = performance.now();
  for (const seq of seqs) debug.drawnAt[seq] = t_ms;
  debug.lastDrawnSeq = seqs.at(-1);
  debug.drawn += seqs.length;
}

/** A result without its arrays. */
function light(result) {
  const bare = (layer) => layer && Object.fromEntries(Object.entries(layer).filter(([, value]) => !ArrayBuffer.isView(value)));
  const faces = result.faces.map(({ bitmap, texture, depth, head, ...words }) => ({
    ...words, texture: texture?.size ?? null, depth: bare(depth), head: bare(head), bitmap: undefined,
  }));
  return { ...result, picture: result.picture?.size ?? null, bitmap: undefined, faces };
}
