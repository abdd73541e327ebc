/** Misuse gives the right error: class, form (`op: requirement; got values; remedy.`) and words. */
import { describe, expect, test } from "vitest";
import {
  BackendError,
  CotangentError,
  definePrimitive,
  DTypeError,
  grad,
  hessian,
  jit,
  jvp,
  lax,
  linearize,
  linearTranspose,
  makeJaxpr,
  type NDArray,
  noRule,
  np,
  random,
  RuleError,
  setBackend,
  ShapeError,
  slice,
  TraceError,
  tree,
  TreeError,
  valueAndGrad,
  vjp,
  vmap,
} from "../index.ts";
import * as nn from "../nn/index.ts";

type ErrorClass = new (message: string) => Error;
type Case = readonly [name: string, kind: ErrorClass, misuse: () => unknown];
// misuse is what types would stop: the cases go around them
// biome-ignore lint/suspicious/noExplicitAny: wrong calls on purpose
type Any = any;

const f32 = (...shape: number[]): NDArray => np.ones(shape);
const i32 = (...shape: number[]): NDArray => np.ones(shape, { dtype: "int32" });
const sum = (x: NDArray): NDArray => x.sum();
const concrete = (f: (x: NDArray) => unknown) => () =>
  jit((x: NDArray) => {
    f(x);
    return x;
  })(f32(3));
function leaked(transform: (f: (x: NDArray) => NDArray) => unknown): NDArray {
  let out: NDArray | undefined;
  transform((x) => {
    out = x;
    return x.sum();
  });
  return out as NDArray;
}
class Point {
  readonly x = 1;
}

