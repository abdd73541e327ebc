/** Transforms at their edges: donation, captured and leaked values, errors halfway, caches, deep and nested programs. */
import { afterEach, describe, expect, it, vi } from "vitest";
import "../core/backend/reference/index.ts";
import { wasmBackend } from "../core/backend/wasm/backend.ts";
import {
  BackendError,
  grad,
  hessian,
  jit,
  jvp,
  linearize,
  linearTranspose,
  makeJaxpr,
  type NDArray,
  np,
  ShapeError,
  TraceError,
  TreeError,
  valueAndGrad,
  vjp,
  vmap,
  withBackend,
} from "../index.ts";

const two = (): NDArray => np.array([1, 2]);
const values = (x: NDArray): unknown => x.toArray();
const compilations = (): { readonly mock: { readonly calls: readonly unknown[] } } =>
  vi.spyOn(wasmBackend, "compile");
afterEach(() => {
  vi.restoreAllMocks();
});

describe("a donated argument", () => {
  const gone = (x: NDArray): void => expect(() => x.add(1)).toThrow(BackendError);

  it("is gone", () => {
    const x = two();
    const f = jit((a: NDArray) => a.add(1), { donateArgnums: 0 });
    expect(values(f(x))).toEqual([2, 3]);
    gone(x);
    expect(() => f(x)).toThrow(BackendError);
  });
  it("stays when another argument is the same array", () => {
    for (const donateArgnums of [[0], [0, 1]]) {
      const x = two();
      expect(values(jit((a: NDArray, b: NDArray) => a.mul(b), { donateArgnums })(x, x))).toEqual([
        1, 4,
      ]);
      expect(values(x)).toEqual([1, 2]);
    }
  });
  it("stays when it is returned, whole or reshaped", () => {
    const x = two();
    const f = jit((a: NDArray) => [a, a.reshape(2, 1), a.add(1)], { donateArgnums: 0 });
    expect(f(x).map(values)).toEqual([
      [1, 2],
      [[1], [2]],
      [2, 3],
    ]);
    expect(values(x)).toEqual([1, 2]);
  });
  it("stays when the function has captured it", () => {
    const x = two();
    const f = jit((a: NDArray) => a.mul(x), { donateArgnums: 0 });
    for (let i = 0; i < 3; i++) expect(values(f(x))).toEqual([1, 4]);
  });
  it("stays when its elements belong to another array too", () => {
    const x = two();
    const column = x.reshape(2, 1);
    jit((a: NDArray) => a.add(1), { donateArgnums: 0 })(x);
    expect(values(column)).toEqual([[1], [2]]);
  });
  it("that another jitted function has captured breaks that one with a clear error", () => {
    const x = two();
    const g = jit((a: NDArray) => a.add(x));
    g(two());
    jit((a: NDArray) => a.add(1), { donateArgnums: 0 })(x);
    expect(() => g(two())).toThrow(/disposed or donated/);
  });
  it("stays when an outer function is traced or differentiated", () => {
    const x = two();
    const f = jit((a: NDArray) => a.mul(a).sum(), { donateArgnums: 0 });
    expect(values(grad(f)(x))).toEqual([2, 4]);
    expect(values(jit((a: NDArray) => f(a).add(a))(x))).toEqual([6, 7]);
    expect(values(x)).toEqual([1, 2]);
  });
  it("stays when tracing throws", () => {
    const x = two();
    const f = jit(
      (a: NDArray): NDArray => {
        throw new RangeError(String(a.shape));
      },
      { donateArgnums: 0 },
    );
    expect(() => f(x)).toThrow(RangeError);
    expect(values(x)).toEqual([1, 2]);
  });
  it("has a number counted from 0", () => {
    expect(() => jit((a: NDArray) => a, { donateArgnums: -1 })).toThrow(ShapeError);
  });
});

