/** Which operations have no vector form. */
import { dtypes, isFloat } from "../../../dtype.ts";
import type { Expr } from "../../../kernel/expr.ts";
import { hostMath } from "../library.ts";
import type { Operation } from "./scalar-ops.ts";
import { half } from "./types.ts";

/** True for what the host computes. */
export const isCall = (e: Expr): e is Expr & { kind: "unary" | "binary" } =>
  (e.kind === "unary" || e.kind === "binary") && isFloat(e.dtype) && Object.hasOwn(hostMath, e.op);

/** True for an operation without a vector form: it is applied to one lane after the other. */
export function isPerLane(e: Expr): e is Operation {
  switch (e.kind) {
    case "unary":
      return e.op === "clz" || isCall(e);
    case "binary":
      if (e.op === "shl" || e.op === "shr" || e.op === "shrl") return e.y.kind !== "lit";
      return e.op === "pow" || isCall(e);
    case "cast":
      // a double or a wide integer may be rounded once only
      return half(e.dtype) && dtypes[e.x.dtype].bytes >= 4 && e.x.dtype !== "float32";
    case "bitcast":
      return half(e.dtype);
    default:
      return false;
  }
}
