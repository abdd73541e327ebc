"""Goldens of core/random, made by JAX: `python test/golden/jax_random.py > test/golden/random.json`.

Every case is {fn, args, values, shape, dtype}; `fn` names a row of the table in test/random.test.ts, which makes the same call.
Floats are written so that they read back exactly.

Integers, bits, uniforms and choices are JAX's results. JAX's float32 erf_inv is up to 88 ulp off in the tails and its float64 logarithms
up to 128, so draws that go through elementary functions are instead computed here with mpmath from JAX's own uniform draws, and
JAX's result is asserted to agree with them to its own accuracy.
"""
import json
import sys

import jax
import mpmath as mp
import numpy as np
from jax import random

cases = []


def case(fn, args, out):
    out = np.asarray(out)
    values = out.astype(np.float64).ravel().tolist()
    cases.append(
        {"fn": fn, "args": args, "dtype": str(out.dtype), "shape": list(out.shape), "values": values}
    )


def words(key):
    return np.asarray(random.key_data(key)) if jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key) else key


mp.mp.dps = 40
SQRT2 = mp.sqrt(2)


def exactly(fn, args, u, formula, jax_result, slack):
    """The case of formula(u) for JAX's uniform draws u, rounded to float64."""
    u = np.asarray(u)
    exact = np.array([float(formula(mp.mpf(float(v)))) for v in u.ravel()]).reshape(u.shape)
    off = np.abs(exact - np.asarray(jax_result, np.float64)) / np.maximum(1, np.abs(exact))
    assert off.size == 0 or off.max() <= slack, (fn, args, off.max())
    case(fn, args, exact)
    cases[-1]["dtype"] = str(u.dtype)


def run(dtypes):
    for dtype in dtypes:
        eps = float(jax.numpy.finfo(dtype).eps)
        tiny = jax.numpy.finfo(dtype).tiny
        after = eps / 2 - 1
        for seed, shape in [(0, [7]), (42, [3, 5])]:
            k = random.PRNGKey(seed)
            a = [seed, shape, dtype]
            case("uniform", a, random.uniform(k, shape, dtype))
            case("uniform -3 5", a, random.uniform(k, shape, dtype, -3, 5))
            unit = np.asarray(random.uniform(k, shape, dtype))
            positive = np.asarray(random.uniform(k, shape, dtype, tiny, 1.0))
            signed = np.asarray(random.uniform(k, shape, dtype, after, 1.0))
            low, high = mp.erf(-1 / SQRT2), mp.erf(2 / SQRT2)
            exactly("normal", a, signed, lambda u: SQRT2 * mp.erfinv(u), random.normal(k, shape, dtype), 512 * eps)
            exactly("truncatedNormal", a, unit, lambda u: SQRT2 * mp.erfinv(low + (high - low) * u),
                    random.truncated_normal(k, -1.0, 2.0, shape, dtype), 64 * eps)
            exactly("exponential", a, unit, lambda u: -mp.log(1 - u), random.exponential(k, shape, dtype), 128 * eps)
            exactly("gumbel", a, positive, lambda u: -mp.log(-mp.log(u)), random.gumbel(k, shape, dtype), 128 * eps)
            exactly("laplace", a, signed, lambda u: mp.sign(u) * mp.log(1 - abs(u)), random.laplace(k, shape, dtype), 128 * eps)
            exactly("logistic", a, positive, lambda u: mp.log(u / (1 - u)), random.logistic(k, shape, dtype), 128 * eps)


for seed in [0, 1, 42, 2**31, 2**32 - 1, -1, -5]:
    case("key", [seed], words(random.PRNGKey(seed)))
for seed, num in [(0, 2), (3, 1), (7, 5), (7, [2, 3]), (7, 0)]:
    case("split", [seed, num], words(random.split(random.PRNGKey(seed), num if isinstance(num, int) else tuple(num))))
for seed, data in [(0, 0), (0, 5), (9, 2**32 - 1)]:
    case("foldIn", [seed, data], words(random.fold_in(random.PRNGKey(seed), data)))
