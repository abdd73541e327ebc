/** `npm run sweep`: time per operation of a dot product, a convolution, a sum and a softmax of n × n at many sizes, jitted.
 *  Fails when a size above 64 is more than 2.5 times slower per operation than its neighbour. */
import { SingleBar } from "cli-progress";
import { jit, lax, type NDArray, np, random } from "../../index.ts";
import * as nn from "../../nn/index.ts";

const limit = 2.5;
const from = 64;
const range = (low: number, high: number): number[] =>
  Array.from({ length: high - low + 1 }, (_, i) => low + i);
const sizes = [...range(1, 70), ...range(127, 129), ...range(255, 257), 1000, 1023];

interface Subject {
  readonly name: string;
  readonly operations: (n: number) => number;
  readonly inputs: (n: number) => readonly NDArray[];
  readonly f: (...x: NDArray[]) => NDArray;
}
const square = (n: number): NDArray => random.uniform(random.key(n), [n, n]);
const features = [4, 8] as const;
const subjects: readonly Subject[] = [
  {
    name: "dot",
    operations: (n) => 2 * n ** 3,
    inputs: (n) => [square(n), square(n)],
    f: (x, y) => np.matmul(x as NDArray, y as NDArray),
  },
  {
    name: "conv",
    operations: (n) => 2 * n * n * 9 * features[0] * features[1],
    inputs: (n) => [
      random.uniform(random.key(n), [1, features[0], n, n]),
      random.uniform(random.key(1), [features[1], features[0], 3, 3]),
    ],
    f: (x, w) => lax.convGeneralDilated(x as NDArray, w as NDArray, [1, 1], "SAME"),
  },
  {
    name: "sum",
    operations: (n) => n * n,
    inputs: (n) => [square(n)],
    f: (x) => (x as NDArray).sum(1),
  },
  {
    name: "softmax",
    operations: (n) => n * n,
    inputs: (n) => [square(n)],
    f: (x) => nn.softmax(x as NDArray, -1),
  },
];

/** A case measures itself for some milliseconds and keeps the least time of a call. */
interface Case {
  readonly n: number;
  readonly operations: number;
  readonly measure: (budget: number) => void;
  best: number;
}
function caseOf({ name, operations, inputs, f }: Subject, n: number): Case {
  const compiled = jit(f, { name });
  const xs = inputs(n);
  const call = (): void => compiled(...xs).dispose();
  call();
  const start = performance.now();
  call();
  // batches of about half a millisecond
  const calls = Math.max(1, Math.ceil(0.5 / (performance.now() - start + 1e-4)));
  const self: Case = {
    n,
    operations: operations(n),
    best: Number.POSITIVE_INFINITY,
    measure: (budget) => {
      const end = performance.now() + budget;
      let batches = 0;
      for (let now = performance.now(); now < end || batches < 3; batches++) {
        for (let i = 0; i < calls; i++) call();
        const after = performance.now();
        self.best = Math.min(self.best, (after - now) / calls);
        now = after;
      }
    },
  };
  self.measure(80);
  return self;
}
const perOperation = (c: Case): number => c.best / c.operations;

/** How much slower per operation a size is than the better of its neighbours. */
function slowdown(cases: readonly Case[], at: number): number {
  const neighbours = [cases[at - 1], cases[at + 1]].filter((c) => c !== undefined);
  return perOperation(cases[at] as Case) / Math.min(...neighbours.map(perOperation));
}

const only = process.argv.slice(2);
let flagged = 0;
for (const subject of subjects.filter((s) => only.length === 0 || only.includes(s.name))) {
  const bar = new SingleBar({ format: `${subject.name} [{bar}] n = {n}`, noTTYOutput: false });
  bar.start(sizes.length, 0, { n: 0 });
  const cases = sizes.map((n, i) => {
    bar.update(i, { n });
    return caseOf(subject, n);
  });
  bar.update(sizes.length, { n: "all" });
  bar.stop();
  const lines: string[] = [];
  cases.forEach((c, i) => {
    // a slow one may have been unlucky: it and its neighbours get more chances
    for (let retry = 0; retry < 4 && c.n > from && slowdown(cases, i) > limit; retry++)
      for (const d of cases.slice(Math.max(0, i - 1), i + 2)) d.measure(200);
    const slow = c.n > from && slowdown(cases, i) > limit;
    if (slow) flagged++;
    const ns = (1e6 * perOperation(c)).toPrecision(3);
    lines.push(
      `${subject.name} ${String(c.n).padStart(5)} ${(1e3 * c.best).toFixed(1).padStart(10)} µs ${ns.padStart(10)} ns an operation${slow ? `  ${slowdown(cases, i).toFixed(1)} times its neighbour` : ""}`,
    );
  });
  console.log(lines.join("\n"));
}
if (flagged > 0) {
  console.error(`sweep: ${flagged} sizes above ${from} are more than ${limit} times slower`);
  process.exit(1);
}
