/** A program as text: its buffers, its kernels, their loops. */
import { dtypes } from "../dtype.ts";
import { numberKey } from "../hash.ts";
import { type Expr, type KVar, operands } from "../kernel/expr.ts";
import type { ContractDim, ContractKernel, ConvKernel, Kernel, Stmt } from "../kernel/kernel.ts";
import { entry } from "../maps.ts";
import type { Program } from "./types.ts";

const infix: { readonly [op: string]: string } = {
  add: "+",
  sub: "-",
  mul: "*",
  div: "/",
  rem: "%",
  and: "&",
  or: "|",
  xor: "^",
  shl: "<<",
  shr: ">>",
  shrl: ">>>",
  eq: "==",
  ne: "!=",
  lt: "<",
  le: "<=",
  gt: ">",
  ge: ">=",
};

/** Values that are used more than once and have more parts than this get a line of their own. */
const mostRepeated = 6;
/** Those among the parts of some expressions, each after its own parts. */
function repeated(roots: readonly Expr[]): Expr[] {
  const uses = new Map<Expr, number>();
  const sizes = new Map<Expr, number>();
  const found: Expr[] = [];
  const visit = (e: Expr): number => {
    const known = sizes.get(e);
    uses.set(e, (uses.get(e) ?? 0) + 1);
    if (known !== undefined) return known;
    const size = operands(e).reduce((n, x) => n + visit(x), 1);
    sizes.set(e, size);
    found.push(e);
    return size;
  };
  roots.forEach(visit);
  return found.filter(
    (e) => (uses.get(e) as number) > 1 && (sizes.get(e) as number) > mostRepeated,
  );
}

/** Text of expressions and statements of one kernel. */
class Writer {
  readonly #names = new Map<KVar, string>();
  readonly #taken = new Set<string>();
  /** values that have a line of their own, in the statement that is being written */
  readonly #shared = new Map<Expr, string>();
  #lines = 0;
  readonly #buffers: readonly string[];
  constructor(buffers: readonly string[]) {
    this.#buffers = buffers;
  }
  #name(v: KVar): string {
    return entry(this.#names, v, () => {
      let { name } = v;
      for (let i = 1; this.#taken.has(name); i++) name = `${v.name}'${i}`;
      this.#taken.add(name);
      return name;
    });
  }
  /** `tight` puts brackets around what an operator would tear apart */
  expr(e: Expr, tight = false): string {
    const named = this.#shared.get(e);
    if (named !== undefined) return named;
    const bracket = (s: string): string => (tight ? `(${s})` : s);
    switch (e.kind) {
      case "var":
        return this.#name(e);
      case "lit":
        return String(e.dtype === "bool" ? e.value !== 0 : numberKey(e.value));
      case "load":
        return `${this.#buffers[e.buffer]}[${this.expr(e.index)}]`;
      case "binary":
      case "compare": {
        const sign = infix[e.op];
        const [x, y] = operands(e).map((o) => this.expr(o, sign !== undefined));
        return sign === undefined ? `${e.op}(${x}, ${y})` : bracket(`${x} ${sign} ${y}`);
      }
      case "select":
      case "cond": {
        const [test, yes, no] = operands(e).map((x) => this.expr(x, true));
        return bracket(`${test} ${e.kind === "cond" ? "?" : "??"} ${yes} : ${no}`);
      }
      default: {
        const { short } = dtypes[e.dtype];
        const f = e.kind === "unary" ? e.op : e.kind === "cast" ? short : `bits_${short}`;
        return `${f}(${this.expr(e.x)})`;
      }
    }
  }
  /** The lines of the values that `roots` repeat, then those that `write` gives. */
  #sharing(roots: readonly Expr[], indent: string, write: () => string): string[] {
    const lines = repeated(roots).map((e) => {
      const text = this.expr(e);
      const name = `e${this.#lines++}`;
      this.#shared.set(e, name);
      return `${indent}${name} = ${text}`;
    });
    lines.push(indent + write());
    this.#shared.clear();
    return lines;
  }
  statements(body: readonly Stmt[], indent: string): string[] {
    const block = (head: string, inner: readonly Stmt[]): string[] => [
      indent + head,
      ...this.statements(inner, `${indent}  `),
    ];
    const lines = (s: Stmt): string[] => {
      switch (s.kind) {
        case "for": {
          const range = `${this.expr(s.from)}..${this.expr(s.to)}`;
          const how = s.parallel === true ? " parallel" : "";
          return block(`for ${this.#name(s.v)} in ${range}${how}`, s.body);
        }
        case "while":
          return block(`while ${this.expr(s.test)}`, s.body);
        case "if": {
          const yes = block(`if ${this.expr(s.test)}`, s.yes);
          return s.no.length > 0 ? [...yes, ...block("else", s.no)] : yes;
        }
        case "set":
          return this.#sharing(
            [s.value],
            indent,
            () => `${this.#name(s.v)} = ${this.expr(s.value)}`,
          );
        case "store":
          return this.#sharing(
            [s.index, s.value],
            indent,
            () => `${this.#buffers[s.buffer]}[${this.expr(s.index)}] = ${this.expr(s.value)}`,
          );
      }
    };
    return body.flatMap(lines);
  }
}

