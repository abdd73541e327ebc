/** A primitive is one record: its shape rule, its derivative, its transpose, its batching and its lowering. */
import type { Aval } from "./aval.ts";
import { fail, RuleError } from "./errors.ts";
import { identity, isRecord, mix, textHash } from "./hash.ts";
import { keepAmong } from "./maps.ts";
import type { Lowering } from "./kernel/kernel.ts";
import type { NDArray } from "./ndarray.ts";

/** Static parameters of an equation: plain data, or a closed jaxpr for a higher-order primitive. */
export type Params = object;

/** A tangent or cotangent known to be zero, of type `aval`. */
export class Zero {
  readonly aval: Aval;
  constructor(aval: Aval) {
    this.aval = aval;
  }
}
/** Stands for an operand in which the equation is linear, while transposing. */
export class LinearInput {
  readonly aval: Aval;
  constructor(aval: Aval) {
    this.aval = aval;
  }
}
export type Tangent = NDArray | Zero;

/** Why a primitive has no rule of some kind. */
export class NoRule {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}
/** A hole in the coverage matrix: a value with its reason, never an omission. */
export const noRule = (reason: string): NoRule => new NoRule(reason);

/** Types of the results. Throws ShapeError or DTypeError. */
export type ShapeRule<P> = (inputs: readonly Aval[], params: P) => readonly Aval[];

/** (x, dx) ↦ (f(x), f′(x)·dx). Operations on primal values alone are the nonlinear part; every operation
 *  that meets a tangent must be linear in it: linearization keeps just those. Called where a tangent is not `Zero`, which
 *  only those of floats are. Rules that several primitives share go by the last argument, the primitive itself. */
export type JvpRule<P> = (
  primals: readonly NDArray[],
  tangents: readonly Tangent[],
  params: P,
  primitive: Primitive,
) => { readonly outs: readonly NDArray[]; readonly tangents: readonly Tangent[] };

/** Cotangents of the outputs, not all of them `Zero`, ↦ cotangents of the `LinearInput`s (anything at the other positions is
 *  ignored). */
export type TransposeRule<P> = (
  cotangents: readonly Tangent[],
  inputs: readonly (NDArray | LinearInput)[],
  params: P,
) => readonly (Tangent | null)[];

/** Inputs of which at least one carries a batch axis (`dims[i]`, else null) of size `size` ↦ outputs and their batch axes. */
export type BatchRule<P> = (
  size: number,
  inputs: readonly NDArray[],
  dims: readonly (number | null)[],
  params: P,
  primitive: Primitive,
) => { readonly outs: readonly NDArray[]; readonly dims: readonly (number | null)[] };

export type LowerRule<P> = (
  inputs: readonly Aval[],
  outputs: readonly Aval[],
  params: P,
) => Lowering;

/** Splits an equation at a point into its primal part, run now, and a linear part, recorded by binding
 *  operations on the tangents. Without one, the jvp rule serves. */
export type LinearizeRule<P> = JvpRule<P>;

export interface PrimitiveRecord<P extends Params> {
  readonly name: string;
  readonly shape: ShapeRule<P>;
  readonly jvp: JvpRule<P> | NoRule;
  readonly transpose: TransposeRule<P> | NoRule;
  readonly batch: BatchRule<P> | NoRule;
  /** `inline` instead, for a primitive whose meaning is a jaxpr among its params */
  readonly lower: LowerRule<P> | NoRule;
  readonly linearize?: LinearizeRule<P>;
  /** the closed jaxpr that an equation stands for (typed `unknown` here: jaxprs are made of primitives) */
  readonly inline?: (params: P) => unknown;
}

export interface Primitive<P extends Params = Params> extends PrimitiveRecord<P> {
  readonly id: number;
}

/** Every primitive that was defined, by name. */
export const primitives = new Map<string, Primitive>();

/** Defines a primitive. Users call this too.
 *  @example
 *  definePrimitive({ name: "twice", shape: ([x]) => [x], jvp: …, transpose: …, batch: …, lower: … }) */
