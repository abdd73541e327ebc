/** Every `@example expr  // => value` in the sources is run. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import "../core/backend/reference/index.ts";
import * as cotangent from "../index.ts";
import * as tree from "../core/tree/index.ts";
import * as nn from "../nn/index.ts";
import * as optim from "../optim/index.ts";

const root = join(import.meta.dirname, "..");
const folders = ["core", "transforms", "nn", "optim"];

interface Example {
  readonly where: string;
  readonly code: string;
  readonly value: string;
}

/** Examples on one line: `@example code  // => value`. */
function examplesIn(file: string): Example[] {
  const found: Example[] = [];
  readFileSync(join(root, file), "utf8")
    .split("\n")
    .forEach((line, i) => {
      const match = /@example (.*?)\s*\/\/ => (.*?)(?:\s*\*\/)?\s*$/.exec(line);
      if (match)
        found.push({
          where: `${file}:${i + 1}`,
          code: match[1] as string,
          value: match[2] as string,
        });
    });
  return found;
}

const files = folders.flatMap((folder) =>
  (readdirSync(join(root, folder), { recursive: true }) as string[])
    .filter((f) => f.endsWith(".ts"))
    .map((f) => join(folder, f)),
);
const examples = files.flatMap(examplesIn);

// the names that a user would have imported; functions of np, lax and tree also by their own names
const scope: { readonly [name: string]: unknown } = {
  ...cotangent.tree,
  ...cotangent.lax,
  ...nn.initializers,
  ...cotangent.np,
  ...optim,
  ...nn,
  ...cotangent,
  optim,
  nn,
  tree,
};
const usable = (n: string): boolean =>
  /^[A-Za-z_$][\w$]*$/.test(n) && n !== "var" && n !== "default";

const AsyncFunction = (async () => {}).constructor as FunctionConstructor;
/** An expression of the examples, with type annotations of parameters taken off; names of the file that it
 *  stands in come first. */
async function run(code: string, file: string): Promise<unknown> {
  const own = (await import(join(root, file))) as { readonly [name: string]: unknown };
  const names = [...new Set([...Object.keys(own), ...Object.keys(scope)])].filter(usable);
  const plainCode = code.replace(/(\w)\s*: (?:NDArray|Params|number)(?=[,)])/g, "$1");
  return new AsyncFunction(...names, `"use strict"; return (${plainCode});`)(
    ...names.map((n) => own[n] ?? scope[n]),
  );
}
const plain = (x: unknown): unknown => (x instanceof cotangent.NDArray ? x.toArray() : x);

test("there are examples", () => {
  expect(examples.length).toBeGreaterThan(50);
});
describe("examples in docstrings", () => {
  for (const { where, code, value } of examples)
    test(`${where} ${code}`, async () => {
      const file = where.replace(/:\d+$/, "");
      expect(plain(await run(code, file))).toEqual(plain(await run(value, file)));
    });
});
