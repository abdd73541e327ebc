/** Factories: one call gives an elementwise primitive all its rules. */
import { Aval } from "../aval.ts";
import { type DType, dtypes, isFloat, isInteger } from "../dtype.ts";
import { DTypeError, fail, RuleError, ShapeError } from "../errors.ts";
import { type Expr, int } from "../kernel/expr.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import {
  type BatchRule,
  definePrimitive,
  type JvpRule,
  LinearInput,
  type Params,
  type Primitive,
  type Tangent,
  type TransposeRule,
  type NoRule,
  Zero,
} from "../primitive.ts";
import { range, type Shape, shapesEqual } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { addTangents, broadcastInDim, expandDims, moveAxis, reduceSum, reshape } from "./linear.ts";

/** What elementwise primitives take: an array, or a number that adopts the dtype of the array beside it. */
export type Operand = NDArray | number | boolean;

/** Numbers among the operands become literals of the others' dtype (float32 when all are numbers). */
export function operands(op: string, ...xs: readonly Operand[]): NDArray[] {
  let like: NDArray | undefined;
  let arrays = 0;
  for (let i = 0; i < xs.length; i++) {
    const x = xs[i] as Operand;
    if (typeof x === "object") {
      like ??= x;
      arrays++;
    }
  }
  if (arrays === xs.length) return xs as NDArray[];
  const dtype: DType = like?.dtype ?? "float32";
  return xs.map((x) => {
    if (typeof x === "object") return x;
    if (typeof x === "number" && !isFloat(dtype) && !Number.isInteger(x))
      fail(
        DTypeError,
        op,
        `a number beside ${dtype} must be a whole number`,
        String(x),
        "convert the array to a float dtype",
      );
    return new Literal(x, dtype, true);
  });
}

// ---- which dtypes an operation takes ----

export type DTypeClass = "any" | "number" | "float" | "integer" | "bits" | "bool" | "signed";
const members: { readonly [C in DTypeClass]: (d: DType) => boolean } = {
  any: () => true,
  number: (d) => d !== "bool",
  float: isFloat,
  integer: isInteger,
  bits: (d) => !isFloat(d),
  bool: (d) => d === "bool",
  signed: (d) => isFloat(d) || dtypes[d].kind === "int",
};
const described: { readonly [C in DTypeClass]: string } = {
  any: "any dtype",
  number: "a number dtype",
  float: "a float dtype",
  integer: "an integer dtype",
  bits: "an integer or bool dtype",
  bool: "bool",
  signed: "a signed dtype",
};
export function checkClass(op: string, accepts: DTypeClass, ...avals: readonly Aval[]): void {
  const member = members[accepts];
  for (const a of avals)
    if (!member(a.dtype))
      fail(
        DTypeError,
        op,
        `needs ${described[accepts]}`,
        avals.join(" and "),
        accepts === "float" ? 'convert first, for example x.astype("float32")' : "convert first",
      );
}

/** Shape of an elementwise operation: operands have rank 0, or all one rank with sizes equal or 1. */
export function elementwiseShape(op: string, avals: readonly Aval[]): Shape {
  let shape: Shape | null = null;
  for (const a of avals) {
    if (a.rank === 0 || a.shape === shape) continue;
    if (shape === null) {
      shape = a.shape;
      continue;
    }
    const have: Shape = shape;
    if (shapesEqual(a.shape, have)) continue;
    if (a.rank !== have.length || a.shape.some((s, i) => s !== have[i] && s !== 1 && have[i] !== 1))
      fail(
        ShapeError,
        op,
        "shapes must be equal (or of size 1, or scalars)",
        avals.join(" and "),
        "broadcast one to the other's shape",
      );
    shape = have.map((s, i) => (s === 1 ? (a.shape[i] as number) : s));
  }
  return shape ?? [];
}

/** Sums `ct` down to the shape that an operand had before it was broadcast. */
export function unbroadcast(ct: NDArray, to: Aval): NDArray {
  if (ct.ndim !== to.rank) return reduceSum(ct, range(ct.ndim)); // the operand was a scalar
  const axes = range(ct.ndim).filter((i) => to.shape[i] === 1 && ct.shape[i] !== 1);
  return axes.length === 0 ? ct : reshape(reduceSum(ct, axes), to.shape);
}
/** Repeats a tangent to the shape of the result that it belongs to. */
export function broadcastTo(t: NDArray, shape: Shape): NDArray {
  return broadcastInDim(t, shape, t.ndim === 0 ? [] : range(t.ndim));
}

/** Batch rule of elementwise operations: batch axes go to the front, unbatched operands gain an axis of size 1. */
export function elementwiseBatch<P extends Params>(get: () => Primitive<P>): BatchRule<P> {
  return (_size, inputs, dims, params) => {
    const rank = Math.max(...inputs.map((x, i) => x.ndim - (dims[i] === null ? 0 : 1)));
    const simple = inputs.every(
      (x, i) =>
        (dims[i] === null && x.ndim === 0) ||
        (dims[i] === dims.find((d) => d !== null) && x.ndim === rank + 1),
    );
    if (simple) {
      const out = bind1(get(), inputs, params);
      return { outs: [out], dims: [dims.find((d) => d !== null) as number] };
    }
    const aligned = inputs.map((x, i) => {
      const d = dims[i] as number | null;
      if (d === null) return x.ndim === 0 ? x : expandDims(x, [0]);
      const front = moveAxis(x, d, 0);
      // a batch of scalars beside arrays: [B] becomes [B,1,…,1]
      return front.ndim === rank + 1 ? front : expandDims(front, range(rank, 1));
    });
    return { outs: [bind1(get(), aligned, params)], dims: [0] };
  };
}

