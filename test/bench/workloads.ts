/** The shared workloads: what a step is, in float32, is the same on every library that is compared. */
import { jit, type Lowered, lax, type NDArray, np, random, valueAndGrad } from "../../index.ts";
import * as nn from "../../nn/index.ts";
import { adam, applyUpdates } from "../../optim/index.ts";

/** One step, ending with its result on the host. */
export type Step = () => Promise<unknown>;
/** One step of training, and the program it runs. */
export type TrainStep = Step & { readonly lower: () => Lowered };

const key = (i: number): NDArray => random.key(i);

/** Value and gradient of a loss, and Adam: all parameters computed and the loss on the host. */
function train<P, X, Y>(params: P, loss: (p: P, x: X, y: Y) => NDArray, x: X, y: Y): TrainStep {
  const optimizer = adam(1e-3);
  const value = valueAndGrad(loss);
  const step = jit(
    (p: P, s: unknown, a: X, b: Y) => {
      const [l, g] = value(p, a, b);
      const [updates, next] = optimizer.update(g as P, s, p);
      return [l, applyUpdates(p, updates), next] as const;
    },
    { donateArgnums: [0, 1], name: "step" },
  ) as unknown as {
    (p: P, s: unknown, a: X, b: Y): readonly [NDArray, P, unknown];
    lower(p: P, s: unknown, a: X, b: Y): Lowered;
  };
  let p = params;
  let s: unknown = optimizer.init(params);
  const run = async (): Promise<unknown> => {
    const [l, nextP, nextS] = step(p, s, x, y);
    p = nextP;
    s = nextS;
    return l.data();
  };
  return Object.assign(run, { lower: () => step.lower(p, s, x, y) });
}

const crossEntropy = (logits: NDArray, labels: NDArray): NDArray =>
  nn.softmaxCrossEntropyWithIntegerLabels(logits, labels).mean();
const classes = (n: number, c: number): NDArray =>
  np.array(Int32Array.from({ length: n }, (_, i) => i % c));

function mlp(): TrainStep {
  const sizes = [784, 512, 512, 10];
  const params = sizes.slice(1).map((n, i) => ({
    w: random.normal(key(i), [sizes[i] as number, n]).mul(0.05),
    b: np.zeros([n]),
  }));
  return train(
    params,
    (p, x, y) => crossEntropy(nn.mlp(p, x), y),
    random.uniform(key(9), [128, 784]),
    classes(128, 10),
  );
}

function cnn(): TrainStep {
  const params = {
    c1: random.normal(key(0), [32, 1, 3, 3]).mul(0.1),
    c2: random.normal(key(1), [64, 32, 3, 3]).mul(0.05),
    w: random.normal(key(2), [64 * 49, 10]).mul(0.02),
    b: np.zeros([10]),
  };
  const pool = (x: NDArray): NDArray =>
    lax.reduceWindowMax(x, {
      windowDimensions: [1, 1, 2, 2],
      windowStrides: [1, 1, 2, 2],
      padding: "VALID",
    });
  const conv = (x: NDArray, w: NDArray): NDArray =>
    pool(nn.relu(lax.convGeneralDilated(x, w, [1, 1], "SAME")));
  const loss = (p: typeof params, x: NDArray, y: NDArray): NDArray =>
    crossEntropy(
      conv(conv(x, p.c1), p.c2)
        .reshape([32, 64 * 49])
        .matmul(p.w)
        .add(p.b),
      y,
    );
  return train(params, loss, random.uniform(key(9), [32, 1, 28, 28]), classes(32, 10));
}

function gpt(): TrainStep {
  const [D, H, L, T, B, V] = [128, 4, 4, 64, 8, 256];
  let k = 0;
  const R = (...shape: number[]): NDArray => random.normal(key(k++), shape).mul(0.02);
  const params = {
    tok: R(V, D),
    pos: R(T, D),
    g: np.ones([D]),
    b: np.zeros([D]),
    blocks: Array.from({ length: L }, () => ({
      g1: np.ones([D]),
      b1: np.zeros([D]),
      qkv: R(D, 3 * D),
      o: R(D, D),
      g2: np.ones([D]),
      b2: np.zeros([D]),
      w1: R(D, 4 * D),
      c1: np.zeros([4 * D]),
      w2: R(4 * D, D),
      c2: np.zeros([D]),
    })),
  };
  const norm = (x: NDArray, g: NDArray, b: NDArray): NDArray => nn.standardize(x).mul(g).add(b);
  const loss = (p: typeof params, x: NDArray, y: NDArray): NDArray => {
    let h = p.tok.get(x).add(p.pos);
    const mask = np.where(np.tri(T, T, { dtype: "bool" }), 0, -1e9);
    const heads = (z: NDArray): NDArray => z.reshape([B, T, H, D / H]).transpose([0, 2, 1, 3]);
    for (const b of p.blocks) {
      const [q, kk, v] = np.split(norm(h, b.g1, b.b1).matmul(b.qkv), 3, -1).map(heads) as [
        NDArray,
        NDArray,
        NDArray,
      ];
      const scores = q
        .matmul(kk.swapaxes(-1, -2))
        .div(Math.sqrt(D / H))
        .add(mask);
      const mixed = nn.softmax(scores).matmul(v).transpose([0, 2, 1, 3]).reshape([B, T, D]);
      h = h.add(mixed.matmul(b.o));
      const wide = nn.gelu(norm(h, b.g2, b.b2).matmul(b.w1).add(b.c1));
      h = h.add(wide.matmul(b.w2).add(b.c2));
    }
    return crossEntropy(norm(h, p.g, p.b).matmul(p.tok.T), y);
  };
  const ids = np.array(
    Int32Array.from({ length: B * T }, (_, i) => (i * 7) % V),
    { shape: [B, T] },
  );
  return train(params, loss, ids, ids);
}

/** A step that computes one array and gives its memory back. */
const once =
  (f: () => NDArray): Step =>
  async () => {
    const y = f();
    await y.blockUntilReady();
    y.dispose();
  };

function softmax(): Step {
  const x = random.normal(key(0), [4096, 1024]);
  const f = jit((v: NDArray) => nn.softmax(v, -1), { name: "softmax" });
  return once(() => f(x));
}
function geluchain(): Step {
  const x = random.normal(key(0), [1 << 22]);
  const f = jit((v: NDArray) => nn.gelu(np.tanh(v).mul(1.5).add(0.5)), { name: "geluchain" });
  return once(() => f(x));
}
function eager1000(): Step {
  const x = np.ones([8, 8]);
  return async () => {
    let h = x;
    for (let i = 0; i < 1000; i++) h = np.sin(h.mul(0.5));
    return h.data();
  };
}
function jitcall1000(): Step {
  const x = np.ones([8]);
  const f = jit((v: NDArray) => np.sin(v).mul(2), { name: "sin2" });
  return async () => {
    let h = x;
    for (let i = 0; i < 1000; i++) h = f(h);
    return h.data();
  };
}
function matmul1024(): Step {
  const a = random.uniform(key(0), [1024, 1024]);
  const b = random.uniform(key(1), [1024, 1024]);
  const f = jit((x: NDArray, y: NDArray) => np.matmul(x, y), { name: "matmul" });
  return once(() => f(a, b));
}

/** name ↦ a fresh step function */
/** The steps of training. */
export const training = { mlp, cnn, gpt } as const;

export const workloads: { readonly [name: string]: () => Step } = {
  mlp,
  cnn,
  gpt,
  softmax,
  geluchain,
  eager1000,
  jitcall1000,
  matmul1024,
};