describe("an exception in a traced function", () => {
  type Transform = (f: (x: NDArray) => NDArray) => (x: NDArray) => unknown;
  const transforms: { readonly [name: string]: Transform } = {
    jit,
    grad,
    vmap,
    hessian,
    makeJaxpr,
    valueAndGrad,
    jvp: (f) => (x) => jvp(f, [x], [x]),
    vjp: (f) => (x) => vjp(f, x),
    linearize: (f) => (x) => linearize(f, x),
    "jit of grad of vmap": (f) => jit((x: NDArray) => grad((y: NDArray) => vmap(f)(y).sum())(x)),
  };
  for (const [name, transform] of Object.entries(transforms))
    it(`under ${name} comes out and leaves nothing behind`, () => {
      let fails = true;
      const f = transform((x) => {
        const y = x.mul(x);
        if (fails) throw new RangeError("boom");
        return y.sum();
      });
      expect(() => f(two())).toThrow(RangeError);
      // the evaluator is in charge again
      expect(values(two().add(1))).toEqual([2, 3]);
      fails = false;
      expect(() => f(two())).not.toThrow();
    });
});

describe("a leaked tracer", () => {
  const leak = (): NDArray => {
    let out: NDArray | undefined;
    jit((x: NDArray) => {
      out = x;
      return x;
    })(two());
    return out as NDArray;
  };
  const uses: { readonly [name: string]: (x: NDArray) => unknown } = {
    "an operation": (x) => x.add(1),
    jit: jit((x: NDArray) => x.add(1)),
    "the constants of jit": (x) => jit((y: NDArray) => y.add(x))(two()),
    grad: grad((x: NDArray) => x.sum()),
    vmap: vmap((x: NDArray) => x.sum()),
    "the constants of vmap": (x) => vmap((y: NDArray) => y.add(x))(np.ones([3, 2])),
    vjp: (x) => vjp((y: NDArray) => y, x),
    jvp: (x) => jvp((y: NDArray) => y, [two()], [x]),
  };
  for (const [name, use] of Object.entries(uses))
    it(`is refused by ${name}`, () => expect(() => use(leak())).toThrow(TraceError));
  it("is not kept in what jit has traced", () => {
    // each call of `outer` gives `inner` another tracer to capture
    let captured: NDArray = two();
    const inner = jit((y: NDArray) => y.mul(captured));
    const outer = (x: NDArray): NDArray => {
      captured = x;
      return inner(two()).sum();
    };
    for (let i = 0; i < 3; i++) expect(values(grad(outer)(two()))).toEqual([1, 2]);
  });
});

describe("static arguments", () => {
  it("are told apart by value, −0, NaN and missing ones included", () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    let traces = 0;
    const f = jit(
      (x: NDArray, s?: unknown) => {
        traces++;
        return x.add(typeof s === "number" ? 1 / s : 0);
      },
      { staticArgnums: 1 },
    );
    const distinct = [0, -0, Number.NaN, "0", ["a"], { 0: "a" }, null, undefined, true, () => 0];
    for (let round = 0; round < 2; round++) for (const s of distinct) f(two(), s);
    f(two());
    expect(traces).toBe(distinct.length + 1);
    expect(values(f(np.zeros([1]), 0))).toEqual([Number.POSITIVE_INFINITY]);
    expect(values(f(np.zeros([1]), -0))).toEqual([Number.NEGATIVE_INFINITY]);
  });
  it("are compared by structure, whatever the order of keys", () => {
    let traces = 0;
    const f = jit(
      (x: NDArray, s: { a: number; b: number[] }) => {
        traces++;
        return x.mul(s.a);
      },
      { staticArgnums: 1 },
    );
    f(two(), { a: 1, b: [2] });
    f(two(), { b: [2], a: 1 });
    expect(traces).toBe(1);
    f(two(), { a: 1, b: [3] });
    expect(traces).toBe(2);
  });
  it("may not contain themselves", () => {
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    const f = jit((x: NDArray, s: unknown) => (s === null ? x : x), { staticArgnums: 1 });
    expect(() => f(two(), cycle)).toThrow(TreeError);
  });
});

