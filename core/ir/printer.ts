/** Prints a jaxpr the way JAX does: `{ lambda ; a:f32[3]. let b:f32[3] = sin a in (b,) }`. */
import { dtypes } from "../dtype.ts";
import { isRecord } from "../hash.ts";
import { numbering } from "../maps.ts";
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

type Names = (v: Var) => string;

function showNumber(x: number): string {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  if (Object.is(x, -0)) return "-0.0";
  return Number.isInteger(x) && Math.abs(x) < 1e16 ? x.toFixed(1) : String(x);
}

const showBool = (b: unknown): string => (b ? "True" : "False");
const tuple = (items: readonly string[]): string =>
  `(${items.join(", ")}${items.length === 1 ? "," : ""})`;

/** `2.0:f32[]`, `3:i32[]`, `True:bool[]` */
export function showLiteral({ value, dtype, aval }: Literal): string {
  const { kind } = dtypes[dtype];
  const show = kind === "bool" ? showBool : kind === "float" ? showNumber : String;
  return `${show(value)}:${aval}`;
}

const binders = (vs: readonly Var[], names: Names): string =>
  vs.map((v) => `${names(v)}:${v.aval}`).join(" ");
const atom = (a: Atom, names: Names): string => (isLiteral(a) ? showLiteral(a) : names(a));
const isJaxpr = (value: unknown): value is Jaxpr | ClosedJaxpr =>
  value instanceof ClosedJaxpr || value instanceof Jaxpr;

function showParam(value: unknown, indent: string): string {
  if (isJaxpr(value)) return showJaxpr(value, `${indent}    `);
  if (Array.isArray(value)) return tuple((value as unknown[]).map((v) => showParam(v, indent)));
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return showBool(value);
  if (typeof value === "object" && isRecord(value))
    return `{${Object.entries(value)
      .map(([k, v]) => `${k}: ${showParam(v, indent)}`)
      .join(", ")}}`;
  return String(value);
}

function equation(e: Equation, names: Names, indent: string): string {
  const params = Object.entries(e.params as Record<string, unknown>)
    .filter(([, v]) => v !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const long = params.some(([, v]) => isJaxpr(v));
  const shown = params.map(([k, v]) => `${k}=${showParam(v, indent)}`);
  const inner =
    params.length === 0
      ? ""
      : long
        ? `[\n${shown.map((s) => `${indent}    ${s}\n`).join("")}${indent}  ]`
        : `[${shown.join(" ")}]`;
  return `${binders(e.outputs, names)} = ${e.primitive.name}${inner}${e.inputs.map((a) => ` ${atom(a, names)}`).join("")}`;
}

/** The text of a jaxpr; names restart at `a` in each. */
export function showJaxpr(closed: Jaxpr | ClosedJaxpr, indent = ""): string {
  const jaxpr = closed instanceof ClosedJaxpr ? closed.jaxpr : closed;
  const number = numbering<Var>();
  const names: Names = (v) => letters(number(v));
  const head = `lambda ${binders(jaxpr.constVars, names)}; ${binders(jaxpr.inVars, names)}.`;
  const lines = jaxpr.equations.map((e) => equation(e, names, `${indent}  `));
  const body =
    lines.length < 2 && !lines.join("").includes("\n")
      ? ` ${lines.join("")} `
      : `\n${lines.map((l) => `${indent}    ${l}\n`).join("")}${indent}  `;
  return `{ ${head} let${body}in ${tuple(jaxpr.outs.map((a) => atom(a, names)))} }`;
}
