// Puts the page's libraries, minified, and their licences into rtrecon/outputs/web/static/vendor/.
// The same versions give the same bytes.
// Usage: in an empty folder, npm install three@0.187.0 @pixiv/three-vrm@3.5.5 esbuild@0.25.12,
//   then there node PATH/OF/tools/vendor_web.mjs
import { createRequire } from "node:module";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "../rtrecon/outputs/web/static/vendor");
const modules = join(process.cwd(), "node_modules");
const { transformSync, version: esbuild } = createRequire(join(process.cwd(), "/"))("esbuild");
const version = (name) => JSON.parse(readFileSync(join(modules, name, "package.json"))).version;

const FILES = {
  "three/build/three.core.js": "three/three.core.js",
  "three/build/three.module.js": "three/three.module.js",
  "three/examples/jsm/controls/OrbitControls.js": "three/addons/controls/OrbitControls.js",
  "three/examples/jsm/loaders/GLTFLoader.js": "three/addons/loaders/GLTFLoader.js",
  "three/examples/jsm/libs/meshopt_decoder.module.js": "three/addons/libs/meshopt_decoder.module.js",
  "three/examples/jsm/utils/BufferGeometryUtils.js": "three/addons/utils/BufferGeometryUtils.js",
  "three/examples/jsm/utils/SkeletonUtils.js": "three/addons/utils/SkeletonUtils.js",
  "@pixiv/three-vrm/lib/three-vrm.module.js": "three-vrm/three-vrm.module.js",
};
const LICENCES = {
  "three/LICENSE": "three/LICENSE",
  "@pixiv/three-vrm/LICENSE": "three-vrm/LICENSE",
};

rmSync(out, { recursive: true, force: true });
for (const [from, to] of Object.entries(FILES)) {
  const target = join(out, to);
  mkdirSync(dirname(target), { recursive: true });
  const { code } = transformSync(readFileSync(join(modules, from), "utf8"), {
    minify: true,
    format: "esm",
    target: "es2022",
    legalComments: "inline",
    charset: "utf8",
  });
  writeFileSync(target, code);
}
for (const [from, to] of Object.entries(LICENCES)) copyFileSync(join(modules, from), join(out, to));
writeFileSync(
  join(out, "README.md"),
  `Other people's work, as shipped with the page; \`tools/vendor_web.mjs\` made these files.

| | version | licence |
|---|---|---|
| [three.js](https://threejs.org) | ${version("three")} | MIT, \`three/LICENSE\` |
| [three-vrm](https://github.com/pixiv/three-vrm) | ${version("@pixiv/three-vrm")} | MIT, \`three-vrm/LICENSE\` |

Minified one by one with esbuild ${esbuild}; nothing else is changed. \`meshopt_decoder\` (MIT, Arseny
Kapoulkine) comes with three.js.
`,
);
