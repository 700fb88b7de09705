// A sheet of all morph targets of a GLB or VRM as three.js and three-vrm draw them, and what they
// move; for the eye, and exit code 1 where a shape moves nothing.
// Usage: npm install three @pixiv/three-vrm playwright-core (Chromium: CHROMIUM, or /usr/bin/chromium),
//   then node tools/sheet_in_three.mjs FILE.glb|FILE.vrm OUT.png
import { createServer } from "node:http";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { extname, join } from "node:path";

const [file, out] = process.argv.slice(2);
const { chromium } = createRequire(join(process.cwd(), "/"))("playwright-core");
const page_html = `<!doctype html><script type="importmap">{"imports":{
 "three":"/node_modules/three/build/three.module.js",
 "three/addons/":"/node_modules/three/examples/jsm/",
 "@pixiv/three-vrm":"/node_modules/@pixiv/three-vrm/lib/three-vrm.module.js"}}</script>
<script type="module">
import * as THREE from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { VRMLoaderPlugin, VRMUtils } from "@pixiv/three-vrm";
const cell = 230, columns = 9;
const loader = new GLTFLoader();
loader.register((parser) => new VRMLoaderPlugin(parser));
const gltf = await loader.loadAsync("/head");
const vrm = gltf.userData.vrm;
if (vrm) VRMUtils.rotateVRM0(vrm);
const scene = new THREE.Scene();
scene.background = new THREE.Color(0xfafafa);
scene.add(gltf.scene, new THREE.HemisphereLight(0xffffff, 0x887766, 2.0));
const sun = new THREE.DirectionalLight(0xffffff, 2.0);
sun.position.set(0.6, 0.8, 1.5);
scene.add(sun);
scene.updateMatrixWorld(true);
const meshes = [];
let left = null, right = null;
gltf.scene.traverse((o) => {
  if (o.isMesh) meshes.push(o);
  if (o.name === "LeftEye") left = o;
  if (o.name === "RightEye") right = o;
});
const names = Object.keys(meshes[0].morphTargetDictionary);
const eyes = new THREE.Vector3().addVectors(
  left.getWorldPosition(new THREE.Vector3()), right.getWorldPosition(new THREE.Vector3())).multiplyScalar(0.5);
const camera = new THREE.PerspectiveCamera(18, 1, 0.05, 10);
const renderer = new THREE.WebGLRenderer({ antialias: true, preserveDrawingBuffer: true });
renderer.setSize(cell, cell);
const sheet = document.createElement("canvas");
sheet.width = cell * columns;
sheet.height = cell * Math.ceil((names.length + 1) / columns);
const ink = sheet.getContext("2d");
ink.font = "12px sans-serif";
const manager = vrm?.expressionManager;
function set(name, weight) {
  if (manager) manager.setValue(name, weight);
  else for (const m of meshes) m.morphTargetInfluences[m.morphTargetDictionary[name]] = weight;
}
function turn(name, weight) {  // radians, as a program that drives joints
  const match = /^eyeLook(In|Out|Up|Down)(Left|Right)$/.exec(name);
  if (!match) return;
  const joint = match[2] === "Left" ? left : right;
  const s = match[2] === "Left" ? 1 : -1, flip = vrm && vrm.meta.metaVersion === "0" ? -1 : 1;
  joint.rotation.set(0, 0, 0);
  if (match[1] === "In") joint.rotation.y = -s * 0.5 * weight;
  if (match[1] === "Out") joint.rotation.y = s * 0.5 * weight;
  if (match[1] === "Up") joint.rotation.x = -0.4 * weight * flip;
  if (match[1] === "Down") joint.rotation.x = 0.4 * weight * flip;
}
const point = new THREE.Vector3(), rest = new THREE.Vector3();
function report(name) {
  let most = 0, x = 0, y = 0, z = 0, sum = 0;
  for (const m of meshes) {
    const n = m.geometry.attributes.position.count;
    for (let i = 0; i < n; i += 3) {
      const was = m.morphTargetInfluences;
      m.getVertexPosition(i, point);
      m.morphTargetInfluences = m.morphTargetInfluences.map(() => 0);
      m.getVertexPosition(i, rest);
      m.morphTargetInfluences = was;
      const d = point.distanceTo(rest);
      if (d > most) { most = d; }
      m.localToWorld(rest);
      x += d * (rest.x - eyes.x); y += d * (rest.y - eyes.y); z += d * (rest.z - eyes.z); sum += d;
    }
  }
  return { name, most_mm: 1e3 * most, at_mm: [x, y, z].map((v) => Math.round(1e3 * v / (sum || 1))) };
}
const rows = [];
["", ...names].forEach((name, k) => {
  const custom = manager && /^0/.test(vrm.meta.metaVersion) ? name[0]?.toUpperCase() + name.slice(1) : name;
  const open = { tongueOut: 0.7, mouthClose: 1 }[name];
  if (name) { set(custom, 1); turn(name, 1); }
  if (manager) manager.update();
  if (name) rows.push(report(name));
  if (open) { set(manager && custom !== name ? "JawOpen" : "jawOpen", open); if (manager) manager.update(); }
  const yaw = 0.35;
  camera.position.set(eyes.x + 1.05 * Math.sin(yaw), eyes.y - 0.02, eyes.z + 1.05 * Math.cos(yaw));
  camera.lookAt(eyes.x, eyes.y - 0.045, eyes.z - 0.05);
  renderer.render(scene, camera);
  const at = [(k % columns) * cell, Math.floor(k / columns) * cell];
  ink.drawImage(renderer.domElement, ...at);
  ink.fillText(name || "neutral", at[0] + 5, at[1] + 14);
  if (name) { set(custom, 0); turn(name, 0); }
  if (open) set(manager && custom !== name ? "JawOpen" : "jawOpen", 0);
});
window.result = { rows, png: sheet.toDataURL("image/png"), vrm: vrm ? { version: vrm.meta.metaVersion,
  presets: Object.keys(manager.expressionMap).length, lookAt: vrm.lookAt?.applier?.constructor?.name,
  bones: Object.keys(vrm.humanoid.humanBones).length } : null, animations: gltf.animations.length };
</script>`;
const kinds = { ".js": "text/javascript", ".html": "text/html" };
const server = createServer((request, response) => {
  const path = new URL(request.url, "http://localhost").pathname;
  try {
    const body = path === "/" ? page_html : readFileSync(path === "/head" ? file : join(process.cwd(), path));
    response.setHeader("content-type", path === "/" ? "text/html" : kinds[extname(path)] ?? "application/octet-stream");
    response.end(body);
  } catch {
    response.statusCode = 404;
    response.end();
  }
}).listen(0, "127.0.0.1");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--enable-unsafe-swiftshader", "--use-angle=swiftshader"],
});
const page = await browser.newPage();
page.on("console", (message) => console.log("console:", message.text()));
page.on("pageerror", (error) => console.log("error:", error.message));
await page.goto(`http://127.0.0.1:${server.address().port}/`);
await page.waitForFunction(() => window.result, null, { timeout: 300000 });
const result = await page.evaluate(() => window.result);
await browser.close();
server.close();
writeFileSync(out, Buffer.from(result.png.split(",")[1], "base64"));
for (const row of result.rows) console.log(row.name.padEnd(22), row.most_mm.toFixed(1).padStart(6), "mm, about", row.at_mm.join(" "));
console.log(out, result.rows.length, "shapes", JSON.stringify(result.vrm), result.animations, "animations");
process.exit(result.rows.some((row) => !(row.most_mm > 0.5)) ? 1 : 0);