export function definePrimitive<P extends Params = Record<never, never>>(
  record: PrimitiveRecord<P>,
): Primitive<P> {
  if (primitives.has(record.name))
    fail(
      RuleError,
      "definePrimitive",
      "names must be unique",
      `"${record.name}" again`,
      "rename it",
    );
  const primitive: Primitive<P> = { ...record, id: primitives.size };
  // a primitive is used with its own params only; the registry forgets their type
  primitives.set(record.name, primitive as unknown as Primitive);
  return primitive;
}

type RuleKind = "jvp" | "transpose" | "batch" | "lower";

/** The rule, or a RuleError with the reason of the hole. */
export function ruleOf<K extends RuleKind>(
  primitive: Primitive,
  kind: K,
): Exclude<Primitive[K], NoRule> {
  const rule = primitive[kind];
  if (rule instanceof NoRule)
    return fail(
      RuleError,
      primitive.name,
      `the transform needs a ${kind} rule`,
      `none, because ${rule.reason}`,
      "rewrite the function without this operation here, or wrap the value in stopGradient",
    );
  return rule as Exclude<Primitive[K], NoRule>;
}

// ---- keys of params ----

/** A number for static params: equal data has equal numbers, objects with an identity (jaxprs, functions) go by
 *  identity. A number is given once, so that forgetting params makes caches miss and nothing else. */
export function paramsKey(params: unknown): number {
  const hash = hashOf(params);
  const chain = interned.get(hash);
  for (let p = chain; p !== undefined; p = p.next) if (matches(p.params, params)) return p.key;
  const made = { params: copyOf(params), key: nextKey++, next: chain };
  return keepAmong(interned, internedLimit, hash, made).key;
}

interface Interned {
  /** a copy with a `Named` in place of each object that has an identity */
  readonly params: unknown;
  readonly key: number;
  /** another one with the same hash */
  readonly next: Interned | undefined;
}
const internedLimit = 1 << 16;
const interned = new Map<number, Interned>();
let nextKey = 0;

/** Stands for an object that must not be kept alive. */
class Named {
  readonly id: number;
  constructor(id: number) {
    this.id = id;
  }
}

function hashOf(value: unknown): number {
  switch (typeof value) {
    case "number":
      return (value | 0) ^ ((value * 65536) | 0);
    case "string":
      return textHash(value);
    case "object": {
      if (value === null) return 7;
      let hash = 0;
      if (Array.isArray(value)) {
        for (let i = 0; i < value.length; i++) hash = mix(hash, hashOf(value[i]));
        return hash;
      }
      if (!isRecord(value)) return identity(value);
      // whatever the order of the keys
      for (const k in value)
        hash = (hash + mix(k.length, hashOf((value as Record<string, unknown>)[k]))) | 0;
      return hash;
    }
    case "function":
      return identity(value);
    case "boolean":
      return value ? 3 : 5;
    default:
      return 11;
  }
}

function copyOf(value: unknown): unknown {
  if (typeof value === "function") return new Named(identity(value));
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOf);
  if (!isRecord(value)) return new Named(identity(value));
  const copy: Record<string, unknown> = {};
  for (const k in value) copy[k] = copyOf((value as Record<string, unknown>)[k]);
  return copy;
}

function matches(kept: unknown, value: unknown): boolean {
  if (typeof kept !== "object" || kept === null) return Object.is(kept, value);
  // of an object or a function
  if (kept instanceof Named)
    return Object(value) === value && identity(value as object) === kept.id;
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(kept)) {
    if (!Array.isArray(value) || kept.length !== value.length) return false;
    for (let i = 0; i < kept.length; i++) if (!matches(kept[i], value[i])) return false;
    return true;
  }
  if (Array.isArray(value) || !isRecord(value)) return false;
  let count = 0;
  for (const k in kept) {
    const v = (value as Record<string, unknown>)[k];
    if ((v === undefined && !(k in value)) || !matches((kept as Record<string, unknown>)[k], v))
      return false;
    count++;
  }
  for (const _ in value) count--;
  return count === 0;
}
