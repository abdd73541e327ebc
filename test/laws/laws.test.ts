/** The laws on random programs: 240 in `npm test`, LAWS_RUNS of them in `npm run laws`. A failure prints the program,
 *  shrunk, and the seed with which it comes again (LAWS_SEED). */
import fc from "fast-check";
import { expect, it } from "vitest";
import { type LawReport, arb, type Program, transformsAgree } from "../kit/index.ts";

const runs = Number(process.env["LAWS_RUNS"] ?? 240);
const seed = Number(process.env["LAWS_SEED"] ?? 20_260);
const long = process.env["LAWS_RUNS"] !== undefined;

const totals = { programs: 0, operations: 0, deepest: 0, differences: 0, rough: 0 };

function count(p: Program, report: LawReport): void {
  totals.programs++;
  totals.operations += p.steps.length;
  totals.deepest = Math.max(totals.deepest, p.depth);
  totals.differences += report.differences;
  totals.rough += report.rough;
  if (long && totals.programs % 50 === 0)
    process.stdout.write(`${totals.programs} of ${runs} programs, depth up to ${totals.deepest}\n`);
}

for (const subset of ["smooth", "full"] as const)
  it(`${runs / 2} ${subset} programs obey the laws on both backends (seed ${seed})`, () => {
    fc.assert(
      fc.property(arb.program({ subset }), (p) => count(p, transformsAgree(p))),
      { numRuns: Math.ceil(runs / 2), seed, endOnFailure: false },
    );
  }, 3_600_000);

it("the programs were deep, and differences told something", () => {
  process.stdout.write(
    `${totals.programs} programs, ${totals.operations} operations, depth up to ${totals.deepest}; ` +
      `${totals.differences} derivatives compared with differences, ${totals.rough} too rough for them\n`,
  );
  expect(totals.programs).toBeGreaterThanOrEqual(runs);
  expect(totals.deepest).toBeGreaterThanOrEqual(25);
  expect(totals.differences).toBeGreaterThan(10 * totals.rough);
});
