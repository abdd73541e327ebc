"""Lists which rules JAX has for each of its primitives.

    v/bin/python -P test/golden/jaxrules.py > test/golden/jaxrules.json    (environment: see make.py)
"""
import importlib
import json
import pkgutil

import jax
import jax.extend.core
from jax.interpreters import ad, batching, mlir

for package in ("jax._src.lax", "jax._src"):
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if module.name in ("lax", "random", "prng", "ad_util", "custom_derivatives", "pjit", "ad_checkpoint", "api",
                           "slicing", "windowed_reductions", "convolution", "linalg", "special", "fft", "ann", "parallel",
                           "control_flow", "other", "utils", "eigh", "svd"):
            importlib.import_module(f"{package}.{module.name}")
import jax._src.lax.control_flow  # noqa: E402
from jax._src import core  # noqa: E402

tables = {
    "jvp": ad.primitive_jvps,
    "transpose": ad.primitive_transposes,
    "batch": batching.fancy_primitive_batchers,
}
rules = {}
for kind, table in tables.items():
    for p in table:
        rules.setdefault(p.name, {"jvp": False, "transpose": False, "batch": False})[kind] = True
for table in (mlir._lowerings, *mlir._platform_specific_lowerings.values()):
    for p in table:
        rules.setdefault(p.name, {"jvp": False, "transpose": False, "batch": False})
lines = [f"{json.dumps(name)}: {json.dumps(rules[name])}" for name in sorted(rules)]
print("{\n" + ",\n".join(lines) + "\n}")
