/** Prints a jaxpr the way JAX does: `{ lambda ; a:f32[3]. let b:f32[3] = sin a in (b,) }`. */
import { dtypes } from "../dtype.ts";
import type { Literal } from "../ndarray.ts";
import { type Atom, ClosedJaxpr, type Equation, isLiteral, Jaxpr, type Var } from "./jaxpr.ts";

/** a … z, ba, bb, … in order of binding. */
function letters(n: number): string {
  let s = "";
  do {
    s = String.fromCharCode(97 + (n % 26)) + s;
    n = Math.floor(n / 26);
  } while (n > 0);
  return s;
}

class Names {
  readonly #names = new Map<Var, string>();
  of(v: Var): string {
    let name = this.#names.get(v);
    if (name === undefined) {
      name = letters(this.#names.size);
      this.#names.set(v, name);
    }
    return name;
  }
}

function showNumber(x: number): string {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  if (Object.is(x, -0)) return "-0.0";
  return Number.isInteger(x) && Math.abs(x) < 1e16 ? x.toFixed(1) : String(x);
}

/** `2.0:f32[]`, `3:i32[]`, `True:bool[]` */
export function showLiteral(l: Literal): string {
  const { kind } = dtypes[l.dtype];
  const value =
    kind === "bool"
      ? l.value
        ? "True"
        : "False"
      : kind === "float"
        ? showNumber(l.value)
        : String(l.value);
  return `${value}:${l.aval}`;
}

const binder = (v: Var, names: Names): string => `${names.of(v)}:${v.aval}`;
const atom = (a: Atom, names: Names): string => (isLiteral(a) ? showLiteral(a) : names.of(a));

function showParam(value: unknown, indent: string): string {
  if (value instanceof ClosedJaxpr || value instanceof Jaxpr)
    return showJaxpr(value, `${indent}    `);
  if (Array.isArray(value)) {
    const items = (value as unknown[]).map((v) => showParam(v, indent));
    return `(${items.join(", ")}${items.length === 1 ? "," : ""})`;
  }
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype)
    return `{${Object.entries(value)
      .map(([k, v]) => `${k}: ${showParam(v, indent)}`)
      .join(", ")}}`;
  return String(value);
}

function equation(e: Equation, names: Names, indent: string): string {
  const outs = e.outputs.map((v) => binder(v, names)).join(" ");
  const params = Object.entries(e.params as Record<string, unknown>)
    .filter(([, v]) => v !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const long = params.some(([, v]) => v instanceof ClosedJaxpr || v instanceof Jaxpr);
  const shown = params.map(([k, v]) => `${k}=${showParam(v, indent)}`);
  const inner =
    params.length === 0
      ? ""
      : long
        ? `[\n${shown.map((s) => `${indent}    ${s}\n`).join("")}${indent}  ]`
        : `[${shown.join(" ")}]`;
  return `${outs} = ${e.primitive.name}${inner}${e.inputs.map((a) => ` ${atom(a, names)}`).join("")}`;
}

/** The text of a jaxpr; names restart at `a` in each. */
export function showJaxpr(closed: Jaxpr | ClosedJaxpr, indent = ""): string {
  const jaxpr = closed instanceof ClosedJaxpr ? closed.jaxpr : closed;
  const names = new Names();
  const consts = jaxpr.constVars.map((v) => binder(v, names)).join(" ");
  const ins = jaxpr.inVars.map((v) => binder(v, names)).join(" ");
  const lines = jaxpr.equations.map((e) => equation(e, names, `${indent}  `));
  const outs = `(${jaxpr.outs.map((a) => atom(a, names)).join(", ")}${jaxpr.outs.length === 1 ? "," : ""})`;
  const head = `lambda ${consts}; ${ins}.`.replace("; .", "; .");
  if (lines.length === 0) return `{ ${head} let  in ${outs} }`;
  if (lines.length === 1 && !(lines[0] as string).includes("\n"))
    return `{ ${head} let ${lines[0]} in ${outs} }`;
  return `{ ${head} let\n${lines.map((l) => `${indent}    ${l}\n`).join("")}${indent}  in ${outs} }`;
}
