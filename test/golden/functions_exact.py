"""Values to 106 bits by mpmath of the functions of test/accuracy, which check its own arithmetic:
`python test/golden/functions_exact.py [POINTS] > test/golden/functions_exact.json`, 40 points a function by default.

{function: [[argument, …, hi, lo, exp], …]}, the value being (hi + lo)·2^exp. The arguments cover all exponents, and the neighbourhoods of
what is listed for each function: zeros, seams of the tables, thresholds of overflow and underflow.
"""
import json
import math
import random
import struct
import sys

import mpmath as mp

mp.mp.prec = 400
random.seed(2)
count = int(sys.argv[1]) if len(sys.argv) > 1 else 40


def bits():
    while True:
        x = struct.unpack("<d", random.randbytes(8))[0]
        if math.isfinite(x):
            return x


def around(*centres):
    """a number near a centre, at a distance of any magnitude"""

    def draw():
        c = random.choice(centres)
        return (c if c else random.choice((-1, 1))) * (1 + random.uniform(-1, 1) * 2.0 ** -random.uniform(0, 53)) * (
            1 if c else 2.0 ** random.uniform(-1074, 0)
        )

    return draw


def uniform(a, b):
    return lambda: random.uniform(a, b)


def angle():
    """nearly a multiple of π/2, now and then the worst of all float64"""
    n = random.randrange(1, int(2 ** random.uniform(1, 60)))
    return random.choice((float(n * mp.pi / 2), 6381956970095103 * 2.0 ** random.choice((797, 796, 798)), 5319372648326541 * 2.0**850))


def power():
    x = 2.0 ** random.uniform(-1074, 1023)
    target = random.choice((1024, -1022, -1074, random.uniform(-1074, 1024))) * (1 + 2.0 ** -random.uniform(3, 50))
    return x, target / math.log2(x) if x != 1 else 1.0


def power_near_one():
    x = 1 + random.choice((-1, 1)) * 2.0 ** -random.uniform(1, 52)
    return x, random.uniform(-700, 700) / math.log(x) if x != 1 else 2.0


def ratio():
    return tuple(random.choice((-1, 1)) * 2.0 ** random.uniform(-60, 60) for _ in range(2))


def lgamma(x):
    return mp.log(abs(mp.gamma(x))) if abs(x) < 1000 else mp.loggamma(x).real


def digamma(x):
    if x <= 0 and x == mp.floor(x):
        raise ValueError
    return mp.digamma(x) if x > 0 else mp.digamma(1 - x) - mp.pi * mp.cot(mp.pi * x)


def erfinv(x):
    if not 0 < abs(x) < 1:
        raise ValueError
    if abs(x) < 1e-60:
        return mp.sqrt(mp.pi) / 2 * x
    y = mp.erfinv(float(x)) if abs(x) < 0.9 else mp.sign(x) * mp.sqrt(-mp.log(1 - abs(x)))
    for _ in range(12):
        f = mp.erf(y) - x if abs(x) < 0.9 else mp.sign(x) * (1 - abs(x) - mp.erfc(abs(y)))
        u = f * mp.sqrt(mp.pi) / 2 * mp.exp(y * y)
        y -= u / (1 + y * u)
    return y


def zeta(s, q):
    if not (s > 1 and q > 0):
        raise ValueError
    return mp.zeta(s, q)


