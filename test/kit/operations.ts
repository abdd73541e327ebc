/** The operations that random programs are made of. */
import type { DType } from "../../core/dtype.ts";
import * as a from "../../core/ops/arithmetic.ts";
import { dotGeneral } from "../../core/ops/contract.ts";
import { conv } from "../../core/ops/conv.ts";
import { dynamicUpdateSlice } from "../../core/ops/indexing.ts";
import { concatenate } from "../../core/ops/join.ts";
import * as l from "../../core/ops/linear.ts";
import { select } from "../../core/ops/select.ts";
import { type Shape, shapesEqual, showShape, sizeOf } from "../../core/shape.ts";
import type { NDArray } from "../../core/ndarray.ts";
import { basic, elementwise } from "./elementwise.ts";
import {
  axisOf,
  carry,
  type Operation,
  type Pick,
  pickFloat,
  replaced,
  type Value,
  within,
  without,
} from "./step.ts";
import { moves, rough } from "./structure.ts";

const choose = (
  values: readonly Value[],
  pick: Pick,
  fits: (v: Value) => boolean,
): number | null => {
  const found = values.flatMap((v, i) => (fits(v) ? [i] : []));
  return found.length === 0 ? null : (found[pick(found.length)] as number);
};

const pairs: readonly Operation[] = [
  {
    name: "dotGeneral",
    smooth: true,
    build: (values, pick) => {
      const i = pickFloat(values, pick, (v) => v.shape.length >= 1);
      if (i === null) return null;
      const x = values[i] as Value;
      const at = axisOf(x, pick);
      const k = x.shape[at] as number;
      const j = choose(values, pick, (v) => v.kind === "float" && v.shape.includes(k));
      if (j === null) return null;
      const y = values[j] as Value;
      const to = y.shape.indexOf(k);
      // a second axis of equal size becomes a batch axis
      const p = x.shape.findIndex(
        (n, d) => d !== at && y.shape.some((m, e) => e !== to && m === n),
      );
      const q = y.shape.findIndex((m, e) => e !== to && m === x.shape[p]);
      const batch: [number[], number[]] = p >= 0 && pick(2) === 0 ? [[p], [q]] : [[], []];
      const free = (shape: Shape, axis: number, b: readonly number[]): number[] =>
        shape.filter((_, d) => d !== axis && !b.includes(d));
      const shape = [
        ...batch[0].map((d) => x.shape[d] as number),
        ...free(x.shape, at, batch[0]),
        ...free(y.shape, to, batch[1]),
      ];
      const carried = carry(values, [i, j], [k * y.bound, k * x.bound]);
      return within({
        text: `dotGeneral($0, $1, contract ${at}·${to}${batch[0].length > 0 ? `, batch ${p}·${q}` : ""})`,
        operands: [i, j],
        apply: ([v, w]) =>
          dotGeneral(v as NDArray, w as NDArray, { contract: [[at], [to]], batch }),
        // k products, each addition rounded: k·ε·Σ|x·y|
        out: {
          shape,
          kind: "float",
          bound: k * x.bound * y.bound,
          lip: carried.lip,
          error: carried.error + k * k * x.bound * y.bound,
        },
      });
    },
  },
  {
    name: "conv",
    smooth: true,
    build: (values, pick) => {
      const i = pickFloat(values, pick, (v) => v.shape.length === 2 && sizeOf(v.shape) > 0);
      if (i === null) return null;
      const x = values[i] as Value;
      const [rows, n] = x.shape as [number, number];
      const j = choose(
        values,
        pick,
        (v) =>
          v.kind === "float" &&
          v.shape.length === 1 &&
          (v.shape[0] as number) >= 1 &&
          (v.shape[0] as number) <= n,
      );
      if (j === null) return null;
      const y = values[j] as Value;
      const k = y.shape[0] as number;
      const carried = carry(values, [i, j], [k * y.bound, k * x.bound]);
      return within({
        text: "conv of the rows of $0 with $1",
        operands: [i, j],
        apply: ([v, w]) => {
          const lhs = l.reshape(v as NDArray, [rows, 1, n]);
          const rhs = l.reshape(w as NDArray, [1, 1, k]);
          return l.reshape(conv(lhs, rhs, [1], "VALID"), [rows, n - k + 1]);
        },
        out: {
          shape: [rows, n - k + 1],
          kind: "float",
          bound: k * x.bound * y.bound,
          lip: carried.lip,
          error: carried.error + k * k * x.bound * y.bound,
        },
      });
    },
  },
  {
    name: "concatenate",
    smooth: true,
    build: (values, pick) => {
      const i = pickFloat(values, pick, (v) => v.shape.length >= 1);
      if (i === null) return null;
      const x = values[i] as Value;
      const at = axisOf(x, pick);
      const j = choose(
        values,
        pick,
        (v) =>
          v.kind === "float" &&
          v.shape.length === x.shape.length &&
          shapesEqual(without(v.shape, at), without(x.shape, at)),
      );
      if (j === null) return null;
      const y = values[j] as Value;
      return within({
        text: `concatenate([$0, $1], ${at})`,
        operands: [i, j],
        apply: (xs) => concatenate(xs, at),
        out: {
          shape: replaced(x.shape, at, (x.shape[at] as number) + (y.shape[at] as number)),
          kind: "float",
          bound: Math.max(x.bound, y.bound),
          lip: Math.max(x.lip, y.lip),
          error: Math.max(x.error, y.error),
        },
      });
    },
  },
  {
    name: "dynamicUpdateSlice",
    smooth: true,
    build: (values, pick) => {
      const i = pickFloat(values, pick, (v) => v.shape.length >= 1);
      if (i === null) return null;
      const x = values[i] as Value;
      const j = choose(
        values,
        pick,
        (v) =>
          v.kind === "float" &&
          v.shape.length === x.shape.length &&
          v.shape.every((n, d) => n <= (x.shape[d] as number)),
      );
      if (j === null) return null;
      const y = values[j] as Value;
      const starts = x.shape.map((n) => pick(n + 1));
      return within({
        text: `dynamicUpdateSlice($0, $1, ${showShape(starts)})`,
        operands: [i, j],
        apply: ([v, w]) => dynamicUpdateSlice(v as NDArray, w as NDArray, starts),
        out: {
          ...x,
          bound: Math.max(x.bound, y.bound),
          lip: Math.max(x.lip, y.lip),
          error: Math.max(x.error, y.error),
        },
      });
    },
  },
  {
    name: "select",
    smooth: false,
    build: (values, pick) => {
      const p = choose(values, pick, (v) => v.kind === "bool");
      if (p === null) return null;
      const { shape } = values[p] as Value;
      const fits = (v: Value): boolean => v.kind === "float" && shapesEqual(v.shape, shape);
      const [i, j] = [choose(values, pick, fits), choose(values, pick, fits)];
      if (i === null || j === null) return null;
      const [x, y] = [values[i] as Value, values[j] as Value];
      return within({
        text: "select($0, $1, $2)",
        operands: [p, i, j],
        apply: ([w, v, u]) => select(w as NDArray, v as NDArray, u as NDArray),
        out: {
          ...x,
          bound: Math.max(x.bound, y.bound),
          lip: Math.max(x.lip, y.lip),
          error: Math.max(x.error, y.error),
        },
      });
    },
  },
  {
    name: "weighted",
    smooth: false,
    build: (values, pick) => {
      const n = choose(values, pick, (v) => v.kind !== "float");
      if (n === null) return null;
      const w = values[n] as Value;
      const i = choose(values, pick, (v) => v.kind === "float" && shapesEqual(v.shape, w.shape));
      if (i === null) return null;
      const carried = carry(values, [i], [w.bound]);
      return within({
        text: "mul($1, convert $0 to the dtype of $1)",
        operands: [n, i],
        apply: ([v, x]) =>
          a.mul(x as NDArray, l.convert(v as NDArray, (x as NDArray).dtype as DType)),
        out: { ...(values[i] as Value), bound: (values[i] as Value).bound * w.bound, ...carried },
      });
    },
  },
];

/** Every operation; the basic ones and matrix products twice. */
export const operations: readonly Operation[] = [
  ...elementwise,
  ...moves,
  ...rough,
  ...pairs,
  ...basic,
  ...pairs.slice(0, 1),
];
