// Which shape of a stranger's model is which of ARKit's, and what to do with models that have
// only the few presets of VRM or the visemes of a game's character.

// As in rtrecon/expression/names.py.
export const ARKIT_NAMES = [
  "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft",
  "eyeSquintLeft", "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight",
  "eyeLookOutRight", "eyeLookUpRight", "eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft",
  "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight",
  "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft",
  "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight", "mouthRollLower", "mouthRollUpper",
  "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft",
  "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft", "browDownRight",
  "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft",
  "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
];

const PLACE = new Map(ARKIT_NAMES.map((name, k) => [name, k]));
const SPELLINGS = new Map();
for (const [name, place] of PLACE) {
  const lower = name.toLowerCase();
  SPELLINGS.set(lower, place);
  const sided = /^(.+)(left|right)$/.exec(lower);
  if (!sided) continue;
  const [, stem, side] = sided;
  for (const spelt of [stem + side[0], side + stem, side[0] + stem]) {
    if (!SPELLINGS.has(spelt)) SPELLINGS.set(spelt, place);
  }
}

for (const name of ["browInnerUp", "cheekPuff"]) { // some have these a side each
  for (const side of ["left", "right", "l", "r"]) {
    SPELLINGS.set(name.toLowerCase() + side, PLACE.get(name));
  }
}

// What else is called by names of its own, as VRM 1's presets: VRChat's and Ready Player Me's
// visemes, VRoid's and common names.
const PRESET_SPELLINGS = {
  aa: ["aa", "a", "visemeaa", "vrcvaa", "fclmtha", "moutha", "mouthopen", "あ"],
  ih: ["ih", "i", "visemei", "vrcvih", "fclmthi", "い"],
  ou: ["ou", "u", "visemeu", "vrcvou", "fclmthu", "う"],
  ee: ["ee", "e", "visemee", "vrcve", "fclmthe", "え"],
  oh: ["oh", "o", "visemeo", "vrcvoh", "fclmtho", "お"],
  blink: ["blink", "eyesclosed", "eyeblink", "fcleyeclose", "まばたき"],
  blinkLeft: ["blinkleft", "blinkl", "leftblink", "fcleyeclosel", "wink", "ウィンク"],
  blinkRight: ["blinkright", "blinkr", "rightblink", "fcleyecloser", "winkright", "ウィンク右"],
  happy: ["happy", "joy", "smile", "mouthsmile", "fclmthjoy"],
  angry: ["angry"],
  sad: ["sad", "sorrow", "fclmthsorrow"],
  surprised: ["surprised", "fclallsurprised"],
};
const PRESET_OF = new Map(
  Object.entries(PRESET_SPELLINGS).flatMap(([preset, all]) => all.map((spelt) => [spelt, preset])),
);

/** Place of an ARKit coefficient by whatever a model calls its shape; -1 where it is none.
 * `eyeBlinkLeft`, `EyeBlink_L`, `eyeBlink.L`, `LeftEyeBlink`, `head.blendShape1.EyeBlink_L`. */
export function arkitPlace(name) {
  for (const spelt of spellings(name)) {
    const place = SPELLINGS.get(spelt);
    if (place !== undefined) return place;
  }
  return -1;
}

/** Name of one of VRM's presets by what a model calls its shape, or null. */
export function presetOf(name) {
  for (const spelt of spellings(name)) {
    const preset = PRESET_OF.get(spelt);
    // A single letter at the end of a longer name is a side or a number, not a vowel.
    if (preset && (spelt.length > 1 || clean(name) === spelt)) return preset;
  }
  return null;
}

const clean = (text) => text.toLowerCase().replace(/[\s._:|/\\-]+/g, "");

/** The whole name, then without what stands before the first separator, and so on. */
function spellings(name) {
  const parts = String(name).split(/[\s._:|/\\-]+/).filter(Boolean);
  return parts.map((_, k) => parts.slice(k).join("").toLowerCase());
}

const limit = (value) => Math.min(Math.max(value, 0), 1);
const mean = (c, stem) => 0.5 * (c[PLACE.get(`${stem}Left`)] + c[PLACE.get(`${stem}Right`)]);
const of = (c, name) => c[PLACE.get(name)];
// A model's mood often forbids it to blink or speak, however faint it is: none below this.
const MOOD_FROM = 0.25;
const mood = (value) => limit((value - MOOD_FROM) / (1 - MOOD_FROM));

// Vowels follow from the jaw and from how round the lips are, moods from the corners of the mouth
// and the brows: as rtrecon/avatar/vmc.py says them to programs with such models.
const PRESETS = {
  aa: (c) => of(c, "jawOpen") * (1 - Math.max(of(c, "mouthFunnel"), of(c, "mouthPucker"))),
  ih: (c) => mean(c, "mouthStretch") * (1 - of(c, "jawOpen")),
  ou: (c) => of(c, "mouthPucker") * (1 - of(c, "jawOpen")),
  ee: (c) => mean(c, "mouthStretch") * of(c, "jawOpen"),
  oh: (c) => of(c, "mouthFunnel"),
  blink: (c) => Math.min(of(c, "eyeBlinkLeft"), of(c, "eyeBlinkRight")),
  blinkLeft: (c) => of(c, "eyeBlinkLeft"),
  blinkRight: (c) => of(c, "eyeBlinkRight"),
  happy: (c) => mood(mean(c, "mouthSmile")),
  angry: (c) => mood(mean(c, "browDown") * (1 - mean(c, "mouthSmile"))),
  sad: (c) => mood(mean(c, "mouthFrown") * (1 - mean(c, "browDown"))),
  surprised: (c) => mood(mean(c, "browOuterUp") * (1 - mean(c, "browDown"))),
};
// A model that has one of these moves that part by ARKit's shapes: a preset besides would move it
// twice.
const INSTEAD = {
  aa: "jawOpen", ih: "mouthStretch", ou: "mouthPucker", ee: "mouthStretch", oh: "mouthFunnel",
  blink: "eyeBlink", blinkLeft: "eyeBlink", blinkRight: "eyeBlink",
  happy: "mouthSmile", angry: "browDown", sad: "mouthFrown", surprised: "browOuterUp",
};

/** Which presets to drive on a model, each with its value by (52,) coefficients.
 * @param arkit Set of places of the ARKit shapes that the model has
 * @param presets iterable of names of presets that it has */
export function presetsToDrive(arkit, presets) {
  const has = new Set(presets);
  const covered = (stem) => ARKIT_NAMES.some((name, k) => arkit.has(k) && name.startsWith(stem));
  const mouthIsArkit = covered("jawOpen");
  return [...has].filter((preset) => {
    if (!PRESETS[preset] || covered(INSTEAD[preset])) return false;
    if (preset === "blink" && has.has("blinkLeft") && has.has("blinkRight")) return false;
    return !(mouthIsArkit && preset.length === 2);
  }).map((preset) => ({ preset, value: (c) => limit(PRESETS[preset](c)) }));
}

/** Place of a coefficient by ARKit's name. */
export const placeOf = (name) => PLACE.get(name);
