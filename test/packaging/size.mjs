#!/usr/bin/env node
// Bundles what a page loads to use the library with the WebAssembly backend, and prints its size. Exits with 1 where the
// compressed bundle is larger than the limit.
//
// The limit is for what vite 8 makes of it without any setting: rolldown bundles, its oxc minifies. esbuild, which vite 7
// minifies with, is printed beside it: it gives short names to what is used often, where oxc, terser and swc name the first
// parameter of every function alike, which compresses better. (terser and swc come within one percent of oxc.)
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

const limit = 120_000;
const root = join(import.meta.dirname, "..", "..");
const entry = join(root, "dist", "index.js");
const project = mkdtempSync(join(tmpdir(), "cotangent-size-"));
const define = { "process.env.NODE_ENV": '"production"' };

/** The code of a chunk and of all that it imports at once; what is imported when it is asked for is no part of it. */
function loadedFrom(name, chunks) {
  const names = new Set([name]);
  for (const n of names) for (const other of chunks.get(n).imports) names.add(other);
  return [...names].map((n) => chunks.get(n).code);
}

async function withRolldown({ rolldown }) {
  const bundle = await rolldown({ input: entry, transform: { define } });
  const { output } = await bundle.generate({ format: "esm", minify: true });
  const chunks = new Map(output.map((c) => [c.fileName, { code: c.code, imports: c.imports }]));
  return loadedFrom(output.find((c) => c.isEntry).fileName, chunks);
}

async function withEsbuild({ build }) {
  const outdir = join(project, "out");
  const options = { bundle: true, splitting: true, minify: true, write: false, metafile: true };
  const { outputFiles, metafile } = await build({
    ...options,
    entryPoints: [entry],
    absWorkingDir: project,
    outdir,
    format: "esm",
    target: "es2022",
    define,
  });
  const codes = new Map(outputFiles.map((f) => [relative(outdir, f.path), f.text]));
  const chunks = new Map(
    Object.entries(metafile.outputs).map(([path, { imports }]) => [
      relative("out", path),
      {
        code: codes.get(relative("out", path)),
        imports: imports
          .filter((i) => i.kind === "import-statement")
          .map((i) => relative("out", i.path)),
      },
    ]),
  );
  return loadedFrom("index.js", chunks);
}

const kilo = (n) => `${(n / 1000).toFixed(1)} KB`;
function report(what, codes) {
  const minified = codes.reduce((n, code) => n + Buffer.byteLength(code), 0);
  const compressed = codes.reduce((n, code) => n + gzipSync(code, { level: 9 }).length, 0);
  console.log(`${what.padEnd(13)} minified ${kilo(minified)}, compressed ${kilo(compressed)}`);
  return compressed;
}

try {
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "user", private: true }));
  const install = ["install", "--no-audit", "--no-fund", "--silent", "rolldown@1", "esbuild@0.25"];
  execFileSync("npm", install, { cwd: project, stdio: ["ignore", "ignore", "inherit"] });
  const { resolve } = createRequire(join(project, "package.json"));
  const load = async (name) => {
    const module = await import(pathToFileURL(resolve(name)).href);
    return module.default ?? module;
  };
  report("esbuild", await withEsbuild(await load("esbuild")));
  const compressed = report("rolldown, oxc", await withRolldown(await load("rolldown")));
  console.log(`compressed ${kilo(compressed)} of ${kilo(limit)}`);
  if (compressed > limit) {
    console.error(
      `size: the compressed bundle must have at most ${limit} bytes; got ${compressed}`,
    );
    process.exitCode = 1;
  }
} finally {
  rmSync(project, { recursive: true, force: true });
}
