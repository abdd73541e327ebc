/** The coverage matrix: primitives × rules, every hole with its reason. No hole where JAX has a rule. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import "../index.ts";
import { NoRule, type Primitive, primitives } from "../core/primitive.ts";
import { allSamples } from "./samples/index.ts";

const rules = ["jvp", "transpose", "batch", "lower"] as const;
type JaxRules = { readonly [primitive: string]: { readonly [rule: string]: boolean } };
const jax = JSON.parse(
  readFileSync(join(import.meta.dirname, "golden", "jaxrules.json"), "utf8"),
) as JaxRules;

/** Higher-order primitives are exercised by the laws and the transform tests instead of samples. */
const higherOrder = new Set(["jit"]);
const all = [...primitives.values()]
  .filter((p) => !p.name.startsWith("opaque"))
  .sort((a, b) => (a.name < b.name ? -1 : 1));
const holeOf = (p: Primitive, rule: (typeof rules)[number]): NoRule | null => {
  const r = p[rule];
  return r instanceof NoRule ? r : null;
};

test("the matrix", () => {
  const reasons: string[] = [];
  const mark = (hole: NoRule | null): string => {
    if (hole === null) return "yes";
    let at = reasons.indexOf(hole.reason);
    if (at < 0) at = reasons.push(hole.reason) - 1;
    return `(${at + 1})`;
  };
  const lines = all.map((p) => {
    const count = allSamples.filter((s) => s.primitive === p.name).length;
    const cells = [
      "yes",
      ...rules.map((r) => (r === "lower" && p.inline ? "inline" : mark(holeOf(p, r)))),
    ];
    return `${p.name.padEnd(24)}${cells.map((c) => c.padEnd(11)).join("")}${count || "-"}`;
  });
  const head = `${"primitive".padEnd(24)}${["shape", ...rules, "samples"].map((r) => r.padEnd(11)).join("")}`;
  const notes = reasons.map((r, i) => `(${i + 1}) ${r}`);
  console.log([`coverage: ${all.length} primitives`, head, ...lines, ...notes].join("\n"));
  for (const r of reasons) expect(r.length).toBeGreaterThan(5);
});

test("every primitive has samples", () => {
  const have = new Set(allSamples.map((s) => s.primitive));
  expect(
    all.filter((p) => !have.has(p.name) && !higherOrder.has(p.name)).map((p) => p.name),
  ).toEqual([]);
});

test("there is no hole where JAX has a rule", () => {
  const missing = all.flatMap((p) =>
    (["jvp", "transpose", "batch"] as const).flatMap((rule) =>
      holeOf(p, rule) !== null && jax[p.name]?.[rule] === true ? [`${p.name}: ${rule}`] : [],
    ),
  );
  expect(missing).toEqual([]);
});
