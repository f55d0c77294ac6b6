// Holds scalers of workers against the schema of KEDA: node keda.cjs FOLDER FILE…
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");

const [folder, ...files] = process.argv.slice(2);
const { parseAllDocuments } = createRequire(`${folder}/node_modules/`)("yaml");
const { validate } = require(`${folder}/node_modules/@kubernetes-models/keda/_schemas/KedaShV1alpha1ScaledObject.js`);

let right = true;
for (const file of files) {
  for (const document of parseAllDocuments(readFileSync(file, "utf8"))) {
    const found = document.errors.map(String);
    const value = document.toJS();
    if (value?.kind !== "ScaledObject") {
      found.push(`\`kind\` is ${value?.kind}, and no ScaledObject`);
    } else if (!validate(value)) {
      found.push(...validate.errors.map((it) => `${it.instancePath} ${it.schemaPath} ${JSON.stringify(it.params)}`));
    }
    for (const problem of found) {
      console.log(`${file}: ${problem}`);
      right = false;
    }
  }
}
process.exitCode = right && files.length > 0 ? 0 : 1;