const sizes = (dims: readonly ContractDim[]): string => dims.map((d) => d.size).join("×") || "1";
const showContract = ({ batch, m, n, k }: ContractKernel): string =>
  `${batch.length > 0 ? `${sizes(batch)} of ` : ""}[${sizes(m)}, ${sizes(k)}]·[${sizes(k)}, ${sizes(n)}]`;
const showConv = ({ batch, inFeatures, outFeatures, spatial, featureGroups }: ConvKernel): string =>
  `${batch.size} images, features ${inFeatures.size * featureGroups} to ${outFeatures.size}, ` +
  spatial.map((s) => `${s.input} by window ${s.window} to ${s.output}`).join(", ");

/** One kernel; `names` are those of its buffers. */
export function showKernel(kernel: Kernel, names: readonly string[]): string {
  switch (kernel.kind) {
    case "loops":
      return new Writer(names).statements(kernel.body, "  ").join("\n");
    case "contract":
      return `  ${names[2]} = ${names[0]}·${names[1]}: ${showContract(kernel)}`;
    case "conv":
      return `  ${names[2]} = ${names[0]} * ${names[1]}: ${showConv(kernel)}`;
  }
}

/** Bytes with a unit. */
export const showBytes = (n: number): string =>
  n < 1024
    ? `${n} B`
    : n < 2 ** 20
      ? `${(n / 1024).toFixed(1)} KiB`
      : `${(n / 2 ** 20).toFixed(1)} MiB`;

const letters = { input: "x", output: "y", temp: "t", scratch: "s" } as const;
/** Names of a program's buffers: x inputs, y outputs, t temporaries, s scratch. */
function bufferNames({ buffers }: Program): string[] {
  const counts = { input: 0, output: 0, temp: 0, scratch: 0 };
  return buffers.map(({ place }) => letters[place] + counts[place]++);
}

/** The kernels of a program and their loops. */
export function showProgram(program: Program): string {
  const names = bufferNames(program);
  const type = (id: number): string => {
    const b = program.buffers[id];
    return b === undefined ? "?" : `${names[id]}: ${dtypes[b.dtype].short}[${b.length}]`;
  };
  const list = (ids: readonly number[]): string => ids.map(type).join(", ");
  const lines = [`program ${program.name}(${list(program.inputs)}) -> (${list(program.outputs)})`];
  program.steps.forEach(({ kernel, args }, i) => {
    const own = args.map((id) => names[id] as string);
    lines.push(`kernel ${i} ${kernel.name}(${list(args)})`, showKernel(kernel, own));
  });
  return lines.join("\n");
}

/** Where the temporaries lie: one line each, with the steps during which it is alive. */
export function showPlan(program: Program): string {
  const names = bufferNames(program);
  const lines = [`arena ${showBytes(program.arenaBytes)}`];
  program.buffers.forEach((b, id) => {
    if (b.place !== "temp") return;
    const alive = program.steps.flatMap(({ args }, i) => (args.includes(id) ? [i] : []));
    if (alive.length === 0) return;
    const at = b.home === undefined ? `at ${b.offset}` : `in ${names[b.home]}`;
    lines.push(
      `  ${names[id]}: ${dtypes[b.dtype].short}[${b.length}] ${at}, ${showBytes(b.bytes)}, kernels ${alive[0]} to ${alive.at(-1)}`,
    );
  });
  return lines.join("\n");
}
