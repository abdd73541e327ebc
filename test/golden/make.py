"""Makes the golden values and gradients: evaluates each sample's `jax` expression with JAX.

    python -m venv v && v/bin/pip install "jax[cpu]==0.10.2"
    npx tsc -p test/golden && node node_modules/.golden/test/golden/export.js > inputs.json
    v/bin/python -P test/golden/make.py inputs.json [family ...]

writes test/golden/values/<family>.json, one line for each sample:

    digest    of what the golden depends on (inputs, expression, differentiated arguments)
    values    results: dtype `d`, shape `s`, elements `v` row-major
    grads     vjp with the cotangents ((7i + 3k) mod 8 - 3.5)/4 of element i of output k
    e         element -> JAX's own error there in units in the last place, against the same expression evaluated
              in float64, where it is more than 1/2

NaN, infinities and -0 are strings; other floats are the shortest decimals that round to the value.
"""
import json
import math
import os
import sys

import jax
import jax.extend

jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax import lax
from jax._src.lax import windowed_reductions as windows

DTYPES = {
    "bool": np.bool_, "int8": np.int8, "uint8": np.uint8, "int32": np.int32, "uint32": np.uint32,
    "float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float32": np.float32, "float64": np.float64,
}
MANTISSA = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}
TINY = {"float16": -14, "bfloat16": -126, "float32": -126, "float64": -1022}
SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "-0": -0.0}


def is_float(x):
    return jnp.issubdtype(x.dtype, jnp.floating)


def array(arg):
    values = [SPECIAL.get(v, v) for v in arg["values"]]
    return jnp.asarray(np.array(values, np.float64).astype(DTYPES[arg["dtype"]]).reshape(arg["shape"]))


def encode(x, dtype):
    if dtype == "bool":
        return int(x)
    if dtype not in MANTISSA:
        return int(x)
    v = float(x)
    if math.isnan(v):
        return "nan"
    if math.isinf(v):
        return "inf" if v > 0 else "-inf"
    if v == 0 and math.copysign(1, v) < 0:
        return "-0"
    short = v if dtype == "float64" else float(str(np.float32(v)))
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def evaluate(jax_text, xs):
    names = "abcdefghij"
    out = eval(jax_text, {"jax": jax, "jnp": jnp, "lax": lax, "np": np, "windows": windows, **dict(zip(names, xs))})
    return [jnp.asarray(o) for o in (out if isinstance(out, (tuple, list)) else [out])]


def cotangent(shape, k, dtype):
    n = math.prod(shape)
    return jnp.asarray(np.array([((7 * i + 3 * k) % 8 - 3.5) / 4 for i in range(n)]).reshape(shape)).astype(dtype)


def gradients(jax_text, xs, positions):
    kept = []

    def floats(*diff):
        all_xs = list(xs)
        for p, d in zip(positions, diff):
            all_xs[p] = d
        outs = evaluate(jax_text, all_xs)
        kept[:] = [(k, o.shape, o.dtype) for k, o in enumerate(outs) if is_float(o)]
        return [outs[k] for k, _, _ in kept]

    _, pull = jax.vjp(floats, *[xs[p] for p in positions])
    return list(pull([cotangent(s, k, d) for k, s, d in kept]))


def own_error(got, exact, dtype):
    """Units in the last place of `got` between it and `exact`, by element."""
    errors = {}
    if dtype not in MANTISSA or dtype == "float64" or exact is None or got.shape != exact.shape:
        return errors
    g = np.asarray(got).astype(np.float64).ravel()
    e = np.asarray(exact).astype(np.float64).ravel()
    for i, (x, y) in enumerate(zip(g, e)):
        if not (math.isfinite(x) and math.isfinite(y)):
            continue
        exponent = max(math.frexp(x)[1] - 1 if x != 0 else TINY[dtype], TINY[dtype])
        ulps = abs(x - y) / 2.0 ** (exponent - MANTISSA[dtype])
        if ulps > 0.5:
            errors[str(i)] = round(ulps, 1) if ulps < 100 else round(ulps)
    return errors


def result(x, exact):
    dtype = str(x.dtype)
    out = {"d": dtype, "s": list(x.shape), "v": [encode(v, dtype) for v in np.asarray(x).ravel()]}
    errors = own_error(x, exact, dtype)
    if errors:
        out["e"] = errors
    return out


def in_float64(f):
    try:
        return f()
    except Exception:  # the expression names a dtype, so that there is no float64 counterpart
        return None


def golden(sample):
    xs = [array(a) for a in sample["args"]]
    wide = [x.astype(jnp.float64) if is_float(x) else x for x in xs]
    text = sample["jax"]
    outs = evaluate(text, xs)
    exact = in_float64(lambda: evaluate(text, wide)) or [None] * len(outs)
    entry = {
        "primitive": sample["primitive"],
        "name": sample["name"],
        "digest": sample["digest"],
        "values": [result(o, e) for o, e in zip(outs, exact)],
    }
    if sample["grad"] and any(is_float(o) for o in outs):
        try:
            gs = gradients(text, xs, sample["grad"])
        except NotImplementedError as error:
            print(f"{sample['primitive']}: {sample['name']}: no vjp in JAX: {error}"[:200], file=sys.stderr)
            return entry
        exact = in_float64(lambda: gradients(text, wide, sample["grad"])) or [None] * len(gs)
        entry["grads"] = [result(g, e) for g, e in zip(gs, exact)]
    return entry


def main():
    with open(sys.argv[1]) as f:
        families = json.load(f)
    here = os.path.dirname(os.path.abspath(__file__))
    chosen = sys.argv[2:] or list(families)
    for family in chosen:
        lines = []
        for sample in families[family]:
            try:
                entry = golden(sample)
            except Exception as error:
                print(f"{family}/{sample['primitive']}: {sample['name']}: {type(error).__name__}: {error}"[:400], file=sys.stderr)
                continue
            rough = [max(r["e"].values()) for r in entry["values"] + entry.get("grads", []) if "e" in r]
            if rough and max(rough) > 64:
                print(f"{family}/{sample['primitive']}: {sample['name']}: JAX is {max(rough)} ulp off", file=sys.stderr)
            lines.append(json.dumps(entry, separators=(",", ":")))
        with open(os.path.join(here, "values", f"{family}.json"), "w") as f:
            f.write("[\n" + ",\n".join(lines) + "\n]\n")
        print(f"{family}: {len(lines)} of {len(families[family])}")


main()
