/** Factories: one call gives an elementwise primitive all its rules. */
import { Aval } from "../aval.ts";
import { type DType, isFloat } from "../dtype.ts";
import { DTypeError, fail, RuleError, ShapeError } from "../errors.ts";
import { binary, type BinaryOp, type Expr, int, unary, type UnaryOp } from "../kernel/expr.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import type { Read } from "../kernel/kernel.ts";
import {
  type BatchRule,
  definePrimitive,
  type JvpRule,
  NoRule,
  noRule,
  type Params,
  type Primitive,
  type Tangent,
  type TransposeRule,
  Zero,
} from "../primitive.ts";
import { range, type Shape, shapesEqual } from "../shape.ts";
import { bind, bind1 } from "../trace.ts";
import { batched, eachElement, firstOf } from "./axes.ts";
import { checkClass, checkOneDType, type DTypeClass } from "./checks.ts";
import { dual, nonlinear, transposed } from "./linearity.ts";
import { addTangents, broadcastInDim, expandDims, moveAxis, reduceSum, reshape } from "./linear.ts";

/** No params. */
export type Plain = Record<never, never>;
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

/** Functions that apply a primitive of one operand, or of two. */
export type Unary = (x: Operand) => NDArray;
export type Binary = (x: Operand, y: Operand) => NDArray;
export const applied =
  (p: Primitive<Plain>): Unary =>
  (x) =>
    bind1(p, operands(p.name, x), {});
export const applied2 =
  (p: Primitive<Plain>): Binary =>
  (x, y) =>
    bind1(p, operands(p.name, x, y), {});

/** Shape of an elementwise operation: operands have rank 0, or all one rank with sizes equal or 1. */
export function elementwiseShape(op: string, avals: readonly Aval[]): Shape {
  let shape: Shape | null = null;
  for (const a of avals) {
    if (a.rank === 0) continue;
    shape ??= a.shape;
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
  return reshape(reduceSum(ct, axes), to.shape);
}
/** Repeats a tangent to the shape of the result that it belongs to. */
export function broadcastTo(t: NDArray, shape: Shape): NDArray {
  return broadcastInDim(t, shape, range(t.ndim));
}

/** Batch rule of elementwise operations: batch axes go to the front, unbatched operands gain an axis of size 1. */
export const elementwiseBatch: BatchRule<Params> = (_size, inputs, dims, params, primitive) => {
  const rank = Math.max(...inputs.map((x, i) => x.ndim - (dims[i] === null ? 0 : 1)));
  const first = firstOf(dims);
  const simple = inputs.every(
    (x, i) => (dims[i] === null && x.ndim === 0) || (dims[i] === first && x.ndim === rank + 1),
  );
  const aligned = (x: NDArray, i: number): NDArray => {
    const d = dims[i] as number | null;
    if (d === null) return x.ndim === 0 ? x : expandDims(x, [0]);
    const front = moveAxis(x, d, 0);
    // a batch of scalars beside arrays: [B] becomes [B,1,…,1]
    return front.ndim === rank + 1 ? front : expandDims(front, range(rank, 1));
  };
  const outs = bind(primitive, simple ? inputs : inputs.map(aligned), params);
  return batched(outs, simple ? first : 0);
};
/** The elements of operands that belong to the element `index` of a result of `shape`. */
export const elementsOf = (
  ins: readonly Aval[],
  shape: Shape,
  index: readonly Expr[],
  read: Read,
): Expr[] =>
  ins.map((a, i) =>
    read(
      i,
      shapesEqual(a.shape, shape)
        ? index
        : a.shape.map((n, axis) => (n === 1 ? int(0) : (index[axis] as Expr))),
    ),
  );

/** ∂f/∂xᵢ · t in an operand in which f is linear, given the operands; it is its own transpose. */
export type LinearTerm = (t: NDArray, x: readonly NDArray[]) => NDArray;
/** ∂f/∂xᵢ · t, given the operands and the result. Write constants as literals: `mul(t, cos(x))`. */
export type JvpTerm<P = unknown> = (
  t: NDArray,
  x: readonly NDArray[],
  out: NDArray,
  params: P,
  primitive: Primitive,
) => NDArray;

/** jvp from one term per operand, null where the derivative is zero. */
export function jvpTerms<P extends Params>(terms: readonly (JvpTerm<P> | null)[]): JvpRule<P> {
  return (x, tangents, params, primitive) => {
    const out = bind1(primitive, x, params);
    const parts = tangents.map((t, i): Tangent => {
      const term = terms[i];
      return t instanceof Zero || !term
        ? new Zero(out.aval)
        : broadcastTo(term(t as NDArray, x, out, params, primitive), out.shape);
    });
    return dual(out, parts.reduce(addTangents));
  };
}
const transposeTerms = (terms: readonly LinearTerm[]): TransposeRule<Params> =>
  transposed((ct, x, _params, inputs, i) => {
    const term = terms[i];
    if (term === undefined)
      return fail(
        RuleError,
        "transpose",
        "an equation must be linear in the operand that is transposed",
        `operand ${i} of a nonlinear one`,
        "linearize the function first",
      );
    return unbroadcast(term(ct, inputs), x);
  });
export const flat = noRule("its derivative is zero: nothing linear passes through it");
const toBool = noRule("its result is bool, which no cotangent reaches");
export const onIntegers = noRule("it acts on integers, which no cotangent reaches");

export interface ElementwiseSpec<P extends Params> {
  readonly name: string;
  readonly accepts: DTypeClass;
  /** dtype of the result; that of the operands by default */
  readonly result?: DType;
  /** terms of the first operands, where it is linear in each of them */
  readonly linear?: readonly LinearTerm[];
  /** terms of the other operands; without any the derivative is zero */
  readonly jvp?: readonly JvpTerm[] | NoRule;
  /** the scalar function */
  readonly at: (x: readonly Expr[], params: P) => Expr;
}

/** An elementwise primitive; operands share one dtype. */
export function elementwise<P extends Params = Plain>({
  name,
  accepts,
  result,
  linear,
  jvp,
  at,
}: ElementwiseSpec<P>): Primitive<P> {
  return definePrimitive<P>({
    name,
    shape: (avals) => {
      checkClass(name, accepts, ...avals);
      checkOneDType(name, avals);
      const first = avals[0] as Aval;
      const weak = avals.every((a) => a.weakType);
      const shape = elementwiseShape(name, avals);
      if (shape === first.shape && weak === first.weakType && result === undefined) return [first];
      return [Aval.of(shape, result ?? first.dtype, result === undefined && weak)];
    },
    jvp: jvp instanceof NoRule ? jvp : jvpTerms([...(linear ?? []), ...(jvp ?? [])]),
    transpose: linear
      ? transposeTerms(linear)
      : jvp
        ? nonlinear
        : result
          ? toBool
          : accepts === "float" || accepts === "number"
            ? flat
            : onIntegers,
    batch: elementwiseBatch,
    lower: (ins, [out], params) =>
      eachElement((index, read) => at(elementsOf(ins, (out as Aval).shape, index, read), params)),
  });
}
/** An elementwise primitive without a derivative that is one operation of the kernel language, of one operand. */
export const unaryP = (name: string, accepts: DTypeClass, op = name as UnaryOp): Primitive<Plain> =>
  elementwise({ name, accepts, at: ([x]) => unary(op, x as Expr) });
/** The same of two operands. */
export const binaryP = (
  name: string,
  accepts: DTypeClass,
  op = name as BinaryOp,
): Primitive<Plain> =>
  elementwise({ name, accepts, at: ([x, y]) => binary(op, x as Expr, y as Expr) });
