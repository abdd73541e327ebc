/** What shape rules of all families ask of dtypes and axes. */
import type { Aval } from "../aval.ts";
import { type DType, dtypes, isFloat, isInteger } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import { showShape } from "../shape.ts";

export type DTypeClass = "any" | "number" | "float" | "integer" | "bits" | "signed";
const classes: {
  readonly [C in DTypeClass]: readonly [member: (d: DType) => boolean, described: string];
} = {
  any: [() => true, "any dtype"],
  number: [(d) => d !== "bool", "a number dtype"],
  float: [isFloat, "a float dtype"],
  integer: [isInteger, "an integer dtype"],
  bits: [(d) => !isFloat(d), "an integer or bool dtype"],
  signed: [(d) => isFloat(d) || dtypes[d].kind === "int", "a signed dtype"],
};
export function checkClass(op: string, accepts: DTypeClass, ...avals: readonly Aval[]): void {
  const [member, described] = classes[accepts];
  for (const a of avals)
    if (!member(a.dtype))
      fail(
        DTypeError,
        op,
        `needs ${described}`,
        avals.join(" and "),
        accepts === "float" ? 'convert first, for example x.astype("float32")' : "convert first",
      );
}
export function checkOneDType(
  op: string,
  avals: readonly Aval[],
  remedy = "convert one of them, or use the np function, which promotes",
  what = "operands",
): void {
  for (const a of avals)
    if (a.dtype !== avals[0]?.dtype)
      fail(DTypeError, op, `${what} must have one dtype`, avals.join(" and "), remedy);
}

/** The size of an axis as errors show it: `f32[2,3] axis 1 = 3`. */
export const axisText = (a: Aval, axis: number): string => `${a} axis ${axis} = ${a.shape[axis]}`;

const isAxis = (axis: number, rank: number): boolean =>
  Number.isInteger(axis) && axis >= 0 && axis < rank;
/** `what` is what the caller names an axis by. */
export function checkAxis(
  op: string,
  what: string,
  axis: number,
  a: Aval,
  shown = String(a),
): void {
  if (!isAxis(axis, a.rank))
    fail(
      ShapeError,
      op,
      a.rank === 0 ? "a scalar has no axes" : `${what} must be between 0 and ${a.rank - 1}`,
      `${what} ${axis} for ${shown}`,
      "choose an existing axis",
    );
}
export function checkAxes(op: string, what: string, axes: readonly number[], a: Aval): void {
  if (new Set(axes).size !== axes.length || !axes.every((axis) => isAxis(axis, a.rank)))
    fail(
      ShapeError,
      op,
      `${what} must be distinct and between 0 and ${a.rank - 1}`,
      `${showShape(axes)} for ${a}`,
      "choose axes that exist",
    );
}
export function checkWhole(op: string, what: string, list: readonly number[]): void {
  if (!list.every(Number.isSafeInteger))
    fail(ShapeError, op, `${what} must be whole numbers`, showShape(list), "round them");
}
