/** `npm run bench:grad`: what forgetting `jit` costs. For each loss the milliseconds of tracing its gradient, of the
 *  jitted gradient and of `grad` without `jit` once it is warm, and the last against its bound,
 *  twice the jitted time plus tracing. Each is the least of 30 calls, their order mixed. */
import { jit, makeJaxpr, type NDArray, np, random, slice, valueAndGrad } from "../../index.ts";
import * as nn from "../../nn/index.ts";

const key = (i: number): NDArray => random.key(i);
const layers = (...sizes: number[]): { w: NDArray; b: NDArray }[] =>
  sizes.slice(1).map((n, i) => ({
    w: random.normal(key(i), [sizes[i] as number, n]).mul(0.05),
    b: np.zeros([n]),
  }));
const labels = (n: number): NDArray => np.array(Int32Array.from({ length: n }, (_, i) => i % 10));
const crossEntropy = (logits: NDArray, y: NDArray): NDArray =>
  nn.softmaxCrossEntropyWithIntegerLabels(logits, y).mean();

interface Loss {
  readonly f: (p: never) => NDArray;
  readonly params: unknown;
}
const mlp = (batch: number, ...sizes: number[]): Loss => {
  const x = random.uniform(key(9), [batch, sizes[0] as number]);
  const y = labels(batch);
  return {
    f: (p: Parameters<typeof nn.mlp>[0]) => crossEntropy(nn.mlp(p, x), y),
    params: layers(...sizes),
  };
};
const losses: { readonly [name: string]: Loss } = {
  "sum of squares [8]": { f: (x: NDArray) => x.mul(x).sum(), params: np.ones([8]) },
  "rosenbrock [16]": {
    f: (x: NDArray) => {
      const [a, b] = [x.get(slice(15)), x.get(slice(1, 16))];
      return b.sub(a.square()).square().mul(100).add(np.subtract(1, a).square()).sum();
    },
    params: np.ones([16]),
  },
  "mlp 4·8·8·10, batch 8": mlp(8, 4, 8, 8, 10),
  "mlp 64·64·64·10, batch 32": mlp(32, 64, 64, 64, 10),
  "mlp 784·512·512·10, batch 128": mlp(128, 784, 512, 512, 10),
};

const calls = 30;
console.log(`${"loss".padEnd(32)}   tracing    jitted   without   bound  share of it`);
for (const [name, { f, params }] of Object.entries(losses)) {
  const plain = valueAndGrad(f as (p: unknown) => NDArray);
  const jitted = jit(plain) as (p: unknown) => unknown;
  const traced = makeJaxpr(plain as (p: unknown) => unknown);
  const ways = [() => traced(params), () => jitted(params), () => plain(params)];
  const best = ways.map(() => Number.POSITIVE_INFINITY);
  for (let i = 0; i < calls + 5; i++)
    for (const [k, way] of ways.entries()) {
      const start = performance.now();
      way();
      if (i >= 5) best[k] = Math.min(best[k] as number, performance.now() - start);
    }
  const [tracing, fast, slow] = best as [number, number, number];
  const bound = 2 * fast + tracing;
  const cells = [tracing, fast, slow, bound].map((t) => t.toFixed(3).padStart(9)).join(" ");
  console.log(`${name.padEnd(32)} ${cells}     ${(slow / bound).toFixed(2)}`);
}
