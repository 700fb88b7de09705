// Validate GLB files with Khronos' validator; exit code 1 on any error or warning.
// Usage: npm install gltf-validator && node tools/validate_glb.mjs FILE.glb ...
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const validator = createRequire(join(process.cwd(), "/"))("gltf-validator");
let bad = 0;
for (const file of process.argv.slice(2)) {
  const report = await validator.validateBytes(new Uint8Array(readFileSync(file)));
  const { numErrors, numWarnings, numInfos, messages } = report.issues;
  console.log(`${file}: ${numErrors} errors, ${numWarnings} warnings, ${numInfos} infos`);
  for (const message of messages) console.log(`  ${message.code} ${message.pointer}: ${message.message}`);
  if (numErrors + numWarnings > 0) bad += 1;
}
process.exit(bad > 0 || process.argv.length < 3 ? 1 : 0);