for seed, shape in [(0, []), (0, [9]), (5, [2, 3, 4]), (5, [0, 3])]:
    case("bits", [seed, shape], random.bits(random.PRNGKey(seed), shape))
    case("bits uint8", [seed, shape], random.bits(random.PRNGKey(seed), shape, "uint8"))

run(["float32", "float16", "bfloat16"])

k = random.PRNGKey
for seed, p in [(0, 0.5), (1, 0.3), (2, 0.0), (2, 1.0)]:
    case("bernoulli", [seed, p, [20]], random.bernoulli(k(seed), p, (20,)))
case("bernoulli", [3, [0.1, 0.5, 0.9], [4, 3]], random.bernoulli(k(3), np.float32([0.1, 0.5, 0.9]), (4, 3)))
case("rademacher", [1, [10]], random.rademacher(k(1), (10,), "int32"))
for seed, shape, low, high, dtype in [
    (0, [12], 0, 10, "int32"),
    (1, [3, 4], -100, 1000003, "int32"),
    (2, [8], -(2**31), 2**31 - 1, "int32"),
    (2, [4], 5, 5, "int32"),
    (2, [4], 5, 3, "int32"),
    (3, [8], 0, 2**31, "uint32"),
    (4, [8], 0, 256, "uint8"),
    (4, [8], -128, 128, "int8"),
    (4, [8], -1000, 1000, "int8"),
    (5, [8], 7, 200, "uint8"),
]:
    ends = (np.uint32(low), np.uint32(high)) if dtype == "uint32" else (low, high)
    case("randint", [seed, shape, low, high, dtype], random.randint(k(seed), shape, *ends, dtype))
case("randint", [6, [2, 3], [0, 10, -5], [1, 100, 5], "int32"], random.randint(k(6), (2, 3), np.int32([0, 10, -5]), np.int32([1, 100, 5])))
for seed, n in [(0, 1), (0, 10), (1, 50), (2, 2000)]:
    case("permutation", [seed, n], random.permutation(k(seed), n))
x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
for axis in [0, 1, 2]:
    case("permutation of x", [3, axis, False], random.permutation(k(3), x, axis))
    case("permutation of x", [3, axis, True], random.permutation(k(3), x, axis, independent=True))
case("choice", [0, 10, [6]], random.choice(k(0), 10, (6,)))
case("choice no replacement", [0, 10, [2, 3]], random.choice(k(0), 10, (2, 3), replace=False))
p = [0.125, 0.5, 0.0, 0.25, 0.125]
case("choice p", [1, p, [30]], random.choice(k(1), 5, (30,), p=np.float32(p)))
case("choice p no replacement", [1, p, [4]], random.choice(k(1), 5, (4,), replace=False, p=np.float32(p)))
for axis in [0, 1, 2]:
    case("choice of x", [2, axis, [5]], random.choice(k(2), x, (5,), axis=axis))
    case("choice of x no replacement", [2, axis, [2]], random.choice(k(2), x, (2,), replace=False, axis=axis))
logits = np.float32([[0.0, 1.0, 2.0, -1.0], [3.0, 0.0, 0.0, 0.0], [-9.0, 0.0, 1.0, 0.5]])
for axis in [0, 1, -1]:
    case("categorical", [0, axis, None, True], random.categorical(k(0), logits, axis))
    n = 3 if axis == 0 else 4
    case("categorical", [1, axis, [5, 7 - n], True], random.categorical(k(1), logits, axis, (5, 7 - n)))
    case("categorical", [1, axis, [2, 7 - n], False], random.categorical(k(1), logits, axis, (2, 7 - n), replace=False))

jax.config.update("jax_enable_x64", True)
for seed in [2**32 + 7, 2**53 - 1, -(2**33) - 3]:
    case("key", [seed], words(random.PRNGKey(seed)))
run(["float64"])

json.dump({"jax": jax.__version__, "cases": cases}, sys.stdout, separators=(",", ":"))
print()