describe("nesting", () => {
  it("a jitted function may call itself with another static argument", () => {
    const f: (x: NDArray, n: number) => NDArray = jit(
      (x: NDArray, n: number): NDArray => (n === 0 ? x : f(x.add(1), n - 1)),
      { staticArgnums: 1 },
    );
    expect(values(f(two(), 5))).toEqual([6, 7]);
    expect(values(f(two(), 3))).toEqual([4, 5]);
  });
  it("a jitted function runs inside of grad when a value is asked for", () => {
    const triple = jit((x: NDArray) => x.mul(3));
    const f = (x: NDArray): NDArray => triple(x).mul(triple(x).item() as number);
    expect(grad(f)(np.array(2)).item()).toBe(18);
  });
  it("a backend that is switched serves what was traced on another", () => {
    const f = jit((x: NDArray) => np.sin(x).mul(2));
    const x = two();
    const want = values(f(x));
    expect(withBackend("reference", () => values(f(x)))).toEqual(want);
    expect(values(f(x))).toEqual(want);
  });
  it("derivatives of every order agree with and without jit, however often they are taken", () => {
    const f = (x: NDArray): NDArray => x.mul(x).mul(x).mul(x).sum();
    const third = (g: typeof f): ((x: NDArray) => NDArray) => {
      const d1 = (x: NDArray): NDArray => grad(g)(x).sum();
      const d2 = (x: NDArray): NDArray => grad(d1)(x).sum();
      return grad(d2);
    };
    for (let i = 0; i < 3; i++) {
      expect(values(third(f)(two()))).toEqual([24, 48]);
      expect(values(third(jit(f))(two()))).toEqual([24, 48]);
      expect(values(jit(third(f))(two()))).toEqual([24, 48]);
      expect(values(vmap(jit(grad(f)))(np.array([[1], [2]])))).toEqual([[4], [32]]);
    }
  });
});

describe("what is linear", () => {
  it("can be transposed though it comes from powers", () => {
    const v = np.array([1, 2]);
    const cube = (z: NDArray): NDArray => np.power(z, 3).sum();
    const square = (z: NDArray): NDArray => np.power(z, 2).sum();
    expect(values(linearTranspose(grad(square), v)(v)[0])).toEqual([2, 4]);
    expect(
      values(linearTranspose((z: NDArray) => jvp(grad(cube), [z], [np.ones([2])])[1], v)(v)[0]),
    ).toEqual([6, 12]);
  });
});

describe("without jit", () => {
  it("a structure that came by twice is compiled whole, and then only runs", () => {
    const loss = (x: NDArray): NDArray => np.sin(x).mul(np.cos(x)).sum();
    const first = values(grad(loss)(np.ones([3])));
    grad(loss)(np.ones([3]));
    const compile = compilations();
    for (let i = 0; i < 5; i++) expect(values(grad(loss)(np.ones([3])))).toEqual(first);
    expect(compile.mock.calls).toHaveLength(0);
  });
  it("numbers that vary from call to call are arguments of one program", () => {
    const at = (k: number): unknown =>
      values(grad((x: NDArray) => x.mul(k).mul(x).add(k).mul(3).sum())(two()));
    for (let k = 0; k < 3; k++) expect(at(k)).toEqual([6 * k, 12 * k]);
    const compile = compilations();
    for (let k = 3; k < 20; k++) expect(at(k)).toEqual([6 * k, 12 * k]);
    expect(at(-0)).toEqual([-0, -0]);
    expect(compile.mock.calls).toHaveLength(0);
  });
  it("numbers that vary reach linear maps that are kept", () => {
    for (let k = 1; k < 6; k++) {
      const f = (x: NDArray): NDArray => np.exp(x.mul(0)).mul(x).mul(x).mul(k);
      const [out, push] = linearize(f, two());
      expect(values(out)).toEqual([k, 4 * k]);
      expect(values(push(two()))).toEqual([2 * k, 8 * k]);
      const [, pull] = vjp(f, two());
      expect(values(pull(two())[0])).toEqual([2 * k, 8 * k]);
      expect(values(jvp(f, [two()], [two()])[1])).toEqual([2 * k, 8 * k]);
      expect(values(vmap(f)(two()))).toEqual([k, 4 * k]);
    }
  });
  it("transforms of one jaxpr are kept apart", () => {
    const f = (x: NDArray): NDArray => x.mul(2).add(x);
    for (let i = 0; i < 3; i++) {
      expect(values(linearize(f, two())[1](two()))).toEqual([3, 6]);
      expect(values(vjp(f, two())[1](two())[0])).toEqual([3, 6]);
      expect(values(jvp(f, [two()], [np.ones([2])])[1])).toEqual([3, 3]);
      expect(values(vmap(f)(two()))).toEqual([3, 6]);
      expect(values(grad((x: NDArray) => f(x).sum())(two()))).toEqual([3, 3]);
      expect(grad((x: NDArray) => f(x).sum(), { argnums: [0] })(two()).map(values)).toEqual([
        [3, 3],
      ]);
    }
  });
  it("axes of vmap are part of what is kept", () => {
    const square = np.array([
      [1, 2],
      [3, 4],
    ]);
    const f = (x: NDArray): NDArray => x.cumsum().mul(2);
    for (let i = 0; i < 3; i++) {
      expect(values(vmap(f)(square))).toEqual([
        [2, 6],
        [6, 14],
      ]);
      expect(values(vmap(f, 1)(square))).toEqual([
        [2, 8],
        [4, 12],
      ]);
      expect(values(vmap(f, 1, { outAxes: 1 })(square))).toEqual([
        [2, 4],
        [8, 12],
      ]);
    }
  });
});

