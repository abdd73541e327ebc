"""Writes numpy.json: what JAX, optax and flax answer to the expressions of test/numpy.test.ts and its neighbours.

Run with a Python that has jax, optax and flax:  python test/golden/npgolden.py [group ...]

An expression is JavaScript. `python_of` turns it into Python (names to snake case, option objects to keywords), so that one
line states both sides; where the two differ on purpose, the Python side is written out beside it.
"""
import json
import os
import re
import sys

os.environ["JAX_PLATFORMS"] = "cpu"
import jax
import jax.numpy as jnp
import numpy as onp

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "numpy.json")
rng = onp.random.RandomState(7)
normal = lambda *s: rng.standard_normal(s).astype("float32")
nan, inf = float("nan"), float("inf")

ARRAYS = {
    "A": normal(3, 4),
    "A2": normal(3, 4),
    "B": normal(4, 5),
    "C": normal(4, 4),
    "T": normal(2, 3, 4),
    "T2": normal(2, 4, 5),
    "v": normal(7),
    "w": normal(4),
    "u": onp.float32([0.25, 0.5, 0.75, 1.0, 1.5]),  # positive
    "unit": onp.float32([-0.9, -0.5, 0.0, 0.25, 0.75]),
    "s": onp.float32(1.75),
    "rows": normal(4),
    "S": normal(1, 3, 1),
    "special": onp.float32([nan, inf, -inf, -0.0, 0.0, 1.5, -2.5, 0.5]),
    "special2": onp.float32([1.0, inf, 2.0, 3.0, -0.0, nan, 2.0, -0.5]),
    "halves": onp.float32([-2.5, -1.5, -0.5, -0.0, 0.0, 0.5, 1.5, 2.5, 3.49, 1e10]),
    "gaps": onp.float32([[1, nan, 3], [nan, nan, nan], [-2, 5, nan]]),
    "ties": onp.float32([2, 1, 2, 3, 3, 1, 3]),
    "sorted": onp.float32([-1, 0, 0, 0.5, 2, 2, 7]),
    "E": onp.zeros((0,), "float32"),
    "E3": onp.zeros((2, 0, 3), "float32"),
    "I": onp.int32([[5, -3, 0, 7], [-8, 2, 2, -1], [9, 9, -7, 4]]),
    "K": onp.int32([[2, 2, -3, 1], [3, -5, 7, 2], [-2, 4, 3, -3]]),
    "i": onp.int32([3, 1, 2, 1, 0, -4, 7]),
    "big": onp.int32([2147483647, -2147483648, 5]),
    "i8": onp.int8([100, -128, 7, -1]),
    "u8": onp.uint8([200, 255, 0, 3]),
    "u32": onp.uint32([4000000000, 1, 7, 0]),
    "h": onp.float16([1.5, -2.25, 1000.0, 0.1]),
    "bf": jnp.array([1.5, -2.25, 1000.0, 0.1], "bfloat16"),
    "P": onp.array([[1, 0, 0, 1], [0, 0, 1, 0], [1, 1, 0, 0]], bool),
    "p": onp.array([1, 0, 1], bool),
    "p4": onp.array([0, 1, 1, 0], bool),
    "p7": onp.array([1, 0, 0, 1, 1, 0, 1], bool),
    "none": onp.zeros((7,), bool),
    "ix": onp.int32([2, 0, 0]),
    "jx": onp.int32([1, 3, -1]),
    "kx": onp.int32([[0, 1], [-1, 0]]),
    "far": onp.int32([0, 9, -9, 2, -1]),
    "dup": onp.int32([1, 0, 1, 1, 4]),
    "five": onp.float32([10, 20, 30, 40, 50]),
    "along": onp.int32([[0, 2, -1], [3, 3, 1], [1, 0, 9]]),
    "labels": onp.int32([0, 3, -1, 2]),
    "targets": onp.int32([1, 0, 3]),
    "probabilities": onp.float32([[0.1, 0.2, 0.3, 0.4], [1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]]),
    "around": onp.float32([-3, -1.5, -0.5, 0, 0.5, 1.5, 3, 30, -30, 7]),
    "key": onp.uint32([0, 42]),
}
FLOAT64 = {"D": rng.standard_normal((3, 4)), "d": rng.standard_normal(5)}


class Names:
    """np.foo_bar: JAX's function of that name, lists made into arrays where JAX insists on them."""

    OVER = {
        "meshgrid": lambda xs, **k: jnp.meshgrid(*xs, **k),
        "from_function": lambda f, shape: jnp.fromfunction(f, shape, dtype="int32"),
        "logsumexp": jax.scipy.special.logsumexp,
        "one_hot": jax.nn.one_hot,
        "top_k": lambda x, k: jax.lax.top_k(x, k),
        "take": lambda x, i, *r, **k: jnp.take(x, jnp.asarray(i), *r, **k),
        "quantile": lambda x, q, *r, **k: jnp.quantile(x, jnp.asarray(q), *r, **k),
        "percentile": lambda x, q, *r, **k: jnp.percentile(x, jnp.asarray(q), *r, **k),
        "repeat": lambda x, n, *r: jnp.repeat(x, jnp.asarray(n), *r),
        "array": lambda x, dtype=None: jnp.array(x, dtype or ("float32" if not isinstance(x, (bool,)) else None)),
        "amax": jnp.max,
        "amin": jnp.min,
        "identity": jnp.identity,
        "concat": jnp.concat,
    }

    def __getattr__(self, name):
        name = re.sub(r"^atleast(\d)", r"atleast_\1", name)
        return self.OVER.get(name) or getattr(jnp, name)


