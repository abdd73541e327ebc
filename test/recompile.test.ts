/** What `jit` says about a function that it traces again and again. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { jit, type NDArray, np, random } from "../index.ts";

let said: string[] = [];
beforeEach(() => {
  said = [];
  vi.spyOn(console, "warn").mockImplementation((message: string) => {
    said.push(message);
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});
const warning = (): string | undefined => said[0];
const eight = Array.from({ length: 8 }, (_, i) => i + 1);

interface Batch {
  x: NDArray;
  y?: NDArray;
}
const named = <A extends readonly unknown[]>(
  f: (...args: A) => NDArray,
  options: { staticArgnums?: number } = {},
): ((...args: A) => NDArray) => jit(f, { ...options, name: "step" }) as (...args: A) => NDArray;

describe("eight signatures are reported once, with what changes:", () => {
  it("a shape", () => {
    const step = named((p: NDArray, b: Batch) => p.sum().add(b.x.sum()));
    for (const n of [...eight, 20, 30]) step(np.ones([2]), { x: np.ones([n + 2]) });
    expect(said).toHaveLength(1);
    expect(warning()).toMatchInlineSnapshot(
      `"jit(step): traced 8 times; args[1].x changes its shape: f32[3], f32[4], f32[5] …; pad to one shape, or to a few, or keep what varies out of the jitted function."`,
    );
  });
  it("a dtype", () => {
    const step = named((a: NDArray, b: NDArray, c: NDArray) => a.add(b).add(c));
    const of = (i: number): NDArray => np.ones([2], { dtype: i % 2 === 1 ? "int32" : "float32" });
    for (const i of eight) step(of(i - 1), of((i - 1) >> 1), of((i - 1) >> 2));
    expect(warning()).toMatchInlineSnapshot(
      `"jit(step): traced 8 times; args[0] changes its dtype: f32[2], i32[2]; args[1] changes its dtype: f32[2], i32[2]; args[2] changes its dtype: f32[2], i32[2]; convert it to one dtype."`,
    );
  });
  it("shapes and numbers among arrays", () => {
    const step = named((x: NDArray, k: NDArray | number) => x.mul(k).sum());
    for (const i of eight) step(np.ones([i]), i % 2 === 0 ? i : np.array(i));
    expect(warning()).toMatchInlineSnapshot(
      `"jit(step): traced 8 times; args[0] changes its shape: f32[1], f32[2], f32[3] …; args[1] is a number in some calls and an array in others; pad to one shape, or to a few, or keep what varies out of the jitted function; pass np.array(…) always."`,
    );
  });
  it("a static value", () => {
    const step = named((x: NDArray, i: number) => x.mul(i), { staticArgnums: 1 });
    for (const i of eight) step(np.ones([2]), i);
    expect(warning()).toMatchInlineSnapshot(
      `"jit(step): traced 8 times; the static args[1] changes its value: 1, 2, 3 …; pass what varies as an array."`,
    );
  });
  it("the leaves after a static argument, by the user's numbers", () => {
    const step = named((_: string, x: NDArray) => x.sum(), { staticArgnums: 0 });
    for (const n of eight) step("train", np.ones([n]));
    expect(warning()).toMatchInlineSnapshot(
      `"jit(step): traced 8 times; args[1] changes its shape: f32[1], f32[2], f32[3] …; pad to one shape, or to a few, or keep what varies out of the jitted function."`,
    );
  });
  it("a structure", () => {
    const step = named((xs: NDArray[]) => xs.reduce((a, b) => a.add(b)));
    for (const n of eight) step(Array.from({ length: n }, () => np.ones([2])));
    expect(warning()).toMatchInlineSnapshot(
      `"jit(step): traced 8 times; args[0] changes its structure: PyTreeDef([*]), PyTreeDef([*, *]), PyTreeDef([*, *, *]) …; keep the same keys and lengths."`,
    );
  });
  it("the number of arguments", () => {
    const step = named((...xs: NDArray[]) => (xs[0] as NDArray).add(xs.length));
    for (const n of eight) step(...Array.from({ length: n }, () => np.ones([2])));
    expect(warning()).toMatchInlineSnapshot(
      `"jit(step): traced 8 times; the number of arguments changes: 1, 2, 3 …; call it with the same arguments each time."`,
    );
  });
  it("more things than are shown", () => {
    const step = named((p: { a: NDArray; b: NDArray; c: NDArray; d: NDArray; e: NDArray }) =>
      p.a.add(p.b).add(p.c).add(p.d).add(p.e).sum(),
    );
    for (const n of eight) {
      const x = np.ones([n]);
      step({ a: x, b: x, c: x, d: x, e: x });
    }
    expect(warning()).toMatchInlineSnapshot(
      `"jit(step): traced 8 times; args[0].a changes its shape: f32[1], f32[2], f32[3] …; args[0].b changes its shape: f32[1], f32[2], f32[3] …; args[0].c changes its shape: f32[1], f32[2], f32[3] …; 2 more; pad to one shape, or to a few, or keep what varies out of the jitted function."`,
    );
  });
});

describe("nothing is said", () => {
  it("of seven signatures", () => {
    const step = named((x: NDArray) => x.sum());
    for (let round = 0; round < 20; round++) for (const n of eight.slice(1)) step(np.ones([n]));
    expect(said).toEqual([]);
  });
  it("of signatures that are few among the calls", () => {
    const step = named((x: NDArray) => x.sum());
    for (const n of eight) for (let i = 0; i < 10; i++) step(np.ones([n]));
    expect(said).toEqual([]);
  });
  it("of traces at one signature, under transforms or with captured tracers", () => {
    const step = named((x: NDArray) => x.sum());
    for (let i = 0; i < 20; i++)
      jit((x: NDArray) => step(x).add(i))(random.uniform(random.key(i), [2]));
    expect(said).toEqual([]);
  });
});
