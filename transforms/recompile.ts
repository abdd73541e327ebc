/** Why a jitted function is traced again and again: said once, naming what changes. */
import type { Aval } from "../core/aval.ts";
import type { TreeDef } from "../core/tree.ts";
import { pathsOf } from "./arguments.ts";

/** What a trace is for. */
export interface Signature {
  /** structure of the list of dynamic arguments */
  readonly tree: TreeDef;
  /** types of their leaves */
  readonly avals: readonly Aval[];
  /** keys of the static arguments */
  readonly statics: readonly string[];
}

/** Signatures of one function that are worth a warning, if there were not many more calls than that. */
const manySignatures = 8;
const fewCalls = 32;
const shown = 3;

/** Counts the traces of one jitted function: to be told of each new signature, of the arguments that have it and of the number of calls
 *  up to now. */
export function retraces(name: string, statics: readonly number[]) {
  let signatures: Signature[] | null = [];
  return (signature: Signature, args: readonly unknown[], calls: number): void => {
    if (signatures === null || signatures.push(signature) < manySignatures) return;
    const { changes, remedies } = whatChanges(signatures, args, statics);
    signatures = null;
    if (calls <= fewCalls)
      console.warn(`jit(${name}): traced ${manySignatures} times; ${changes}; ${remedies}.`);
  };
}

const list = (values: Iterable<string>): string => {
  const distinct = [...new Set(values)];
  return distinct.slice(0, shown).join(", ") + (distinct.length > shown ? " …" : "");
};

/** What differs between signatures, and what helps. */
export interface Changes {
  readonly changes: string;
  readonly remedies: string;
}
/** The changes between signatures. `args` are the arguments of the last one. */
export function whatChanges(
  signatures: readonly Signature[],
  args: readonly unknown[],
  statics: readonly number[],
): Changes {
  const changes: string[] = [];
  const remedies = new Set<string>();
  const say = (what: string, remedy: string): void => {
    changes.push(what);
    remedies.add(remedy);
  };
  const last = signatures[signatures.length - 1] as Signature;

  const present = statics.filter((n) => n < args.length);
  present.forEach((n, i) => {
    const values = new Set(signatures.map((s) => s.statics[i] ?? "nothing"));
    if (values.size > 1)
      say(
        `the static args[${n}] changes its value: ${list(values)}`,
        "pass what varies as an array",
      );
  });

  if (signatures.some((s) => s.tree.children.length !== last.tree.children.length)) {
    say(
      `the number of arguments changes: ${list(signatures.map((s) => String(s.tree.children.length)))}`,
      "call it with the same arguments each time",
    );
  } else {
    const dynamic = args.flatMap((_, n) => (statics.includes(n) ? [] : [n]));
    // position of the argument's first leaf, in each signature
    const first = signatures.map(() => 0);
    dynamic.forEach((n, k) => {
      const trees = signatures.map((s) => s.tree.children[k] as TreeDef);
      const name = `args[${n}]`;
      if (trees.some((t) => !t.equals(trees[0] as TreeDef)))
        say(
          `${name} changes its structure: ${list(trees.map((t) => shorten(String(t))))}`,
          "keep the same keys and lengths",
        );
      else
        pathsOf(name, args[n]).forEach((path, leaf) => {
          const avals = signatures.map((s, i) => s.avals[(first[i] as number) + leaf] as Aval);
          const change = leafChange(avals);
          if (change !== null) say(`${path} ${change[0]}`, change[1]);
        });
      trees.forEach((t, i) => {
        first[i] = (first[i] as number) + t.numLeaves;
      });
    });
  }
  const more = changes.length > shown ? `; ${changes.length - shown} more` : "";
  return {
    changes: changes.slice(0, shown).join("; ") + more,
    remedies: [...remedies].join("; "),
  };
}

const shorten = (s: string): string => (s.length > 60 ? `${s.slice(0, 59)}…` : s);

/** What changes among the types of a leaf, and what helps; null if nothing does. */
function leafChange(avals: readonly Aval[]): readonly [string, string] | null {
  const [one] = avals as readonly [Aval];
  const shapes = avals.some((a) => a.shape.join() !== one.shape.join());
  const dtypes = avals.some((a) => a.dtype !== one.dtype);
  const seen = list(avals.map(String));
  if (shapes && dtypes)
    return [`changes its shape and dtype: ${seen}`, "pad to one shape and convert to one dtype"];
  if (shapes)
    return [
      `changes its shape: ${seen}`,
      "pad to one shape, or to a few, or keep what varies out of the jitted function",
    ];
  if (dtypes) return [`changes its dtype: ${seen}`, "convert it to one dtype"];
  if (avals.some((a) => a.weakType !== one.weakType))
    return ["is a number in some calls and an array in others", "pass np.array(…) always"];
  return null;
}