/** ∂f/∂xᵢ · t, given the result and the operands. Write constants as literals: `mul(t, cos(x))`. */
export type JvpTerm<P> = (
  t: NDArray,
  at: { readonly out: NDArray; readonly x: readonly NDArray[]; readonly params: P },
) => NDArray;

/** jvp from one term per operand; `null` where the derivative is zero everywhere. */
export function jvpTerms<P extends Params>(
  get: () => Primitive<P>,
  terms: readonly (JvpTerm<P> | null)[],
): JvpRule<P> {
  return (x, tangents, params) => {
    const out = bind1(get(), x, params);
    const parts = tangents.map((t, i): Tangent => {
      const term = terms[i];
      if (t instanceof Zero || term === null || term === undefined) return new Zero(out.aval);
      return broadcastTo(term(t as NDArray, { out, x, params }), out.shape);
    });
    return { outs: [out], tangents: [parts.reduce(addTangents)] };
  };
}
/** jvp of an operation whose derivative is zero, or whose result is not a float. */
export function zeroJvp<P extends Params>(get: () => Primitive<P>): JvpRule<P> {
  return (x, _tangents, params) => {
    const out = bind1(get(), x, params);
    return { outs: [out], tangents: [new Zero(out.aval)] };
  };
}

/** Transpose from one term per operand, `null` where the operation is not linear in it:
 *  (ct, inputs) ↦ cotangent before `unbroadcast`. */
export function transposeTerms<P>(
  terms: readonly (((ct: NDArray, inputs: readonly NDArray[], params: P) => NDArray) | null)[],
): TransposeRule<P> {
  return ([ct], inputs, params) =>
    inputs.map((x, i) => {
      if (!(x instanceof LinearInput)) return null;
      const term = terms[i];
      if (term === null || term === undefined)
        return fail(
          RuleError,
          "transpose",
          "an equation must be linear in the operand that is transposed",
          `operand ${i} of a nonlinear one`,
          "linearize the function first",
        );
      if (ct instanceof Zero) return new Zero(x.aval);
      // the other operands are values: an elementwise operation is linear in one operand at a time or in sum
      return unbroadcast(term(ct as NDArray, inputs as readonly NDArray[], params), x.aval);
    });
}

export interface ElementwiseSpec<P extends Params> {
  readonly name: string;
  /** number of operands */
  readonly arity: number;
  readonly accepts: DTypeClass;
  /** dtype of the result; that of the operands by default */
  readonly result?: DType;
  /** one term per operand, or "zero" */
  readonly jvp: readonly (JvpTerm<P> | null)[] | JvpRule<P> | "zero";
  readonly transpose: TransposeRule<P> | NoRule;
  /** the scalar function */
  readonly at: (x: readonly Expr[], params: P) => Expr;
}

/** The element of an operand that belongs to an element of a result of `shape`. */
const operandIndex = (own: Shape, shape: Shape, index: readonly Expr[]): readonly Expr[] =>
  shapesEqual(own, shape) ? index : own.map((n, i) => (n === 1 ? int(0) : (index[i] as Expr)));

/** An elementwise primitive; operands share one dtype. */
export function elementwise<P extends Params = Record<never, never>>(
  spec: ElementwiseSpec<P>,
): Primitive<P> {
  const get = (): Primitive<P> => primitive;
  const primitive: Primitive<P> = definePrimitive<P>({
    name: spec.name,
    shape: (avals) => {
      checkClass(spec.name, spec.accepts, ...avals);
      const first = avals[0] as Aval;
      let weak = true;
      for (const a of avals) {
        weak &&= a.weakType;
        if (a.dtype !== first.dtype)
          fail(
            DTypeError,
            spec.name,
            "operands must have one dtype",
            avals.join(" and "),
            "convert one of them, or use the np function, which promotes",
          );
      }
      const shape = elementwiseShape(spec.name, avals);
      if (shape === first.shape && weak === first.weakType && spec.result === undefined)
        return [first];
      return [Aval.of(shape, spec.result ?? first.dtype, spec.result === undefined && weak)];
    },
    jvp:
      spec.jvp === "zero"
        ? zeroJvp(get)
        : typeof spec.jvp === "function"
          ? spec.jvp
          : jvpTerms(get, spec.jvp),
    transpose: spec.transpose,
    batch: elementwiseBatch(get),
    lower: (ins, [out], params) => {
      const { shape } = out as Aval;
      return {
        kind: "map",
        at: (index, read) => [
          spec.at(
            ins.map((a, i) => read(i, operandIndex(a.shape, shape, index))),
            params,
          ),
        ],
      };
    },
  });
  return primitive;
}
