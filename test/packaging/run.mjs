#!/usr/bin/env node
// Packs the library, installs the tarball in an empty project, and trains the same model under Node, under Deno,
// and as a bundle in headless Chromium. All must print the same loss to 1e-5.
import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { createRequire } from "node:module";

const here = import.meta.dirname;
const root = join(here, "..", "..");
const project = mkdtempSync(join(tmpdir(), "cotangent-pack-"));
const sh = (command, args, cwd = project) =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

function lossOf(where, output) {
  const match = /ok (\d+\.\d+)/.exec(output);
  if (match === null)
    throw new Error(`packaging: ${where} must print "ok <loss>"; got ${output.slice(-400)}`);
  console.log(`${where.padEnd(10)} ok ${match[1]}`);
  return Number(match[1]);
}

/** An installed Chromium, or a freshly installed one where that is possible. */
function findBrowser() {
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
  const found = () => {
    if (process.env.CHROME_PATH && existsSync(process.env.CHROME_PATH))
      return process.env.CHROME_PATH;
    for (const name of names) {
      const which = spawnSync("which", [name], { encoding: "utf8" });
      if (which.status === 0) return which.stdout.trim();
    }
    return null;
  };
  const have = found();
  if (have !== null) return have;
  if (process.getuid?.() === 0 && spawnSync("which", ["apt-get"]).status === 0) {
    const quiet = { stdio: ["ignore", "ignore", "inherit"] };
    spawnSync("apt-get", ["update", "-qq"], quiet);
    spawnSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "chromium"], quiet);
    const now = found();
    if (now !== null) return now;
  }
  throw new Error(
    "packaging: a Chromium must be installed; got none on PATH; install it or set CHROME_PATH.",
  );
}

async function inBrowser(folder) {
  const types = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };
  const server = createServer((request, response) => {
    const path = join(folder, request.url === "/" ? "index.html" : request.url.split("?")[0]);
    if (!existsSync(path)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      "content-type": types[extname(path)] ?? "application/octet-stream",
      // threads in a page
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
    response.end(readFileSync(path));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { chromium } = createRequire(join(project, "package.json"))("playwright-core");
  const browser = await chromium.launch({
    executablePath: findBrowser(),
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  try {
    const page = await browser.newPage();
    const lines = [];
    page.on("console", (message) => lines.push(message.text()));
    page.on("pageerror", (error) => lines.push(String(error)));
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page
      .waitForFunction(() => document.title.startsWith("ok"), null, { timeout: 120_000 })
      .catch(() => {});
    return [await page.title(), ...lines].join("\n");
  } finally {
    await browser.close();
    server.close();
  }
}

try {
  sh("npm", ["run", "--silent", "build"], root);
  const tarball = sh("npm", ["pack", "--silent", "--pack-destination", project], root)
    .trim()
    .split("\n")
    .at(-1);
  const inside = sh("tar", ["-tzf", tarball]).trim().split("\n");
  const stray = inside.filter(
    (f) =>
      !/^package\/(dist\/|package\.json|README\.md|LICENSE|CHANGELOG\.md|ARCHITECTURE\.md)/.test(f),
  );
  if (stray.length > 0)
    throw new Error(`packaging: the tarball must hold the build only; got ${stray.join(", ")}`);
  writeFileSync(
    join(project, "package.json"),
    JSON.stringify({ name: "user", private: true, type: "module" }),
  );
  sh("npm", ["install", "--no-audit", "--no-fund", "--silent", join(project, tarball)]);
  const { exports: entries } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  for (const entry of Object.keys(entries)) {
    const name = entry.replace(".", "cotangent");
    sh(process.execPath, ["--input-type=module", "-e", `await import(${JSON.stringify(name)})`]);
  }
  copyFileSync(join(here, "train.mjs"), join(project, "train.mjs"));
  lossOf("node", sh(process.execPath, ["train.mjs"]));
  // products round otherwise with fused multiply-add, which newer engines have without a flag: a training run that
  // amplifies it ends elsewhere, the same for all of them
  const fused =
    Number.parseInt(process.versions.v8, 10) < 12 ? ["--experimental-wasm-relaxed-simd"] : [];
  const losses = [lossOf("node, fused", sh(process.execPath, [...fused, "train.mjs"]))];

  sh("npm", [
    "install",
    "--no-audit",
    "--no-fund",
    "--silent",
    "deno@2",
    "vite@7",
    "playwright-core@1",
  ]);
  losses.push(
    lossOf(
      "deno",
      sh(join(project, "node_modules", ".bin", "deno"), [
        "run",
        "--quiet",
        "--no-lock",
        "--allow-all",
        "train.mjs",
      ]),
    ),
  );

  writeFileSync(
    join(project, "index.html"),
    '<!doctype html><title>running</title><script type="module" src="/train.mjs"></script>',
  );
  sh(join(project, "node_modules", ".bin", "vite"), ["build", "--logLevel", "error"]);
  losses.push(lossOf("chromium", await inBrowser(join(project, "dist"))));

  const spread = Math.max(...losses) - Math.min(...losses);
  if (spread > 1e-5)
    throw new Error(
      `packaging: all engines with fused multiply-add must learn alike; got losses ${losses.join(", ")}`,
    );
} finally {
  rmSync(project, { recursive: true, force: true });
}