lgamma_zeros = [float(mp.findroot(lgamma, x)) for x in (-2.457, -2.7477, -3.1436, -3.9552, -4.0393, -5.0083, 1, 2)]
digamma_zeros = [float(mp.findroot(digamma, x)) for x in (1.46, -0.504, -1.573, -2.6109, -3.635, -9.7026)]
zeros = around(0)
functions = {
    "exp": (mp.exp, [bits, zeros, uniform(-745, 710), around(709.78, -708.4, -745.1, 0.0027)]),
    "exp2": (lambda x: mp.mpf(2) ** x, [bits, zeros, uniform(-1075, 1024), around(1024, -1022, -1074, 3)]),
    "expm1": (mp.expm1, [bits, zeros, uniform(-60, 700), around(0.0027, -0.0027, 709.78, 80, -80)]),
    "log": (mp.log, [bits, around(1, 1.4142, 0.7071, 1.0156, 0.9844), uniform(0, 4)]),
    "log2": (lambda x: mp.log(x) / mp.log(2), [bits, around(1, 1.4142, 2, 1024), uniform(0, 4)]),
    "log10": (mp.log10, [bits, around(1, 10, 1000), uniform(0, 4)]),
    "log1p": (mp.log1p, [bits, zeros, around(0.0156, -0.0156, -1), uniform(-1, 3)]),
    "sin": (mp.sin, [bits, zeros, angle, uniform(-50, 50)]),
    "cos": (mp.cos, [bits, zeros, angle, uniform(-50, 50)]),
    "tan": (mp.tan, [bits, zeros, angle, uniform(-50, 50)]),
    "asin": (mp.asin, [zeros, uniform(-1, 1), around(1, -1)]),
    "acos": (mp.acos, [zeros, uniform(-1, 1), around(1, -1)]),
    "atan": (mp.atan, [bits, zeros, uniform(-3, 3), around(1)]),
    "sinh": (mp.sinh, [bits, zeros, uniform(-3, 3), around(1, -40, 710.4)]),
    "cosh": (mp.cosh, [bits, zeros, uniform(-3, 3), around(1, -40, 710.4)]),
    "tanh": (mp.tanh, [bits, zeros, uniform(-3, 3), around(19, -22, 0.00135, 40)]),
    "asinh": (mp.asinh, [bits, zeros, uniform(-3, 3), around(2.0**60, 0.0156)]),
    "acosh": (mp.acosh, [bits, around(1, 2), uniform(1, 3), around(2.0**60)]),
    "atanh": (mp.atanh, [zeros, uniform(-1, 1), around(1, -1)]),
    "sqrt": (mp.sqrt, [bits, zeros, uniform(0, 4)]),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), [bits, zeros, uniform(0, 4)]),
    "cbrt": (lambda x: mp.sign(x) * mp.cbrt(abs(x)), [bits, zeros, uniform(0, 4)]),
    "logistic": (lambda x: 1 / (1 + mp.exp(-x)), [bits, zeros, uniform(-50, 50), around(-745, 80, -80)]),
    "erf": (mp.erf, [zeros, uniform(-6, 6), around(1, -1)]),
    "erfc": (mp.erfc, [zeros, uniform(-6, 28), around(1, -1, 1.03125, 26.5)]),
    "erfInv": (erfinv, [zeros, uniform(-1, 1), around(1, -1, 0.8427)]),
    "lgamma": (lgamma, [lambda: abs(bits()), zeros, uniform(-30, 30), around(*lgamma_zeros), around(24, -7)]),
    "digamma": (digamma, [lambda: abs(bits()), zeros, uniform(-30, 30), around(*digamma_zeros), around(24, -7)]),
    "zeta": (zeta, [lambda: (random.uniform(1, 20), random.uniform(0, 30)), lambda: (1 + abs(zeros()), 2.0 ** random.uniform(-30, 30))]),
    "polygamma": (lambda m, x: mp.polygamma(int(m), x), [lambda: (random.randrange(1, 12), random.uniform(0, 30))]),
    "pow": (lambda x, y: mp.mpf(x) ** y, [lambda: (abs(bits()), bits()), power, power_near_one]),
    "atan2": (mp.atan2, [lambda: (bits(), bits()), ratio]),
}


def split(value):
    """(hi, lo, exp) of a value of any exponent"""
    exp = 0 if value == 0 else int(mp.floor(mp.log(abs(value), 2)))
    m = mp.ldexp(value, -exp)
    hi = float(m)
    return [hi, float(m - hi), exp]


def rows(f, draws):
    found = []
    while len(found) < count:
        point = random.choice(draws)()
        point = point if isinstance(point, tuple) else (point,)
        try:
            value = f(*map(mp.mpf, point))
        except (ValueError, ZeroDivisionError, OverflowError):
            continue
        # a value of another kind is nothing for arithmetic to be wrong about
        if isinstance(value, mp.mpf) and mp.isfinite(value) and abs(mp.mag(value) if value else 0) < 1200:
            found.append([*point, *split(value)])
    return found


json.dump({name: rows(*spec) for name, spec in functions.items()}, sys.stdout, separators=(",", ":"))
print()
