"""Exact values of the special functions, by mpmath: `python test/golden/special_exact.py > test/golden/special_exact.json`.

{function: [[x, value], …]} with values rounded to float64; two arguments for polygamma and zeta. The points cover each range of
core/kernel/{special,gamma}.ts, its seams, the neighbourhoods of zeros and poles, subnormal numbers and large ones.
"""
import json
import math
import random
import sys

import mpmath as mp

mp.mp.dps = 60
random.seed(1)
tiny = [5e-324, 1e-310, 2.5e-308, 1e-160, 1e-20, 1e-9, 1e-5]


def spread(low, high, n):
    return [low + (high - low) * random.random() for _ in range(n)]


def both(xs):
    return xs + [-x for x in xs]


def seams(*xs):
    return [math.nextafter(x, d) for x in xs for d in (-math.inf, math.inf)] + list(xs)


def lgamma(x):
    return mp.log(abs(mp.gamma(x))) if abs(x) < 1000 else mp.loggamma(x).real


functions = {
    "logistic": (lambda x: 1 / (1 + mp.exp(-x)), both(tiny + spread(0, 40, 20) + [100, 700, 740])),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), tiny + spread(0, 4, 20) + [1e300]),
    "erf": (mp.erf, both(tiny + seams(0.84375, 1.25, 1 / 0.35, 6) + spread(0, 6.5, 30))),
    "erfc": (mp.erfc, both(tiny + seams(0.84375, 1.25, 1 / 0.35, 6)) + seams(0.25) + spread(-6, 27, 60)),
    "erfInv": (
        lambda x: mp.sqrt(mp.pi) / 2 * x if abs(x) < 1e-15 else mp.erfinv(x),
        both(tiny + seams(0.85, 1e-9) + spread(0, 1, 30) + [1 - 2.0**-k for k in range(5, 54, 4)]),
    ),
    "lgamma": (
        lgamma,
        tiny + seams(0.9, 1.2316, 1.7316, 2.0001, 3, 5, 8, 2.0**58) + spread(0, 10, 60) + [1 + 1e-12, 2 - 1e-12, 1e300, 170, 1e5]
        # away from the zeros between the poles, where the relative error is unbounded
        + [-1e-300, -1e-5, -0.5, -1.25, -2.2, -5.5, -10.25, -33.3],
    ),
    "digamma": (
        mp.digamma,
        [1e-300, 1e-20, 1e-5] + seams(1, 2, 10) + spread(0, 12, 60) + [1.4616, 1.4616321449683622, 1.47, 1e5, 1e300]
        + [-1e-300, -1e-5, -0.25, -1.75, -2.25, -9.9],
    ),
    "polygamma": (
        lambda m, x: mp.polygamma(int(m), x),
        [(m, x) for m in (1, 2, 3, 7) for x in [1e-5, 0.3, 1, 2.5, 11, 100, 1e5]],
    ),
    "zeta": (lambda s, q: mp.zeta(s, q), [(s, q) for s in (1.25, 2, 3.5, 20) for q in [1e-3, 0.4, 1, 3, 17, 500]]),
}
out = {}
for name, (f, points) in functions.items():
    points = [p if isinstance(p, tuple) else (p,) for p in points]
    out[name] = [[*p, float(f(*map(mp.mpf, p)))] for p in points]
json.dump(out, sys.stdout, separators=(",", ":"))
print()
