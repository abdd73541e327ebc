/** Writes every sample's inputs as JSON to standard output, for make.py. */
import { families } from "../samples/index.ts";
import { differentiated, digestOf, encode, valuesOf } from "../samples/data.ts";

const out = Object.entries(families).map(([family, samples]) => [
  family,
  samples.map((s) => ({
    primitive: s.primitive,
    name: s.name,
    jax: s.jax,
    grad: differentiated(s),
    digest: digestOf(s),
    args: s.args.map((a, i) => ({
      shape: a.shape,
      dtype: a.dtype,
      values: valuesOf(s, i).map(encode),
    })),
  })),
]);
process.stdout.write(JSON.stringify(Object.fromEntries(out)));
