/** Which operations have no vector form. */
import { dtypes } from "../../../dtype.ts";
import type { Expr, UnaryOp } from "../../../kernel/expr.ts";
import { half, valType } from "./types.ts";

const vectorUnary: ReadonlySet<UnaryOp> = new Set([
  "neg",
  "abs",
  "sign",
  "not",
  "floor",
  "ceil",
  "trunc",
  "round",
  "sqrt",
  "popcount",
  "isFinite",
  "highWord",
  "lowWord",
]);

/** True for an operation without a vector form: it is applied to one lane after the other. */
export function isPerLane(e: Expr): boolean {
  switch (e.kind) {
    case "unary":
      return !vectorUnary.has(e.op);
    case "binary":
      switch (e.op) {
        case "pow":
        case "hostPow":
        case "nextafter":
          return true;
        case "rem":
          return valType(e.dtype) !== "i32";
        case "shl":
        case "shr":
        case "shrl":
          return e.y.kind !== "lit";
        default:
          return false;
      }
    case "cast":
      // a double or a wide integer may be rounded once only
      return half(e.dtype) && dtypes[e.x.dtype].bytes >= 4 && e.x.dtype !== "float32";
    case "bitcast":
      return half(e.dtype);
    default:
      return false;
  }
}