describe("caches", () => {
  it("jit called anew on the same program compiles it once", () => {
    const make = (): ((x: NDArray) => NDArray) => jit((x: NDArray) => np.tanh(x).mul(0.37).add(x));
    const kept = make();
    const want = values(kept(two()));
    const compile = compilations();
    for (let i = 0; i < 5; i++) expect(values(make()(two()))).toEqual(want);
    expect(compile.mock.calls).toHaveLength(0);
    expect(values(jit((x: NDArray) => np.tanh(x).mul(-0.37).add(x))(two()))).not.toEqual(want);
    expect(compile.mock.calls).toHaveLength(1);
  });
  it("more signatures than are kept are traced again and right", () => {
    const f = jit((x: NDArray) => x.sum());
    vi.spyOn(console, "warn").mockImplementation(() => {});
    for (let round = 0; round < 2; round++)
      for (let n = 1; n <= 300; n++) expect(f(np.ones([n])).item()).toBe(n);
  });
  it("params of equations are told apart: −0 and 0, order and nesting", () => {
    const x = np.array([
      [1, 2],
      [3, 4],
    ]);
    expect(values(x.sum(0))).toEqual([4, 6]);
    expect(values(x.sum(1))).toEqual([3, 7]);
    expect(values(x.transpose([1, 0]))).toEqual([
      [1, 3],
      [2, 4],
    ]);
    expect(values(x.transpose([0, 1]))).toEqual([
      [1, 2],
      [3, 4],
    ]);
    for (const fill of [0, -0]) expect(values(np.full([1], fill).mul(1))).toEqual([fill]);
    for (const k of [0, -0]) expect(values(two().mul(k))).toEqual([k, 2 * k]);
  });
});

describe("large programs", () => {
  it("arguments beyond the memory budget are brought in while it runs", () => {
    const { budget } = wasmBackend;
    wasmBackend.budget = 2 ** 18;
    try {
      const xs = Array.from({ length: 32 }, (_, i) => np.full([64, 64], i));
      const f = jit((...v: NDArray[]) => v.reduce((a, b) => a.add(b)));
      for (let i = 0; i < 20; i++)
        expect(
          f(...xs)
            .max()
            .item(),
        ).toBe((31 * 32) / 2);
      expect((xs[5] as NDArray).max().item()).toBe(5);
    } finally {
      wasmBackend.budget = budget;
    }
  });
  it("100,000 equations in a row are traced, transformed and evaluated without deep recursion", () => {
    const n = 100_000;
    const f = (x: NDArray): NDArray => {
      let y = x;
      for (let i = 0; i < n; i++) y = y.add(1);
      return y;
    };
    const x = np.ones([1]);
    expect(makeJaxpr(f)(x).jaxpr.equations).toHaveLength(n);
    expect(values(vmap(f)(x))).toEqual([n + 1]);
    expect(values(grad((v: NDArray) => f(v).sum())(x))).toEqual([1]);
  });
  it("2,000 equations of many arguments are compiled", () => {
    const f = jit((xs: NDArray[]) => xs.reduce((a, b) => np.sin(a).add(b)));
    const xs = Array.from({ length: 1000 }, () => np.zeros([2]));
    expect(values(f(xs))).toEqual([0, 0]);
  });
});
