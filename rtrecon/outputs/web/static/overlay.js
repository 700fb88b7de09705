// What was found in a picture, drawn over it.

const COLORS = ["#7fd4c1", "#ffb86b", "#b39dff", "#8ec5ff"];
const AXIS_M = 0.06;
const GAZE_M = 0.07;
const EYE_RAD = { yaw: (32 * Math.PI) / 180, pitch: (25 * Math.PI) / 180 };
// Of the 68 points: which belong to one line, and whether it is closed.
const CHAINS = [[0, 17], [17, 22], [22, 27], [27, 31], [31, 36], [36, 42, true], [42, 48, true], [48, 60, true], [60, 68, true]];
const EYES = ["Right", "Left"]; // the person's own; the picture's left eye comes first

/**
 * @param {CanvasRenderingContext2D} context whose unit is a pixel of the result's picture
 * @param {object} result header
 * @param {string[]} names of the coefficients
 * @param {number} unit how many pixels of the picture a pixel of the screen is
 */
export function drawOverlay(context, result, names, unit) {
  context.lineJoin = context.lineCap = "round";
  result.faces.forEach((face, k) => {
    const color = COLORS[k % COLORS.length];
    drawBox(context, face.box, color, unit);
    if (face.landmarks68) drawPoints68(context, face.landmarks68, color, unit);
    else drawPoints(context, face.landmarks, color, unit);
    if (!result.K || !face.T) return;
    drawGaze(context, face, result.K, names, unit);
    drawAxes(context, face.T, result.K, unit);
  });
}

function drawBox(context, [x0, y0, x1, y1], color, unit) {
  const [w, h] = [x1 - x0, y1 - y0];
  const arm = 0.16 * Math.min(w, h);
  context.strokeStyle = color;
  context.lineWidth = 2 * unit;
  context.beginPath();
  for (const [x, y, dx, dy] of [[x0, y0, 1, 1], [x1, y0, -1, 1], [x1, y1, -1, -1], [x0, y1, 1, -1]]) {
    context.moveTo(x + dx * arm, y);
    context.lineTo(x, y);
    context.lineTo(x, y + dy * arm);
  }
  context.stroke();
}

function drawPoints(context, points, color, unit) {
  context.fillStyle = color;
  for (let k = 0; k + 1 < points.length; k += 2) {
    context.beginPath();
    context.arc(points[k], points[k + 1], 2.2 * unit, 0, 2 * Math.PI);
    context.fill();
  }
}

function drawPoints68(context, p, color, unit) {
  context.strokeStyle = color;
  context.globalAlpha = 0.85;
  context.lineWidth = 1.2 * unit;
  for (const [from, to, closed] of CHAINS) {
    context.beginPath();
    for (let k = from; k < to; k++) context.lineTo(p[2 * k], p[2 * k + 1]);
    if (closed) context.closePath();
    context.stroke();
  }
  context.globalAlpha = 1;
}

function drawAxes(context, T, K, unit) {
  const origin = [T[3], T[7], T[11]];
  const from = project(origin, K);
  if (!from) return;
  context.lineWidth = 2.4 * unit;
  // x to the picture's right, y up, z out of the face
  for (const [column, sign, color] of [[0, 1, "#ff6b6b"], [1, -1, "#7ee08a"], [2, -1, "#6ba8ff"]]) {
    const tip = origin.map((value, row) => value + sign * AXIS_M * T[4 * row + column]);
    line(context, from, project(tip, K), color);
  }
}

function drawGaze(context, face, K, names, unit) {
  if (!face.coefficients || !names.length) return;
  const value = (name) => face.coefficients[names.indexOf(name)] ?? 0;
  const T = face.T;
  context.lineWidth = 1.6 * unit;
  EYES.forEach((side, k) => {
    if (value(`eyeBlink${side}`) > 0.6) return;
    const inward = value(`eyeLookIn${side}`) - value(`eyeLookOut${side}`);
    const yaw = (side === "Left" ? inward : -inward) * EYE_RAD.yaw; // toward the own right
    const pitch = (value(`eyeLookDown${side}`) - value(`eyeLookUp${side}`)) * EYE_RAD.pitch;
    const d = [-Math.sin(yaw) * Math.cos(pitch), Math.sin(pitch), -Math.cos(yaw) * Math.cos(pitch)];
    const [u, v] = [face.landmarks[2 * k], face.landmarks[2 * k + 1]];
    const z = T[11];
    const eye = [((u - K[2]) / K[0]) * z, ((v - K[3]) / K[1]) * z, z];
    const tip = eye.map((value_m, row) => value_m + GAZE_M * (T[4 * row] * d[0] + T[4 * row + 1] * d[1] + T[4 * row + 2] * d[2]));
    line(context, [u, v], project(tip, K), "#ffe08a");
  });
}

const project = ([x, y, z], K) => (z > 0.01 ? [(K[0] * x) / z + K[2], (K[1] * y) / z + K[3]] : null);

function line(context, from, to, color) {
  if (!from || !to) return;
  context.strokeStyle = color;
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
}