def indices(ix):
    return tuple(jnp.asarray(i, "int32" if not i else None) if isinstance(i, list) else i for i in ix)


get = lambda x, *ix: x[indices(ix)]
at = lambda x, *ix: x.at[indices(ix)]


def python_of(js):
    out = re.sub(r"\b(\w+)\.(get|at)\(", r"\2(\1, ", js)
    out = re.sub(r"\{\s*([^}]*?)\s*\}", lambda m: re.sub(r"(\w+):\s", r"\1=", m.group(1)), out)
    out = re.sub(r'"\.\.\."', "...", out)
    out = re.sub(r"\btrue\b", "True", re.sub(r"\bfalse\b", "False", re.sub(r"\bnull\b", "None", out)))
    return re.sub(r"([a-z0-9])([A-Z])", lambda m: m.group(1) + "_" + m.group(2).lower(), out)


def number(x):
    x = float(x)
    if onp.isnan(x):
        return "nan"
    if onp.isinf(x):
        return "inf" if x > 0 else "-inf"
    if x == 0 and onp.signbit(x):
        return "-0"
    return int(x) if x == int(x) and abs(x) < 2**53 else x


def encode(x):
    if isinstance(x, (list, tuple)):
        return [encode(y) for y in x]
    y = onp.asarray(x)
    if str(y.dtype) == "int64" or (str(y.dtype) == "float64" and not jax.config.jax_enable_x64):
        y = onp.asarray(jnp.asarray(x))
    wide = onp.asarray(jnp.asarray(y).astype("float32")) if str(y.dtype) == "bfloat16" else y
    return {"dtype": str(y.dtype), "shape": list(y.shape), "values": [number(e) for e in wide.ravel()]}


NP = Names()
SCOPE = {"np": NP, "jnp": jnp, "jax": jax, "nn": jax.nn, "get": get, "at": at, "slice": slice, "lax": jax.lax, "onp": onp}


def cotangent(k):
    """the weights of a result's elements where a gradient is taken"""
    return (k % 5) * 0.5 - 0.75


def leaves(x):
    return [x] if not isinstance(x, (list, tuple)) else list(x)


failures = []


class Suite:
    def __init__(self):
        self.cases = []

    def __call__(self, js, py=None, *, ulp=0, terms=0, grad="", x64=False):
        """ulp: units in the last place of each element. terms: so many rounding steps of sums, each within one unit of
        the largest value that the expression takes on the operands' magnitudes. grad: names to differentiate by."""
        try:
            self.case(js, py, ulp, terms, grad, x64)
        except Exception as e:  # all of them are wanted at once
            failures.append(f"{js}: {type(e).__name__}: {str(e).splitlines()[0][:150]}")

    def case(self, js, py, ulp, terms, grad, x64):
        with jax.enable_x64(x64):
            values = {k: jnp.asarray(a) for k, a in {**ARRAYS, **(FLOAT64 if x64 else {})}.items()}
            code = compile((py or python_of(js)).strip(), js, "eval")
            run = lambda names: eval(code, {**SCOPE, **names})
            result = run(values)
            case = {"js": js, "expected": encode(result)}
            if ulp:
                case["ulp"] = ulp
            if terms:
                magnitudes = {k: jnp.abs(a) if jnp.issubdtype(a.dtype, jnp.floating) else a for k, a in values.items()}
                top = max((float(jnp.max(jnp.abs(jnp.where(jnp.isfinite(r), r, 0)))) for r in leaves(run(magnitudes)) + leaves(result) if r.size), default=0)
                case |= {"terms": terms, "scale": top}
            for name in grad.split():

                def total(z):
                    t = 0.0
                    for r in leaves(run({**values, name: z})):
                        if jnp.issubdtype(r.dtype, jnp.floating):
                            t = t + jnp.sum(r.ravel() * cotangent(jnp.arange(r.size)).astype(r.dtype))
                    return t

                case.setdefault("grads", {})[name] = encode(jax.grad(total)(values[name]))
            self.cases.append(case)


def write(**groups):
    groups["arrays"] = {k: encode(a) for k, a in ARRAYS.items()}
    with jax.enable_x64(True):
        groups["arrays"] |= {k: encode(a) for k, a in FLOAT64.items()}
    with open(OUT, "w") as f:
        f.write("{\n")
        f.write(",\n".join(f"{json.dumps(k)}: " + rows(v) for k, v in groups.items()))
        f.write("\n}\n")


def rows(v):
    """one line for each case, so that a renewed file shows what changed"""
    dump = lambda x: json.dumps(x, ensure_ascii=False, separators=(",", ":"))
    if isinstance(v, list):
        return "[\n" + ",\n".join(dump(x) for x in v) + "\n]"
    return "{\n" + ",\n".join(f"{json.dumps(k)}:{dump(x)}" for k, x in v.items()) + "\n}"


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    import npcases
    import npgolden

    # renew the named groups, or all
    named = sys.argv[1:] or list(npcases.GROUPS)
    old = json.load(open(OUT)) if sys.argv[1:] else {}
    write(**{g: npcases.GROUPS[g]() if g in named else old[g] for g in npcases.GROUPS})
    if npgolden.failures:
        raise SystemExit("\n".join(npgolden.failures))
