#!/usr/bin/env node
// Checks that every file imports only from places to its left in the order of ARCHITECTURE.md, type imports
// included, and that there are no cycles. Prints each violation and exits with 1.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { parseSync, Visitor } from "oxc-parser";

const root = join(import.meta.dirname, "..");

/** Places from left to right; a file belongs to the longest one that its path starts with. Places in one row do
 *  not see each other, except a folder's face and the folder itself. */
const order = [
  ["core/errors.ts", "core/maps.ts"],
  ["core/hash.ts"],
  ["core/dtype.ts", "core/shape.ts"],
  ["core/aval.ts"],
  ["core/ndarray.ts"],
  ["core/tree/", "core/tree.ts"],
  ["core/kernel/"],
  ["core/primitive.ts"],
  ["core/ir/"],
  ["core/trace.ts"],
  ["core/program/"],
  ["core/backend/"],
  ["core/array.ts"],
  ["core/eval.ts"],
  ["core/ops/"],
  ["core/numpy/"],
  ["core/random/", "core/lax/"],
  ["transforms/"],
  ["nn/"],
  ["optim/"],
  ["index.ts"],
  ["examples/", "test/"],
];
/** What a place may not import although it stands to the left: optim sees core only. */
const forbidden = {
  "optim/": ["transforms/", "nn/"],
  "core/random/": ["core/numpy/"],
  "core/lax/": ["core/numpy/"],
};

const placeOf = (file) => {
  let best = null;
  order.forEach((places, rank) => {
    for (const place of places)
      if (file.startsWith(place) && (best === null || place.length > best.place.length))
        best = { place, rank };
  });
  return best;
};

const files = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((e) => e.isFile() && e.name.endsWith(".ts"))
  .map((e) => relative(root, join(e.parentPath ?? e.path, e.name)))
  .filter((f) => !/^(node_modules|dist|out)\//.test(f) && !f.endsWith(".config.ts"));

const imports = new Map();
const problems = [];
for (const file of files) {
  const { module, program, errors } = parseSync(file, readFileSync(join(root, file), "utf8"));
  if (errors.length > 0) problems.push(`${file}: ${errors[0].message}`);
  const targets = new Set();
  const sources = [
    ...module.staticImports.map((i) => i.moduleRequest.value),
    ...module.staticExports.flatMap((e) => e.entries.map((x) => x.moduleRequest?.value)),
  ];
  // import("./x.ts") as an expression and as a type
  const note = ({ source }) => sources.push(source.value);
  new Visitor({ ImportExpression: note, TSImportType: note }).visit(program);
  for (const source of sources) {
    if (typeof source !== "string" || !source.startsWith(".")) continue;
    targets.add(relative(root, join(root, dirname(file), source)));
  }
  imports.set(file, [...targets]);
}

for (const [file, targets] of imports) {
  const from = placeOf(file);
  if (from === null) {
    problems.push(`${file} is in no known place`);
    continue;
  }
  for (const target of targets) {
    const to = placeOf(target);
    if (to === null) problems.push(`${file} -> ${target}: the target is in no known place`);
    else if (to.rank > from.rank)
      problems.push(`${file} -> ${target}: imports go to the left only`);
    else if (
      to.rank === from.rank &&
      to.place !== from.place &&
      !from.place.startsWith("core/tree") &&
      from.place.startsWith("core/") &&
      from.rank > 1
    )
      problems.push(`${file} -> ${target}: these places do not see each other`);
    else if (forbidden[from.place]?.includes(to.place))
      problems.push(`${file} -> ${target}: ${from.place} does not see ${to.place}`);
    if (!file.startsWith("test/") && target.startsWith("test/"))
      problems.push(`${file} -> ${target}: nothing imports test`);
  }
}

// depth-first search for cycles
const state = new Map();
const path = [];
const visit = (file) => {
  if (state.get(file) === "done") return;
  if (state.get(file) === "open") {
    problems.push(`cycle: ${[...path.slice(path.indexOf(file)), file].join(" -> ")}`);
    return;
  }
  state.set(file, "open");
  path.push(file);
  for (const target of imports.get(file) ?? []) visit(target);
  path.pop();
  state.set(file, "done");
};
for (const file of files) visit(file);

if (problems.length > 0) {
  console.error(problems.join("\n"));
  console.error(`boundaries: ${problems.length} problems in ${files.length} files`);
  process.exit(1);
}
console.log(`boundaries: ${files.length} files, imports go one way, no cycles`);