const cases: readonly Case[] = [
  // shapes
  ["add of shapes that do not broadcast", ShapeError, () => f32(2, 3).add(f32(4))],
  [
    "where of shapes that do not broadcast",
    ShapeError,
    () => np.where(f32(2).greater(0), f32(2), f32(3)),
  ],
  ["matmul with unequal inner sizes", ShapeError, () => f32(2, 3).matmul(f32(4, 5))],
  ["matmul of a scalar", ShapeError, () => np.matmul(f32(2), 3)],
  ["dot with unequal sizes", ShapeError, () => np.dot(f32(2, 3), f32(4, 5))],
  ["tensordot over too many axes", ShapeError, () => np.tensordot(f32(2), f32(2), 2)],
  ["einsum with a missing letter", ShapeError, () => np.einsum("ij->ij", f32(2, 3, 4))],
  ["einsum with unequal sizes", ShapeError, () => np.einsum("ij,jk->ik", f32(2, 3), f32(4, 5))],
  ["einsum with an unknown output label", ShapeError, () => np.einsum("ij->ik", f32(2, 3))],
  ["reshape to another size", ShapeError, () => f32(6).reshape([4, 2])],
  ["reshape with two free sizes", ShapeError, () => f32(6).reshape([-1, -1])],
  ["concatenate along a missing axis", ShapeError, () => np.concatenate([f32(2), f32(3)], 1)],
  ["concatenate of unequal shapes", ShapeError, () => np.concatenate([f32(2, 3), f32(2, 4)], 0)],
  ["concatenate of nothing", ShapeError, () => np.concatenate([])],
  ["stack of unequal shapes", ShapeError, () => np.stack([f32(2), f32(3)])],
  ["split into unequal parts", ShapeError, () => np.split(f32(5), 2)],
  ["squeeze of an axis that is not 1", ShapeError, () => f32(2, 3).squeeze(0)],
  ["broadcastTo a smaller shape", ShapeError, () => np.broadcastTo(f32(3), [2])],
  ["zeros of a NaN size", ShapeError, () => np.zeros([Number.NaN])],
  ["zeros of a negative size", ShapeError, () => np.zeros([-1])],
  ["zeros of a fractional size", ShapeError, () => np.zeros([1.5])],
  ["arange with step 0", ShapeError, () => np.arange(0, 3, 0)],
  ["ragged lists", ShapeError, () => np.array([[1, 2], [3]] as Any)],
  [
    "a Float32Array of the wrong length",
    ShapeError,
    () => np.array(new Float32Array(5), { shape: [2, 3] }),
  ],
  ["max of nothing", ShapeError, () => f32(0).max()],
  ["argmax of an empty axis", ShapeError, () => np.argmax(f32(0))],
  ["pad with a negative width", ShapeError, () => np.pad(f32(2), [-1, 0])],
  ["tril of a vector", ShapeError, () => np.tril(f32(3))],
  [
    "dense on the wrong number of features",
    ShapeError,
    () => nn.dense(nn.initialize(nn.denseInit(3, 2), random.key(0)), f32(4, 5)),
  ],
  [
    "convolution with wrong feature counts",
    ShapeError,
    () => lax.convGeneralDilated(f32(1, 3, 8, 8), f32(4, 2, 3, 3), [1, 1], "SAME"),
  ],
  // axes
  ["sum over a missing axis", ShapeError, () => f32(2, 3).sum(2)],
  ["sum over the same axis twice", ShapeError, () => f32(2, 3).sum([0, 0])],
  ["sum of a scalar over an axis", ShapeError, () => np.array(1).sum(0)],
  ["transpose with a missing axis", ShapeError, () => f32(2, 3).transpose([0])],
  ["transpose with a repeated axis", ShapeError, () => f32(2, 3).transpose([0, 0])],
  // dtypes
  ["an unknown dtype", DTypeError, () => np.zeros([2], { dtype: "float31" as Any })],
  ["astype of an unknown dtype", DTypeError, () => f32(2).astype("double" as Any)],
  ["a string as an operand", DTypeError, () => f32(2).add("1" as Any)],
  ["a string in a list", DTypeError, () => np.array(["a"] as Any)],
  ["undefined as an operand", DTypeError, () => f32(2).add(undefined as Any)],
  ["lax.add of two dtypes", DTypeError, () => lax.add(f32(2), i32(2))],
  ["lax.add of an integer array and a fraction", DTypeError, () => lax.add(i32(2), 0.5)],
  ["lax.sin of integers", DTypeError, () => lax.sin(i32(2))],
  ["bitwise and of floats", DTypeError, () => np.bitwiseAnd(f32(2), f32(2))],
  // indices
  ["an index out of range", ShapeError, () => f32(3).get(3)],
  ["a negative index out of range", ShapeError, () => f32(3).get(-4)],
  ["a fractional index", ShapeError, () => f32(3).get(0.5)],
  ["too many indices", ShapeError, () => f32(3).get(0, 0)],
  ["two ellipses", ShapeError, () => f32(2, 2).get("...", "...")],
  ["a float array as an index", DTypeError, () => f32(3).get(f32(2))],
  ["a mask of the wrong shape", ShapeError, () => f32(3).get(f32(2).greater(0))],
  ["a slice with step 0", ShapeError, () => f32(3).get(slice(0, 2, 0))],
  ["an update that does not fit", ShapeError, () => f32(3).at(slice(0, 2)).set(f32(3))],
  ["item of many elements", ShapeError, () => f32(3).item()],
  ["iterating over a scalar", ShapeError, () => [...np.array(1)]],
  // tracing
  ["item under jit", TraceError, concrete((x) => x.get(0).item())],
  ["toArray under jit", TraceError, concrete((x) => x.toArray())],
  ["a mask as an index under jit", TraceError, concrete((x) => x.get(x.greater(0)))],
  ["if (x) by comparison with an operator", CotangentError, concrete((x) => (x as Any) > 0)],
  ["arithmetic with an operator", CotangentError, () => (f32(2) as Any) + 1],
  ["item under vmap", TraceError, () => vmap((x: NDArray) => (x.item() ? x : x))(f32(3))],
  [
    "item under grad inside jit",
    TraceError,
    () => jit(grad((x: NDArray) => (x.sum().item() ? x.sum() : x.sum())))(f32(3)),
  ],
  ["a tracer leaked from grad", TraceError, () => leaked((f) => grad(f)(f32(3))).add(1)],
  ["a tracer leaked from jit", TraceError, () => leaked((f) => jit(f)(f32(3))).add(1)],
  [
    "printing a value of a leaked tracer",
    TraceError,
    () => leaked((f) => jit(f)(f32(3))).toArray(),
  ],
  ["an async function", TreeError, () => jit((async (x: NDArray) => x) as Any)(f32(2))],
  ["a function that returns nothing", TreeError, () => jit((() => {}) as Any)(f32(2))],
  ["a function that returns a string", DTypeError, () => jit((() => "a") as Any)(f32(2))],
  // grad
  ["a loss that is no scalar", ShapeError, () => grad((x: NDArray) => x.mul(2))(f32(3))],
  ["an integer loss", DTypeError, () => grad((x: NDArray) => x.sum().astype("int32"))(f32(3))],
  ["a loss that is a tree", TreeError, () => grad(((x: NDArray) => ({ x })) as Any)(f32(3))],
  [
    "an integer parameter, by its path",
    DTypeError,
    () =>
      grad((p: { a: NDArray; layers: { w: NDArray }[] }) => p.a.sum())({
        a: f32(2),
        layers: [{ w: i32(2) }],
      }),
  ],
  ["argnums out of range", ShapeError, () => grad(sum, { argnums: 1 as Any })(f32(3))],
  ["hasAux without a pair", TreeError, () => valueAndGrad(sum as Any, { hasAux: true })(f32(3))],
  ["grad of no function", TreeError, () => grad(f32(3) as Any)],
  ["grad without its argument", ShapeError, () => (grad(sum) as Any)()],
  // trees
  [
    "jvp with another structure",
    TreeError,
    () => jvp((x: Any) => x.a, [{ a: f32(2) }], [{ b: f32(2) }] as Any),
  ],
  ["jvp with another shape", ShapeError, () => jvp(sum, [f32(2)], [f32(3)])],
  ["jvp with another dtype", DTypeError, () => jvp(sum, [f32(2)], [i32(2)])],
  [
    "linearize called with another structure",
    TreeError,
    () => linearize(sum, f32(2))[1]({ a: f32(2) } as Any),
  ],
  [
    "vjp with a cotangent of another shape",
    ShapeError,
    () => vjp((x: NDArray) => x.mul(2), f32(2))[1](f32(3)),
  ],
  [
    "vjp with a cotangent of another structure",
    TreeError,
    () => vjp((x: NDArray) => ({ a: x }), f32(2))[1](f32(2) as Any),
  ],
  [
    "tree.map of two structures",
    TreeError,
    () =>
      tree.map(((a: number, b: number) => a + b) as Any, { layers: [{ w: 1 }] }, {
        layers: [{ w: 1, b: 2 }],
      } as Any),
  ],
  [
    "tree.unflatten with too few leaves",
    TreeError,
    () => tree.unflatten(tree.structure([1, 2]), [1]),
  ],
  [
    "a cyclic tree",
    TreeError,
    () => {
      const a: { self?: unknown } = {};
      a.self = a;
      return tree.leaves(a);
    },
  ],
  // vmap
  [
    "vmap over unequal sizes",
    ShapeError,
    () => vmap((x: NDArray, y: NDArray) => x.add(y))(f32(3), f32(4)),
  ],
  ["vmap over a missing axis", ShapeError, () => vmap(sum, 2)(f32(3))],
  ["vmap over a scalar", ShapeError, () => vmap((x: NDArray) => x)(np.array(1))],
  [
    "vmap with too few inAxes",
    TreeError,
    () => vmap((x: NDArray, y: NDArray) => x.add(y), [0])(f32(3), f32(3)),
  ],
  [
    "vmap with inAxes of another structure",
    TreeError,
    () => vmap((p: Any) => p.a, [{ b: 0 }])({ a: f32(3) }),
  ],
  ["vmap without any axis", ShapeError, () => vmap(sum, null)(f32(3))],
  ["vmap with a string axis", TreeError, () => vmap(sum, ["0"] as Any)(f32(3))],
  [
    "vmap with outAxes null for a batched result",
    ShapeError,
    () => vmap((x: NDArray) => x, 0, { outAxes: null })(f32(3)),
  ],
  // jit
  [
    "a static argument that cannot be compared",
    TreeError,
    () => jit((x: NDArray, _p: Point) => x, { staticArgnums: 1 })(f32(2), new Point()),
  ],
  [
    "an array as a static argument",
    TreeError,
    () => jit((x: NDArray) => x, { staticArgnums: 0 })(f32(2)),
  ],
  [
    "a string argument that is not static",
    DTypeError,
    () => jit((x: NDArray, _m: string) => x)(f32(2), "mean"),
  ],
  [
    "staticArgnums out of range",
    ShapeError,
    () => jit((x: NDArray) => x, { staticArgnums: -1 })(f32(2)),
  ],
  [
    "a donated array used again",
    BackendError,
    () => {
      const x = f32(100);
      jit((v: NDArray) => v.add(1), { donateArgnums: 0 })(x);
      return x.toArray();
    },
  ],
  [
    "a disposed array",
    BackendError,
    () => {
      const x = f32(100);
      x.dispose();
      return x.add(1);
    },
  ],
  ["makeJaxpr of no function", TreeError, () => makeJaxpr(3 as Any)],
  // rules
  [
    "the transpose of a function that is not linear",
    RuleError,
    () => linearTranspose((x: NDArray) => x.sin(), f32(2))(f32(2)),
  ],
  [
    "a primitive without a rule",
    RuleError,
    () => {
      const p = definePrimitive({
        name: `opaque${Math.random()}`.slice(0, 6) + Math.random().toString(36).slice(2),
        shape: ([x]) => [x as Any],
        jvp: noRule("it is opaque"),
        transpose: noRule("it is opaque"),
        batch: noRule("it is opaque"),
        lower: noRule("it is opaque"),
      });
      return grad((x: NDArray) => lax.bind(p, [x], {})[0]?.sum() as NDArray)(f32(2));
    },
  ],
  // files and backends
  ["an unknown backend", BackendError, () => setBackend("tpu")],
  ["the reference backend without its import", BackendError, () => setBackend("reference")],
  [
    "a truncated safetensors file",
    CotangentError,
    () => {
      const params = { w: f32(4, 4) };
      return nn.loadParams(params, nn.saveParams(params).slice(0, -3));
    },
  ],
  [
    "safetensors of another shape",
    CotangentError,
    () => nn.loadParams({ w: f32(2) }, nn.saveParams({ w: f32(3) })),
  ],
  [
    "safetensors without a parameter",
    CotangentError,
    () => nn.loadParams({ w: f32(2), b: f32(2) }, nn.saveParams({ w: f32(2) })),
  ],
  // random
  ["a key of the wrong shape", ShapeError, () => random.uniform(f32(3).astype("uint32"), [2])],
  ["uniform of a negative size", ShapeError, () => random.uniform(random.key(0), [-1])],
  ["hessian of a string", TreeError, () => hessian("f" as Any)],
];

const messageOf = (misuse: () => unknown): Error => {
  try {
    misuse();
  } catch (e) {
    return e as Error;
  }
  throw new Error("no error was thrown");
};
/** Words that differ from run to run or from machine to machine. */
const stable = (message: string): string =>
  message
    .replace(/(?:file:\/\/)?\/\S*?test\/errors\.test\.ts:\d+:\d+/g, "<user file>")
    .replace(/^opaque?\w*/, "opaque");

describe("misuse", () => {
  test("there are at least 60 cases", () => {
    expect(cases.length).toBeGreaterThanOrEqual(60);
  });
  for (const [name, kind, misuse] of cases)
    test(name, () => {
      const error = messageOf(misuse);
      expect(error).toBeInstanceOf(kind);
      expect(error.message).toMatch(/^[^;]+: [^;]+; got .+; .+\.$/s);
      expect(stable(error.message)).toMatchSnapshot();
    });
});
