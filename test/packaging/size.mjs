#!/usr/bin/env node
// Bundles what a page loads to use the library with the WebAssembly backend, and prints its size. Exits with 1 where the
// compressed bundle is larger than the limit.
//
// esbuild bundles and minifies, as vite does unless told otherwise; terser then goes over it, as vite does with
// `build.minify: "terser"`. Both sizes are printed, and the limit is for the second. terser's names compress better: it names
// the first parameter of every function alike, where esbuild gives short names to what is used often. (swc comes to the same
// size as terser, oxc is between.)
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";

const limit = 120_000;
const root = join(import.meta.dirname, "..", "..");
const project = mkdtempSync(join(tmpdir(), "cotangent-size-"));
const sh = (command, args, cwd) =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
const kilo = (n) => `${(n / 1000).toFixed(1)} KB`;

try {
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "user", private: true }));
  sh(
    "npm",
    ["install", "--no-audit", "--no-fund", "--silent", "esbuild@0.25", "terser@5"],
    project,
  );
  const installed = createRequire(join(project, "package.json"));
  const { outputFiles } = installed("esbuild").buildSync({
    entryPoints: [join(root, "dist", "index.js")],
    outdir: join(project, "out"),
    bundle: true,
    // what is imported only when it is asked for is no part of what a page loads
    splitting: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    define: { "process.env.NODE_ENV": '"production"' },
  });
  const texts = new Map(outputFiles.map((f) => [basename(f.path), f.text]));
  const loaded = new Set(["index.js"]);
  for (const name of loaded)
    for (const [, other] of texts.get(name).matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g))
      loaded.add(other);

  const sizes = { esbuild: { minified: 0, compressed: 0 }, terser: { minified: 0, compressed: 0 } };
  const count = (tool, code) => {
    sizes[tool].minified += Buffer.byteLength(code);
    sizes[tool].compressed += gzipSync(code, { level: 9 }).length;
  };
  for (const name of loaded) {
    const text = texts.get(name);
    count("esbuild", text);
    const options = { module: true, ecma: 2022, compress: { passes: 2 } };
    count("terser", (await installed("terser").minify(text, options)).code);
  }
  for (const [tool, { minified, compressed }] of Object.entries(sizes))
    console.log(`${tool.padEnd(8)} minified ${kilo(minified)}, compressed ${kilo(compressed)}`);
  const { compressed } = sizes.terser;
  console.log(`size     ${kilo(compressed)} of ${kilo(limit)}`);
  if (compressed > limit) {
    console.error(
      `size: the compressed bundle must have at most ${limit} bytes; got ${compressed}`,
    );
    process.exitCode = 1;
  }
} finally {
  rmSync(project, { recursive: true, force: true });
}
