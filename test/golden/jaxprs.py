"""Prints the jaxprs of the canonical programs of jaxprs.test.ts as JAX makes them.

    v/bin/python -P test/golden/jaxprs.py > test/golden/jaxprs.json    (environment: see make.py)

Each is a list of equations [outputs, primitive, params, inputs] after normalisation: calls that jnp makes to its own
functions are inlined, variables are numbered in order of binding, literals are values, equations that nothing uses
are dropped, and params that mean nothing here (sharding, layout, precision) are left out.
"""
import json

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

x = jnp.ones((3,))
m = jnp.ones((2, 3))
w = jnp.ones((3, 4))
i = jnp.int32(1)

PROGRAMS = {
    "elementwise chain": (lambda a: jnp.exp(jnp.sin(a)) * 2.0 + 1.0, (x,)),
    "sum": (lambda a: jnp.sum(a), (m,)),
    "sum over an axis": (lambda a: jnp.sum(a, 0), (m,)),
    "mean": (lambda a: jnp.mean(a), (m,)),
    "broadcasting add": (lambda a, b: a + b, (m, x)),
    "matmul": (lambda a, b: a @ b, (m, w)),
    "grad of sum of sin": (jax.grad(lambda a: jnp.sum(jnp.sin(a))), (x,)),
    "grad of sum of products": (jax.grad(lambda a: jnp.sum(a * a)), (x,)),
    "grad of a tanh layer": (jax.grad(lambda a, b: jnp.sum(jnp.tanh(b @ a))), (w, m)),
    "vmap of a dot product": (jax.vmap(lambda a, b: jnp.dot(a, b)), (m, m)),
    "vmap of matmul": (jax.vmap(lambda a, b: a @ b, (0, None)), (jnp.ones((5, 2, 3)), w)),
    "vmap of a sum": (jax.vmap(lambda a: jnp.sum(jnp.sin(a))), (m,)),
    "jvp": (lambda a, t: jax.jvp(lambda v: jnp.sin(v) * 2.0, (a,), (t,)), (x, x)),
    "argmax": (lambda a: jnp.argmax(a, 0), (x,)),
    "concatenate": (lambda a: jnp.concatenate([a, a]), (x,)),
    "transpose and reshape": (lambda a: jnp.reshape(jnp.transpose(a), (6,)), (m,)),
    "nested jit": (lambda a: jax.jit(lambda b: b * 2.0)(a) + 1.0, (x,)),
    "an element": (lambda a: lax.index_in_dim(a, 1, keepdims=False), (x,)),
    "a slice": (lambda a: lax.slice(a, (0,), (2,)), (x,)),
    "where": (lambda a, b: jnp.where(a > 0.0, a, b), (x, x)),
    "softmax by hand": (lambda a: jnp.exp(a - jnp.max(a)) / jnp.sum(jnp.exp(a - jnp.max(a))), (x,)),
    "cumsum": (lambda a: jnp.cumsum(a), (x,)),
    "sort": (lambda a: jnp.sort(a), (x,)),
    "convert": (lambda a: a.astype(jnp.int32), (x,)),
    "dynamic slice": (lambda a, k: lax.dynamic_slice(a, (k,), (2,)), (x, i)),
    "relu by maximum": (lambda a: jnp.maximum(a, 0.0), (x,)),
    "integer power": (lambda a: a**3, (x,)),
    "grad of a maximum over an axis": (jax.grad(lambda a: jnp.max(a)), (x,)),
    "hessian-vector product": (
        lambda a, t: jax.jvp(jax.grad(lambda v: jnp.sum(jnp.sin(v))), (a,), (t,))[1],
        (x, x),
    ),
    "grad of a product of two": (jax.grad(lambda a, b: jnp.sum(a * jnp.exp(b)), argnums=(0, 1)), (x, x)),
}
MEANINGLESS = {
    "sharding", "out_sharding", "preferred_element_type", "precision", "accuracy", "allow_negative_indices", "name",
    "weak_type", "out_dtype",
}
INLINE = {"jit", "pjit", "closed_call", "custom_jvp_call"}


def plain(v):
    if isinstance(v, (tuple, list)):
        return [plain(e) for e in v]
    if isinstance(v, np.integer):
        return int(v)
    if isinstance(v, (np.dtype, type)):
        return np.dtype(v).name
    if v is None or isinstance(v, (bool, int, float, str)):
        return v
    return str(v)


def literal(a):
    return ["lit", float(np.asarray(a.val))]


def equations(closed):
    out = []
    names = {}

    def fresh(v):
        names[v] = object()
        return names[v]

    def walk(jaxpr, inputs, keep_calls):
        env = dict(zip(jaxpr.invars, inputs))
        read = lambda a: literal(a) if isinstance(a, core.Literal) else env[a]
        for e in jaxpr.eqns:
            args = [read(a) for a in e.invars]
            call = e.primitive.name in INLINE
            if call:
                inner = e.params.get("jaxpr") or e.params.get("call_jaxpr")
                results = walk(inner.jaxpr, args, False)
                for v, r in zip(e.outvars, results):
                    env[v] = r
                continue
            for v in e.outvars:
                env[v] = object()
            params = {k: plain(v) for k, v in sorted(e.params.items()) if k not in MEANINGLESS}
            if e.primitive.name == "reshape":
                del params["dimensions"]  # always None
            if e.primitive.name == "slice" and set(params["strides"] or [1]) == {1}:
                params["strides"] = None
            out.append(([env[v] for v in e.outvars], [str(v.aval.str_short(short_dtypes=True)) for v in e.outvars],
                        e.primitive.name, params, args))
        return [read(a) for a in jaxpr.outvars]

    inputs = [object() for _ in closed.jaxpr.invars]
    results = walk(closed.jaxpr, inputs, True)
    return inputs, out, results


def normal(closed):
    inputs, eqns, results = equations(closed)
    needed = {id(r) for r in results if not isinstance(r, list)}
    kept = []
    for e in reversed(eqns):
        if any(id(o) in needed for o in e[0]):
            kept.append(e)
            needed |= {id(a) for a in e[4] if not isinstance(a, list)}
    numbers = {id(v): k for k, v in enumerate(inputs)}
    lines = []
    for outs, types, name, params, args in reversed(kept):
        shown = [a if isinstance(a, list) else numbers[id(a)] for a in args]
        for o in outs:
            numbers[id(o)] = len(numbers)
        lines.append({"out": [f"{numbers[id(o)]}:{t}" for o, t in zip(outs, types)], "primitive": name, "params": params, "in": shown})
    return {"equations": lines, "results": [r if isinstance(r, list) else numbers[id(r)] for r in results]}


made = {name: normal(jax.make_jaxpr(f)(*args)) for name, (f, args) in PROGRAMS.items()}
print("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in made.items()) + "\n}")
