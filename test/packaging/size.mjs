#!/usr/bin/env node
// Bundles what a page loads to use the library with the WebAssembly backend, and prints its size. Exits with 1 where the
// compressed bundle is larger than the limit.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const limit = 120_000;
const root = join(import.meta.dirname, "..", "..");
const project = mkdtempSync(join(tmpdir(), "cotangent-size-"));
const sh = (command, args, cwd) =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

try {
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "user", private: true }));
  // the bundler that vite minifies with
  sh("npm", ["install", "--no-audit", "--no-fund", "--silent", "esbuild@0.25"], project);
  const { buildSync } = createRequire(join(project, "package.json"))("esbuild");
  const { outputFiles } = buildSync({
    entryPoints: [join(root, "dist", "index.js")],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
  });
  const code = outputFiles[0].contents;
  const compressed = gzipSync(code, { level: 9 }).length;
  const kilo = (n) => `${(n / 1000).toFixed(1)} KB`;
  console.log(`minified ${kilo(code.length)}, compressed ${kilo(compressed)} of ${kilo(limit)}`);
  if (compressed > limit) {
    console.error(
      `size: the compressed bundle must have at most ${limit} bytes; got ${compressed}`,
    );
    process.exitCode = 1;
  }
} finally {
  rmSync(project, { recursive: true, force: true });
}
