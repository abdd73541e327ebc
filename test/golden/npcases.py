"""The expressions whose values, and here and there gradients, npgolden.py asks JAX for."""
import jax
import jax.numpy as jnp
import numpy as onp
from npgolden import ARRAYS, Suite, encode, get, at, number

DTYPES = ["bool", "int8", "uint8", "int32", "uint32", "float16", "bfloat16", "float32", "float64"]


def promotion():
    """dtype and weakness of x + y for every pair; a JavaScript number is a weak float32, `true` a bool"""
    table = []
    names = DTYPES + ["number", "boolean"]
    for a in names:
        for b in names:
            if a in names[-2:] and b in names[-2:]:
                continue
            # with 64-bit types on, a bare number beside integers would be float64
            with jax.enable_x64("float64" in (a, b)):
                x, y = ({"number": 1.0, "boolean": True}[n] if n in names[-2:] else jnp.ones((2,), n) for n in (a, b))
                table.append({"x": a, "y": b, "dtype": str(jnp.add(x, y).dtype)})
    return table


def creation():
    c = Suite()
    c("np.zeros([2, 3])")
    c("np.zeros(3, { dtype: \"int8\" })")
    c("np.ones([2, 0])")
    c("np.ones([2], { dtype: \"bfloat16\" })")
    c("np.empty([2])", "jnp.zeros([2])")
    c("np.full([2, 2], 7.5)")
    c("np.full([3], w.get(1))", "jnp.full([3], w[1])")
    c("np.full([2], true)")
    c("np.fullLike(I, 3)")
    c("np.fullLike(A, 3, { shape: [2] })")
    c("np.zerosLike(u8)")
    c("np.onesLike(h)")
    c("np.emptyLike(P)", "jnp.zeros_like(P)")
    c("np.array([[1, 2], [3, 4]])", "jnp.array([[1., 2], [3, 4]])")
    c("np.array([true, false])", "jnp.array([True, False])")
    c("np.array([1.7, -1.7, 300], { dtype: \"int32\" })", "jnp.array([1, -1, 300])")
    c("np.asarray([A, A2])", "jnp.array([A, A2])")
    c("np.array([])", "jnp.array([])")
    c("np.arange(5)", "jnp.arange(5.)")
    c("np.arange(2, 9, 3)", "jnp.arange(2., 9, 3)")
    c("np.arange(9, 2, -2, { dtype: \"int32\" })", "jnp.arange(9, 2, -2)")
    c("np.arange(3, 1)", "jnp.arange(3., 1)")
    c("np.linspace(0, 1, 5)", ulp=1)
    c("np.linspace(-1, 3, 7, { endpoint: false })", ulp=2)
    c("np.linspace(w, s, 3)", ulp=2, grad="w s")
    c("np.linspace(2, 3, 1)")
    c("np.linspace(2, 3, 0)")
    c("np.linspace(w, 1, 3, { axis: 1 })", ulp=2)
    c("np.logspace(0, 2, 3)", ulp=8)
    c("np.logspace(0, 3, 4, { base: 2 })", ulp=8)
    c("np.eye(3)")
    c("np.eye(2, 4, { k: 1, dtype: \"int32\" })", "jnp.eye(2, 4, k=1, dtype='int32')")
    c("np.eye(3, 3, { k: -1 })")
    c("np.identity(2)")
    c("np.tri(3)")
    c("np.tri(2, 4, { k: 1 })", "jnp.tri(2, 4, 1)")
    c("np.tril(A)", grad="A")
    c("np.tril(T, -1)")
    c("np.triu(A, 1)", grad="A")
    c("np.triu(I)")
    c("np.meshgrid([w, u])")
    c("np.meshgrid([w, u, unit], { indexing: \"ij\" })")
    c("np.indices([2, 3])")
    c("np.fromFunction((i, j) => i.mul(j), [2, 3])", "jnp.fromfunction(lambda i, j: i * j, (2, 3), dtype='int32')")
    return c.cases


def elementwise():
    c = Suite()
    for f in ["add", "subtract", "multiply", "maximum", "minimum"]:
        c(f"np.{f}(A, A2)", grad="A A2")
        c(f"np.{f}(A, w)", grad="w")
        c(f"np.{f}(special, special2)")
        c(f"np.{f}(I, K)")
        c(f"np.{f}(u8, u8)")
        c(f"np.{f}(h, h)")
        c(f"np.{f}(bf, bf)")
    for f in ["add", "multiply", "maximum"]:
        c(f"np.{f}(P, p4)")
    c("np.add(I, 1)", "I + 1.0")
    c("np.add(E3, 1)", "E3 + 1.0")
    c("np.maximum(ties, 2)", "jnp.maximum(ties, 2.0)", grad="ties")
    c("np.minimum(ties, 2)", "jnp.minimum(ties, 2.0)", grad="ties")
    for f in ["divide", "trueDivide", "floatPower"]:
        c(f"np.{f}(u, unit)" if f != "floatPower" else "np.floatPower(u, unit)",
          "jnp.float_power(u, unit).astype('float32')" if f == "floatPower" else None, ulp=8 if f == "floatPower" else 1, grad="u" if f != "divide" else "u")
    c("np.divide(I, K)", ulp=1)
    c("np.divide(A, A2)", ulp=1, grad="A A2")
    c("np.divide(special, special2)")
    c("np.divide(p, p)")
    for f in ["negative", "positive", "abs", "absolute", "fabs", "sign", "square"]:
        c(f"np.{f}(A)", grad="A")
        c(f"np.{f}(special)")
        if f != "fabs":
            c(f"np.{f}(I)")
            c(f"np.{f}(i8)")
    c("np.negative(u8)")
    c("np.abs(u32)")
    c("np.abs(P)")
    c("np.fabs(I)")
    c("np.sign(u8)")
    c("np.reciprocal(u)", ulp=1, grad="u")
    c("np.reciprocal(special)")
    for f in ["fmax", "fmin"]:
        c(f"np.{f}(special, special2)")
        c(f"np.{f}(I, K)")
        c(f"np.{f}(A, A2)", grad="A A2")
        c(f"np.{f}(special, special2.get(slice(null, null, -1)))", f"jnp.{f}(special, special2[::-1])")
    for f in ["floorDivide", "mod", "remainder", "fmod"]:
        c(f"np.{f}(A, A2)", terms=4)
        c(f"np.{f}(I, K)")
        c(f"np.{f}(u8, np.array(7, {{ dtype: \"uint8\" }}))", f"jnp.{dict(floorDivide='floor_divide').get(f, f)}(u8, jnp.uint8(7))")
        c(f"np.{f}(halves.get(slice(0, 9)), np.array(-1.5))", f"jnp.{dict(floorDivide='floor_divide').get(f, f)}(halves[:9], -1.5)")
    c("np.divmod(I, K)")
    c("np.mod(A, A2)", terms=4, grad="A")
    c("np.fmod(A, 0.5)", terms=4, grad="A")
    c("np.power(A, 3)", ulp=2, grad="A")
    c("np.power(A, -2)", ulp=4, grad="A")
    c("np.power(A, 0)", "A ** 0", grad="A")
    c("np.pow(u, 0.5)", ulp=8, grad="u")
    c("np.power(u, unit)", ulp=8, grad="u unit")
    c("np.power(2, unit)", "jnp.power(2.0, unit)", ulp=8, grad="unit")
    c("np.power(I, np.abs(K))", "jnp.power(I, jnp.abs(K))")
    c("np.power(special, special2)", ulp=8)
    c("np.power(I, 2)", "I ** 2")
    c("np.hypot(A, A2)", ulp=4, grad="A A2")
    c("np.hypot(special, special2)", ulp=4)
    c("np.hypot(1e30, 1e30)", "jnp.hypot(jnp.float32(1e30), jnp.float32(1e30))", ulp=4)
    c("np.copysign(A, A2)")
    c("np.copysign(special2, special)")
    c("np.signbit(special)")
    c("np.signbit(I)")
    c("np.signbit(u8)")
    c("np.heaviside(special, 0.5)")
    c("np.heaviside(A, A2)")
    c("np.nextafter(A, 10)", "jnp.nextafter(A, 10.0)")
    c("np.nextafter(special, special2)")
    for f in ["floor", "ceil", "trunc", "fix", "rint", "round", "around"]:
        py = f"jnp.trunc(%s)" if f == "fix" else f"jnp.{'round' if f == 'around' else f}(%s)"
        for x in ["halves", "special", "A", "h"]:
            c(f"np.{f}({x})", py % x)
    c("np.floor(I)", "jnp.floor(I)")
    c("np.round(I)", "jnp.round(I)")
    c("np.round(A, 2)", ulp=1)
    c("np.round(np.multiply(A, 100), -1)", "jnp.round(A * 100, -1)", ulp=1)
    c("np.trunc(A)", grad="A")
    for f, x in {"exp": "A", "exp2": "A", "expm1": "A", "log": "u", "log1p": "u", "log2": "u", "log10": "u", "sqrt": "u", "cbrt": "A", "sin": "A", "cos": "A", "tan": "unit",
                 "asin": "unit", "acos": "unit", "atan": "A", "sinh": "A", "cosh": "A", "tanh": "A", "asinh": "A", "acosh": "C", "atanh": "unit", "deg2rad": "A", "rad2deg": "A",
                 "radians": "A", "degrees": "A", "sinc": "A"}.items():
        name = f
        arg = "np.add(np.abs(C), 1.5)" if f == "acosh" else x
        # the logarithm is ill-conditioned at 1, where the spacing is that of 1
        if f in ("log", "log2", "log10"):
            c(f"np.{f}({arg})", terms=4, grad=x)
        else:
            # near 0 the derivative of sinc is a difference of almost equal terms, in JAX too: see "unit" below
            c(f"np.{f}({arg})", ulp=8, grad="" if f == "sinc" else x)
        c(f"np.{f}(special)", ulp=8)
    for f in ["arcsin", "arccos", "arctanh"]:
        c(f"np.{f}(unit)", ulp=8)
    for f in ["arctan", "arcsinh"]:
        c(f"np.{f}(A)", ulp=8)
    c("np.arccosh(u)", ulp=8)
    c("np.sinc(unit)", ulp=8, grad="unit")
    c("np.exp(I)", ulp=8)
    c("np.sqrt(p)")
    c("np.exp(h)", ulp=2)
    c("np.sqrt(bf)", ulp=1)
    c("np.log(D)", ulp=8, x64=True)
    c("np.exp(D)", ulp=8, x64=True, grad="D")
    c("np.sin(D)", ulp=8, x64=True)
    for f in ["atan2", "arctan2"]:
        c(f"np.{f}(A, A2)", ulp=8, grad="A A2")
        c(f"np.{f}(special, special2)", ulp=8)
    for f in ["logaddexp", "logaddexp2"]:
        c(f"np.{f}(A, A2)", terms=8, grad="A A2")
        c(f"np.{f}(special, special2)", ulp=8)
        c(f"np.{f}(1000, 1000)", f"jnp.{f}(1000., 1000.)", ulp=2)
        c(f"np.{f}(A, A)", terms=8)
    for f in ["equal", "notEqual", "less", "lessEqual", "greater", "greaterEqual", "logicalAnd", "logicalOr", "logicalXor"]:
        c(f"np.{f}(special, special2)")
        c(f"np.{f}(I, K)")
        c(f"np.{f}(P, p4)")
        c(f"np.{f}(ties, 2)")
        c(f"np.{f}(u8, u8)")
    for f in ["bitwiseAnd", "bitwiseOr", "bitwiseXor"]:
        c(f"np.{f}(I, K)")
        c(f"np.{f}(P, p4)")
        c(f"np.{f}(u8, np.array(15, {{ dtype: \"uint8\" }}))", f"jnp.bitwise_{f[7:].lower()}(u8, jnp.uint8(15))")
    for f in ["bitwiseNot", "invert", "bitwiseInvert"]:
        c(f"np.{f}(I)")
        c(f"np.{f}(P)")
        c(f"np.{f}(u8)")
    for f in ["leftShift", "rightShift", "bitwiseLeftShift", "bitwiseRightShift"]:
        g = dict(leftShift="left_shift", rightShift="right_shift", bitwiseLeftShift="bitwise_left_shift", bitwiseRightShift="bitwise_right_shift")[f]
        c(f"np.{f}(I, 2)", f"jnp.{g}(I, 2)")
        c(f"np.{f}(u32, 3)", f"jnp.{g}(u32, 3)")
        c(f"np.{f}(i8, 1)", f"jnp.{g}(i8, 1)")
    c("np.bitwiseCount(I)")
    c("np.bitwiseCount(u8)")
    c("np.bitwiseCount(i8)")
    for f in ["isnan", "isfinite", "isinf", "isposinf", "isneginf", "logicalNot"]:
        c(f"np.{f}(special)")
        c(f"np.{f}(I)")
    c("np.logicalNot(P)")
    c("np.where(P, A, A2)", grad="A A2")
    c("np.where(P, A, 0)", "jnp.where(P, A, 0.)", grad="A")
    c("np.where(p4, I, K)")
    c("np.where(true, w, A)")
    c("np.where(P, S, s)", "jnp.where(P, S, s)", grad="S s")
    c("np.where(np.greater(u, 1), np.log(np.subtract(u, 1)), u)", "jnp.where(u > 1, jnp.log(u - 1), u)", ulp=4)
    c("np.clip(A, -0.5, 0.5)", grad="A")
    c("np.clip(special, -1, 1)", "jnp.clip(special, -1., 1.)")
    c("np.clip(A, null, w)", grad="A w")
    c("np.clip(A, A2)", grad="A A2")
    c("np.clip(I, -2, np.array(3, { dtype: \"int32\" }))", "jnp.clip(I, -2., 3)")
    c("np.nanToNum(special)")
    c("np.nanToNum(special, { nan: 7, posinf: 1, neginf: -1 })", "jnp.nan_to_num(special, nan=7, posinf=1, neginf=-1)")
    c("np.nanToNum(h)")
    c("np.nanToNum(I)")
    for f in ["isclose"]:
        c(f"np.{f}(special, special2)")
        c(f"np.{f}(special, special, {{ equalNan: true }})")
        c(f"np.{f}(A, np.add(A, 1e-6))")
        c("np.isclose(A, np.add(A, 0.01), { rtol: 0.1, atol: 0.005 })")
        c("np.isclose(I, I)")
    c("np.allclose(A, A2)")
    c("np.allclose(special, special, { equalNan: true })")
    c("np.arrayEqual(A, A)")
    c("np.arrayEqual(A, w)")
    c("np.arrayEqual(special, special, { equalNan: true })")
    c("np.arrayEqual(E, E)")
    return c.cases


def reductions():
    c = Suite()
    K = "{ keepdims: true }"
    for f in ["sum", "prod", "max", "min", "mean", "var", "std", "ptp", "logsumexp", "median", "nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd"]:
        g = "A" if f not in ("ptp",) else ""
        c(f"np.{f}(A)", terms=24, grad=g)
        c(f"np.{f}(A, 0)", terms=12, grad=g)
        c(f"np.{f}(A, -1, {K})", terms=12, grad=g)
        c(f"np.{f}(T, {'null' if f == 'median' else '[0, 2]'})", f"np.{f}(T, {None if f == 'median' else (0, 2)})", terms=48, grad="" if f == "median" else "T")
        c(f"np.{f}(gaps, 1)", terms=12)
        if f not in ("logsumexp",):
            c(f"np.{f}(I, 1)", terms=12)
        if f not in ("median", "logsumexp", "ptp") and "prod" not in f:
            c(f"np.{f}(A, 1, {{ where: P }})" if f not in ("max", "min", "nanmax", "nanmin") else f"np.{f}(A, 1, {{ where: P, initial: -9 }})", terms=12, grad="A")
        if f in ("sum", "prod", "mean", "nansum", "nanprod"):
            c(f"np.{f}(E3, 1)")
            c(f"np.{f}(E3, 0)")
            c(f"np.{f}(h)", terms=4)
            c(f"np.{f}(u8)" if f == "mean" else f"np.{f}(p)", terms=4)
    for d in ["i8", "u8", "u32", "P", "bf"]:
        c(f"np.sum({d})", terms=4)
        c(f"np.prod({d})", terms=4)
        c(f"np.max({d})")
        c(f"np.min({d})")
    c("np.sum(T, [])", "jnp.sum(T, axis=())")
    c("np.sum(s)")
    c("np.sum(A, 0, { initial: 10 })", terms=8)
    c("np.prod(A, 0, { initial: 2 })", terms=8, grad="A")
    c("np.sum(I, 0, { dtype: \"float32\" })")
    c("np.sum(T, [-1, 0], { keepdims: true })", "jnp.sum(T, (-1, 0), keepdims=True)", terms=8)
    c("np.sum(S, 1)", terms=3)
    c("np.sum(S, 0)")
    c("np.prod(ties)", grad="ties")
    c("np.prod(np.multiply(w, np.array([1, 0, 1, 1])))", "jnp.prod(w * jnp.array([1., 0, 1, 1]))", grad="w")
    c("np.max(ties)", grad="ties")
    c("np.min(ties)", grad="ties")
    c("np.amax(A, 1)")
    c("np.amin(A, 1)")
    c("np.max(E3, 1, { initial: 3 })", "jnp.max(E3, 1, initial=3.)")
    c("np.max(special)")
    c("np.min(special)")
    c("np.max(E3, 0)")
    for f in ["all", "any"]:
        c(f"np.{f}(P)")
        c(f"np.{f}(P, 0)")
        c(f"np.{f}(I, 1, {K})")
        c(f"np.{f}(E3, 1)")
        c(f"np.{f}(special)")
        c(f"np.{f}(P, 1, {{ where: p4 }})")
    c("np.countNonzero(I)")
    c("np.countNonzero(P, 0)")
    c("np.countNonzero(special)")
    c("np.average(A, 1, { weights: w })", terms=8, grad="A w")
    c("np.average(A)", terms=12)
    c("np.average(A, 0, { weights: A2, keepdims: true })", "jnp.average(A, 0, weights=A2, keepdims=True)", ulp=32)
    c("np.var(A, 0, { ddof: 1 })", terms=12, grad="A")
    c("np.std(A, 1, { correction: 1 })", terms=12, grad="A")
    c("np.var(h)", terms=8)
    c("np.std(E)")
    c("np.mean(E)")
    for m in ["linear", "lower", "higher", "midpoint", "nearest"]:
        c(f"np.quantile(A, [0, 0.3, 0.5, 1], 1, {{ method: \"{m}\" }})", terms=4)
    c("np.quantile(A, 0.25)", terms=4, grad="A")
    c("np.percentile(T, 40, [0, 1])", "jnp.percentile(T, 40., (0, 1))", terms=4, grad="T")
    c("np.median(A, 0, { keepdims: true })", terms=4, grad="A")
    c("np.median(ties)")
    c("np.percentile(gaps, [10, 90], 0)", terms=4)
    for f in ["argmax", "argmin"]:
        c(f"np.{f}(A)")
        c(f"np.{f}(A, 1)")
        c(f"np.{f}(I, 0, {K})")
        c(f"np.{f}(ties)")
        c(f"np.{f}(special)")
        c(f"np.{f}(T, -2)")
        c(f"np.{f}(P, 1)")
        c(f"np.nan{f}(gaps, 1)")
        c(f"np.nan{f}(ties)")
        c(f"np.{f}(E3, 0)")
    for f in ["cumsum", "cumprod", "nancumsum", "nancumprod"]:
        c(f"np.{f}(A, 0)", terms=4, grad="A")
        c(f"np.{f}(A, 1)", terms=4, grad="A")
        c(f"np.{f}(T)", terms=24, grad="T")
        c(f"np.{f}(gaps, 1)", terms=4)
        c(f"np.{f}(I, 1)")
        c(f"np.{f}(P, 0)")
        c(f"np.{f}(u8)")
        c(f"np.{f}(E)")
    c("np.cumsum(I, 0, { dtype: \"float32\" })")
    c("np.diff(v)", grad="v")
    c("np.diff(v, 3)", terms=8)
    c("np.diff(A, 1, 0)", grad="A")
    c("np.diff(I)")
    c("np.diff(P)")
    c("np.diff(E)")
    c("np.diff(v, 9)")
    c("np.cov(A)", terms=16, grad="A")
    c("np.cov(A, { rowvar: false, ddof: 0 })", "jnp.cov(A, rowvar=False, ddof=0)", terms=16)
    c("np.cov(v)", terms=16)
    c("np.corrcoef(A)", ulp=64, grad="A")
    c("np.corrcoef(v)", ulp=4)
    c("np.logsumexp(A, 1, { b: A2 })", "jax.scipy.special.logsumexp(A, 1, b=A2)", terms=32)
    c("np.logsumexp(special.get(slice(2, 8)))", "jax.scipy.special.logsumexp(special[2:])", ulp=8)
    c("np.logsumexp(np.full([3], -np.inf))", "jax.scipy.special.logsumexp(jnp.full([3], -jnp.inf))")
    c("np.logsumexp(np.array([1000, 1000]))", "jax.scipy.special.logsumexp(jnp.array([1000., 1000]))", ulp=2)
    c("np.sum(D, 0)", terms=4, x64=True, grad="D")
    c("np.var(D)", terms=24, x64=True, grad="D")
    return c.cases


def manipulation():
    c = Suite()
    c("np.reshape(A, [2, -1])", grad="A")
    c("np.reshape(A, 12)")
    c("np.reshape(E3, [0, 5])")
    c("np.reshape(s, [1, 1])")
    c("np.ravel(T)", grad="T")
    c("np.ravel(s)")
    c("np.transpose(T)", grad="T")
    c("np.transpose(T, [1, -1, 0])", grad="T")
    c("np.permuteDims(T, [2, 0, 1])")
    c("np.matrixTranspose(T)")
    c("np.swapaxes(T, 0, -1)", grad="T")
    c("A.T")
    c("np.moveaxis(T, 0, -1)", grad="T")
    c("np.moveaxis(T, [0, 1], [2, 0])")
    c("np.expandDims(A, 1)")
    c("np.expandDims(A, [0, -1])", grad="A")
    c("np.squeeze(S)", grad="S")
    c("np.squeeze(S, 0)")
    c("np.squeeze(S, [-1, 0])")
    c("np.broadcastTo(w, [2, 3, 4])", grad="w")
    c("np.broadcastTo(S, [2, 3, 4])", grad="S")
    c("np.broadcastTo(s, 3)")
    c("np.broadcastArrays(A, w, s)", "jnp.broadcast_arrays(A, w, s)")
    for f in ["atleast1d", "atleast2d", "atleast3d"]:
        for x in ["s", "w", "A", "T"]:
            c(f"np.{f}({x})")
    c("np.concatenate([A, A2])", grad="A A2")
    c("np.concatenate([A, I, P], 1)", grad="A")
    c("np.concatenate([E, w])")
    c("np.concat([A, A2], -1)", "jnp.concat([A, A2], axis=-1)")
    c("np.concatenate([i8, u32])")
    c("np.concatenate([i8, i8])")
    c("np.concatenate([E3, T.get(slice(null), slice(0, 1), slice(0, 3))], 1)", "jnp.concatenate([E3, T[:, :1, :3]], 1)")
    c("np.stack([A, A2])", grad="A A2")
    c("np.stack([A, I], -1)")
    c("np.stack([s, s])")
    c("np.vstack([w, A])", grad="w A")
    c("np.hstack([A, A2])")
    c("np.hstack([w, u])")
    c("np.dstack([A, A2])")
    c("np.dstack([w, w])")
    c("np.columnStack([w, w, C])")
    c("np.append(A, w)")
    c("np.append(A, A2, 0)", grad="A2")
    c("np.split(A, 2, 1)", grad="A")
    c("np.split(v, [2, 5])", grad="v")
    c("np.arraySplit(v, 3)", grad="v")
    c("np.arraySplit(v, 9)")
    c("np.hsplit(A, 2)")
    c("np.hsplit(w, [1])")
    c("np.vsplit(A, 3)")
    c("np.dsplit(T, 2)")
    c("np.unstack(A)", grad="A")
    c("np.unstack(T, -1)", "jnp.unstack(T, axis=-1)")
    c("np.tile(A, 2)", grad="A")
    c("np.tile(w, [2, 3])", grad="w")
    c("np.tile(A, [2, 1, 2])")
    c("np.tile(w, 0)")
    c("np.tile(I, [1, 2])")
    c("np.repeat(A, 2)", grad="A")
    c("np.repeat(A, 3, 1)", grad="A")
    c("np.repeat(A, [1, 0, 2], 0)", grad="A")
    c("np.repeat(A, 0, 0)")
    c("np.repeat(I, 2, -1)")
    c("np.roll(v, 2)", grad="v")
    c("np.roll(A, -1, 0)", grad="A")
    c("np.roll(A, 5)")
    c("np.roll(T, [1, -2], [0, 2])")
    c("np.roll(E, 1)")
    c("np.roll(v, 100)")
    c("np.flip(T)", grad="T")
    c("np.flip(T, -1)")
    c("np.flip(T, [0, 1])")
    c("np.fliplr(A)")
    c("np.flipud(A)", grad="A")
    for k in range(-1, 4):
        c(f"np.rot90(A, {k})", grad="A" if k == 1 else "")
    c("np.rot90(T, 1, { axes: [1, 2] })", "jnp.rot90(T, 1, axes=(1, 2))")
    for m in ["constant", "edge", "reflect", "symmetric", "wrap"]:
        c(f"np.pad(v, 3, {{ mode: \"{m}\" }})", grad="v")
        c(f"np.pad(A, [[1, 2], [0, 3]], {{ mode: \"{m}\" }})", grad="A")
        c(f"np.pad(w, [5, 9], {{ mode: \"{m}\" }})")
    c("np.pad(A, [1, 2], { value: 7 })", "jnp.pad(A, (1, 2), constant_values=7)")
    c("np.pad(I, 1)")
    c("np.pad(A, [[0, 1]])", "jnp.pad(A, ((0, 1),))")
    c("np.pad(w.get(slice(0, 1)), 2, { mode: \"reflect\" })", "jnp.pad(w[:1], 2, mode='reflect')")
    c("np.pad(E, 1)")
    return c.cases


def selection():
    c = Suite()
    c("np.take(five, [2, 0, -1])", grad="five")
    c("np.take(A, ix, 0)", grad="A")
    c("np.take(A, kx, 1)", grad="A")
    c("np.take(A, far)")
    c("np.take(five, far)")
    c("np.take(i, far)")
    c("np.take(u8, far)")
    c("np.take(five, far, 0, { mode: \"clip\" })")
    c("np.take(five, far, 0, { mode: \"wrap\" })")
    c("np.take(five, 1)")
    c("np.take(P, [1], 1)")
    c("np.take(five, np.array([], { dtype: \"int32\" }))", "jnp.take(five, jnp.array([], 'int32'))")
    c("np.takeAlongAxis(A, along, 1)", grad="A");
    c("np.takeAlongAxis(A, np.argsort(A, 1), 1)", "jnp.take_along_axis(A, jnp.argsort(A, 1), 1)", grad="A")
    c("np.takeAlongAxis(A, np.argmax(A, 0, { keepdims: true }), 0)", "jnp.take_along_axis(A, jnp.argmax(A, 0, keepdims=True), 0)", grad="A")
    c("np.takeAlongAxis(v, i, null)")
    for x in ["A", "special", "gaps", "I", "ties", "i8", "u8", "P", "h", "E", "u32"]:
        c(f"np.sort({x})", grad=x if x in ("A", "ties") else "")
        c(f"np.argsort({x})")
        c(f"np.sort({x}, -1, {{ descending: true }})")
        c(f"np.argsort({x}, -1, {{ descending: true }})")
    c("np.sort(A, 0)", grad="A")
    c("np.argsort(T, 1)")
    c("np.sort(T, 0, { descending: true })", grad="T")
    c("np.topK(A, 2)", grad="A")
    c("np.topK(ties, 3)")
    c("np.topK(i, 7)")
    c("np.topK(special, 3)")
    c("np.select([P, np.greater(A, 0)], [A, A2], -1)", "jnp.select([P, A > 0], [A, A2], -1.)", grad="A A2")
    c("np.select([P], [I])")
    for side in ["left", "right"]:
        c(f"np.searchsorted(sorted, np.array([0, -5, 2, 100, 1]), {{ side: \"{side}\" }})", f"jnp.searchsorted(sorted, jnp.array([0., -5, 2, 100, 1]), side='{side}')")
        c(f"np.searchsorted(sorted, 0, {{ side: \"{side}\" }})", f"jnp.searchsorted(sorted, 0., side='{side}')")
        c(f"np.searchsorted(sorted, special, {{ side: \"{side}\" }})")
        c(f"np.searchsorted(sorted, C, {{ side: \"{side}\" }})")
    c("np.searchsorted(E, w)")
    c("np.nonzero(P)")
    c("np.nonzero(special)")
    c("np.nonzero(none)")
    c("np.nonzero(T.get(slice(null), 0).greater(0))", "jnp.nonzero(T[:, 0] > 0)")
    c("np.oneHot(labels, 3)", "jax.nn.one_hot(labels, 3)")
    c("np.oneHot(ix, 4, { axis: 0 })", "jax.nn.one_hot(ix, 4, axis=0)")
    c("np.oneHot(kx, 2, { dtype: \"int32\" })", "jax.nn.one_hot(kx, 2, dtype='int32')")
    return c.cases


def products():
    c = Suite()
    c("np.matmul(A, B)", terms=4, grad="A B")
    c("np.matmul(T, T2)", terms=4, grad="T T2")
    c("np.matmul(A, w)", terms=4, grad="A w")
    c("np.matmul(w, B)", terms=4, grad="w B")
    c("np.matmul(w, w)", terms=4)
    c("np.matmul(T, B)", terms=4, grad="T B")
    c("np.matmul(A, T2)", terms=4, grad="A T2")
    c("np.matmul(w, T2)", terms=4, grad="w")
    c("np.matmul(T, w)", terms=4)
    c("np.matmul(I, K.T)")
    c("np.matmul(I, C)", terms=4)
    c("np.matmul(E3, np.ones([3, 2]))")
    c("np.matmul(np.ones([2, 0]), np.ones([0, 3]))")
    c("np.matmul(i8, i8)")
    c("np.matmul(u8, u8)")
    c("np.matmul(T.get(null), T2.get(slice(null), null))", "jnp.matmul(T[None], T2[:, None])", terms=4, grad="T T2")
    c("np.dot(A, B)", terms=4, grad="A")
    c("np.dot(s, A)", grad="s")
    c("np.dot(w, w)", terms=4)
    c("np.dot(A, T2)", terms=4, grad="A T2")
    c("np.dot(T, w)", terms=4)
    c("np.vdot(A, A2)", terms=12, grad="A")
    c("np.vecdot(A, A2)", terms=4, grad="A A2")
    c("np.vecdot(T, T, 1)", "jnp.vecdot(T, T, axis=1)", terms=4)
    c("np.vecdot(T, A)", terms=4)
    c("np.vecdot(A, w)", terms=4, grad="w")
    c("np.inner(A, A2)", terms=4, grad="A")
    c("np.inner(w, A)", terms=4)
    c("np.inner(s, A)")
    c("np.outer(w, A)", grad="w A")
    c("np.outer(i, i)")
    c("np.kron(A, kx)", grad="A")
    c("np.kron(w, A2)", grad="w A2")
    c("np.kron(kx, kx)")
    c("np.tensordot(A, B, 1)", terms=4, grad="A")
    c("np.tensordot(A, A2)", terms=12, grad="A")
    c("np.tensordot(T, T2, [[0, 2], [0, 1]])", terms=8, grad="T T2")
    c("np.tensordot(w, w, 0)")
    c("np.tensordot(T, A, [[1], [0]])", terms=3)
    c("np.tensordot(T, A, [-1, -1])", "jnp.tensordot(T, A, (-1, -1))", terms=4)
    c("np.diagonal(C)", grad="C")
    c("np.diagonal(A, 1)", grad="A")
    c("np.diagonal(A, -1)", grad="A")
    c("np.diagonal(T, 0, { axis1: 1, axis2: 2 })", grad="T")
    c("np.diagonal(T, -1, { axis1: 2, axis2: 0 })")
    c("np.diagonal(A, 4)")
    c("np.diagonal(A, -2)")
    c("np.trace(C)", terms=4, grad="C")
    c("np.trace(T, 1)", terms=4)
    c("np.trace(P)")
    c("np.trace(i8.get(null))", "jnp.trace(i8[None])")
    c("np.diag(C, 1)", grad="C")
    c("np.diag(w)", grad="w")
    c("np.diag(w, -2)", grad="w")
    c("np.diag(w, 1)")
    c("np.diag(i)")
    c("np.diagflat(A)")
    c("np.diagflat(kx, 1)")
    for sub, xs in [("ij,jk->ik", "A, B"), ("ij,jk", "A, B"), ("bij,bjk->bik", "T, T2"), ("ii->i", "C"), ("ii", "C"), ("ij->ji", "A"), ("ij->", "A"), ("ji", "A"), ("i,i->", "w, w"), ("i,j->ij", "w, u"), ("ij,ij->i", "A, A2"), ("bij->b", "T"),
                    ("...ij,...jk->...ik", "T, T2"), ("...i->...", "T"), ("i...,i...->...", "A, A2"), ("ij,jk,kl->il", "A, C, B"), ("ijk,k,j->i", "T, w, rows.get(slice(0, 3))"), ("bij,kj->bik", "T, A"), ("iij->j", "np.stack([C, C, C, C])"), ("ij,kl->", "A, C"), ("...,...", "A, w"), ("ab,cb->ca", "A, A2"), ("i,i,i->i", "w, w, w"), ("...j,j", "T, w"), ("bi,bj,bk->bijk", "A, A2, A")]:
        py = f"jnp.einsum('{sub}', {xs})".replace("rows.get(slice(0, 3))", "rows[:3]").replace("np.stack", "jnp.stack")
        c(f"np.einsum(\"{sub}\", {xs})", py, terms=48, grad=" ".join(dict.fromkeys(x for x in ["A", "A2", "B", "C", "T", "T2", "w", "u"] if x in xs.replace(",", " ").split())))
    c("np.einsum(\"ij,jk->ik\", I, K.T)")
    c("np.einsum(\"ij,j\", I, w)", terms=4)
    c("np.matmul(D, D.T)", "D @ D.T", terms=4, x64=True, grad="D")
    return c.cases


def indexing():
    c = Suite()
    reads = ["0", "-1", "1, 2", "slice(1, 3)", "slice(2)", "slice(null, null, -1)", "slice(null, null, -2), slice(3, 0, -1)", "slice(null), slice(1, null, 2)", "slice(-2, null), slice(null, -1)", "slice(5, 9)", "slice(2, 1)",
             "null", "\"...\", 0", "\"...\", null", "null, 1, null", "slice(null), null, slice(0, 2)", "\"...\"", "slice(10, null, -1)", "ix", "ix, jx", "ix, 1", "slice(null), jx", "kx", "kx, kx", "ix, slice(1, 3)", "slice(0, 2), ix", "ix, null", "null, ix", "ix, null, jx",
             "[2, 0]", "[0, 1], [1, 1]", "[]", "P", "p", "slice(null), p4", "p, 2", "p, slice(null, null, -1)", "far", "far, slice(1)", "0, jx", "-1, ix"]
    for r in reads:
        c(f"A.get({r})", grad="A" if r not in ("null", "\"...\"", "[]", "slice(5, 9)") and "far" not in r else "")
        c(f"I.get({r})")
    for r in ["ix.get(slice(1, 3)), slice(null), ix.get(slice(0, 2))", "slice(null), ix, jx", "0, slice(null), jx", "slice(null), ix, slice(null)", "kx, slice(null), kx", "slice(null), kx, kx", "0, \"...\", jx", "\"...\", ix", "null, 0, ix, null", "slice(null), p, slice(1)", "1, p", "[true, false]", "\"...\", [false, true, true, false]", "\"...\", p4", "slice(null), P", "kx, null, 0", "slice(null), 0, null, jx", "1, 2, 3", "slice(null, null, -1), slice(null), slice(null, null, -2)", "\"...\", slice(null, null, -1), null", "null, slice(1), ix, null, jx"]:
        c(f"T.get({r})", grad="T")
    c("special.get(special.greater(0))", "special[special > 0]")
    c("v.get(p7)", grad="v")
    c("v.get(none)")
    c("five.get(far)")
    c("five.at(far).get({ mode: \"fill\" })", "five.at[far].get(mode='fill')")
    c("i.at(far).get({ mode: \"fill\" })", "i.at[far].get(mode='fill')")
    c("five.at(far).get({ mode: \"fill\", fillValue: 3 })", "five.at[far].get(mode='fill', fill_value=3)")
    c("s.get()", "s[()]")
    c("s.get(null)")
    c("s.get(\"...\")")
    c("E3.get(slice(null), slice(null), 1)")
    c("E.get(slice(null, null, -1))")
    c("u8.get(ix)")
    for how in ["set", "add", "multiply", "min", "max", "subtract", "divide", "mul"]:
        py = "multiply" if how == "mul" else how
        smooth = how not in ("min", "max")
        for ix, val in [("0", "2"), ("1, 2", "s"), ("slice(1, 3)", "w"), ("slice(null, null, -1), slice(0, 2)", "-0.25"), ("slice(null, null, 2)", "A2.get(slice(0, 2))"), ("ix, jx", "np.array([1, 2, 3])"), ("P", "0.5"), ("slice(null), jx", "3"), ("far", "0.5"), ("\"...\", -1", "2")]:
            value = val.replace("A2.get(slice(0, 2))", "A2[:2]").replace("np.array([1, 2, 3])", "jnp.array([1., 2, 3])")
            dup_set = how == "set" and ix == "far"
            c(f"A.at({ix}).{how}({val})", f"at(A, {ix.replace('null', 'None').replace(chr(34) + '...' + chr(34), '...')}).{py}({value})", ulp=2 if how == "divide" else 0, grad="A" if smooth and how != "divide" and not dup_set and not (how in ("multiply", "mul") and ix in ("far",)) else "")
        c(f"five.at(dup).{how}(np.array([3, 40, 5, 2, 60]))", f"five.at[dup].{py}(jnp.array([3., 40, 5, 2, 60]))", ulp=4 if how == "divide" else 0)
        if how != "divide":
            c(f"i.at(dup).{how}(np.array(2, {{ dtype: \"int32\" }}))", f"i.at[dup].{py}(2)")
    c("five.at(far).set(1, { mode: \"clip\" })", "five.at[far].set(1., mode='clip')")
    c("five.at(far).add(1, { mode: \"clip\" })", "five.at[far].add(1., mode='clip')")
    c("v.at(p7).set(0)", "v.at[p7].set(0.)", grad="v")
    c("v.at(p7).set(w)", grad="v w")
    c("v.at(p7).add(w)", grad="v w")
    c("v.at(slice(0, 4)).set(w)", grad="v w")
    c("v.at(slice(0, 4)).add(w)", grad="v w")
    c("five.at(dup).add(u)", grad="five u", terms=4)
    c("v.at(slice(1, 5)).multiply(w)", grad="v w")
    c("A.at(0).apply((x) => np.exp(x))", "A.at[0].set(jnp.exp(A[0]))", ulp=4, grad="A")
    c("T.at(slice(null), 1).set(w)", grad="T w")
    c("T.at(0, ix).add(w)", grad="T w", terms=4)
    c("E.at(slice(null)).set(1)", "E.at[:].set(1.)")
    c("i8.at(0).set(np.array(5, { dtype: \"int32\" }))", "i8.at[0].set(jnp.int32(5))")
    c("P.at(0).set(true)", "P.at[0].set(True)")
    c("A.at(null, 1).set(w)", "A.at[None, 1].set(w)")
    return c.cases


def printing():
    """numpy.array2string by way of str"""
    f = onp.float32
    rng = onp.random.RandomState(3)
    arrays = [
        f([1, 2, 3]), f([1.5, 2.25, -3]), f([0.1, 0.2, 0.3]), f([1e-5, 1, 100]), f([1e10, 1]), f([onp.nan, 1, -onp.inf]), f([onp.inf]), f([onp.nan, onp.nan]), f([-0.0, 0.0]),
        f([[1, 2], [3, 4]]), rng.standard_normal((3, 4)).astype(f), rng.standard_normal((2, 2, 3)).astype(f), f([1 / 3, 2 / 3]), f([1e8, 1]), f([99999999, 1]), f([123456.789, 1]), f([1e-3, 1]), f([1e-4, 0.1]), f([9.999e-5]), f([1e-30, 1e30, onp.nan]),
        onp.int32([1, -20, 300]), onp.int32([[1, 2], [30, -4]]), onp.uint8([0, 255]), onp.array([True, False]), onp.array([True, True]), onp.array([[True], [False]]), onp.arange(1001).astype(f), onp.arange(2000).reshape(40, 50).astype("int32"), onp.arange(1200).reshape(2, 3, 200).astype(f),
        onp.arange(40).astype(f), onp.arange(30).astype("int32") * 1000, rng.standard_normal(20).astype(f), f(3.5), onp.int32(7), onp.bool_(True), f([]), onp.zeros((2, 0), f), onp.zeros((2, 3, 1), f), onp.float16([0.1, 1.5, 1000]), onp.float16([1e-4, 65504]), onp.float64([0.1, 1 / 3]), onp.float64([1e300, 1e-300]), f([16777216, 0.5]), f([1e5, 1e-1]), onp.arange(24).reshape(2, 3, 2, 2).astype(f), f([[onp.nan, 1], [2, 1000000]]), f([1.0000001]), onp.array([True] * 40), f([5e-8, 1e-8]), f([1e16]), f(1e-7), f(1e20), f(onp.nan), f(-0.0), onp.arange(3000).reshape(3000, 1).astype(f), rng.standard_normal((8, 130)).astype(f),
    ]
    return [{"x": encode(a) if str(a.dtype) != "float64" else {"dtype": "float64", "shape": list(a.shape), "values": [number(e) for e in a.ravel()]}, "text": onp.array2string(a) if a.ndim else str(a)} for a in arrays]


def nn():
    c = Suite()
    for f in ["identity", "relu", "relu6", "sigmoid", "tanh", "silu", "swish", "softplus", "softSign", "logSigmoid", "leakyRelu", "elu", "celu", "selu", "gelu", "mish", "hardTanh", "hardSigmoid", "hardSilu", "hardSwish", "squareplus"]:
        py = {"softSign": "nn.soft_sign", "identity": "nn.identity", "tanh": "jnp.tanh"}.get(f)
        c(f"nn.{f}(around)", (py or "nn." + __import__("re").sub(r"([A-Z])", lambda m: "_" + m.group(1).lower(), f)) + "(around)", terms=0 if f in ("identity", "relu") else 8, grad="around")
        c(f"nn.{f}(special)", (py or "nn." + __import__("re").sub(r"([A-Z])", lambda m: "_" + m.group(1).lower(), f)) + "(special)", ulp=16)
    c("nn.gelu(around, { approximate: false })", terms=8, grad="around")
    c("nn.leakyRelu(A, 0.2)", ulp=1, grad="A")
    c("nn.elu(A, 2)", ulp=8, grad="A")
    c("nn.celu(A, 0.5)", ulp=8, grad="A")
    c("nn.squareplus(A, 1)", terms=8, grad="A")
    c("nn.glu(A)", ulp=8, grad="A")
    c("nn.glu(C, 0)", ulp=8)
    # JAX's own standardize takes E[x²] − E[x]², which cancels; in float64 that does not show
    for f in ["softmax", "logSoftmax", "standardize"]:
        g = {"softmax": "softmax", "logSoftmax": "log_softmax", "standardize": "standardize"}[f]
        c(f"nn.{f}(A)", f"nn.{g}(A)", terms=16, grad="A")
        c(f"nn.{f}(T, 1)", f"nn.{g}(T.astype('float64'), 1).astype('float32')", terms=16, x64=True)
        c(f"nn.{f}(T, [0, 2])", f"nn.{g}(T, (0, 2))", terms=24, grad="T")
        c(f"nn.{f}(np.multiply(A, 1000))", f"nn.{g}(A * 1000)", terms=16)
    c("nn.softmax(special.get(slice(3, 8)))", "nn.softmax(special[3:])", terms=16)
    c("nn.softmax(np.array([-np.inf, 0]))", "nn.softmax(jnp.array([-jnp.inf, 0.]))")
    c("nn.oneHot(ix, 3)", "nn.one_hot(ix, 3)")
    c("nn.logsumexp(A, 0)", "nn.logsumexp(A, 0)", terms=12)
    import optax

    from npgolden import SCOPE

    SCOPE["optax"] = optax
    c("nn.softmaxCrossEntropy(A, probabilities)", "optax.softmax_cross_entropy(A, probabilities)", terms=16, grad="A probabilities")
    c("nn.softmaxCrossEntropyWithIntegerLabels(A, targets)", "optax.softmax_cross_entropy_with_integer_labels(A, targets)", terms=16, grad="A")
    c("nn.sigmoidBinaryCrossEntropy(A, probabilities)", "optax.sigmoid_binary_cross_entropy(A, probabilities)", terms=16, grad="A probabilities")
    c("nn.sigmoidBinaryCrossEntropy(np.multiply(A, 1000), P)", "optax.sigmoid_binary_cross_entropy(A * 1000, P)", terms=16)
    c("nn.squaredError(A, A2)", "optax.squared_error(A, A2)", ulp=1, grad="A A2")
    c("nn.squaredError(A)", "optax.squared_error(A)", ulp=1)
    c("nn.l2Loss(A, A2)", "optax.l2_loss(A, A2)", ulp=1, grad="A")
    c("nn.l2Loss(A)", "optax.l2_loss(A)", ulp=1)
    c("nn.huberLoss(around, 0.5)", "optax.huber_loss(around, jnp.float32(0.5))", ulp=4, grad="around")
    c("nn.huberLoss(A, A2, 0.5)", "optax.huber_loss(A, A2, delta=0.5)", ulp=4, grad="A A2")
    I = jax.nn.initializers
    for f, g in {"zeros": "zeros", "ones": "ones", "constant(3)": "constant(3.)", "uniform()": "uniform()", "uniform(2)": "uniform(2.)", "glorotUniform()": "glorot_uniform()", "xavierUniform()": "xavier_uniform()", "heUniform()": "he_uniform()", "kaimingUniform()": "kaiming_uniform()", "lecunUniform()": "lecun_uniform()",
                 "normal()": "normal()", "normal(2)": "normal(2.)", "truncatedNormal()": "truncated_normal()", "truncatedNormal(0.5, { lower: -1, upper: 2 })": "truncated_normal(0.5, lower=-1., upper=2.)", "glorotNormal()": "glorot_normal()", "xavierNormal()": "xavier_normal()", "heNormal()": "he_normal()", "kaimingNormal()": "kaiming_normal()", "lecunNormal()": "lecun_normal()",
                 "varianceScaling(2, \"fanOut\", \"normal\")": "variance_scaling(2., 'fan_out', 'normal')", "varianceScaling(3, \"fanAvg\", \"truncatedNormal\", { inAxis: 0, outAxis: 1 })": "variance_scaling(3., 'fan_avg', 'truncated_normal', in_axis=0, out_axis=1)"}.items():
        # a normal number is the inverse error function of a uniform one, whose grid has the spacing of 1
        for shape in ["[6, 10]", "[3, 4, 5]"]:
            c(f"nn.initializers.{f}(key, {shape})", f"nn.initializers.{g}(key, {shape})", ulp=2 if "niform" in f else 0, terms=8 if "ormal" in f else 0)
    c("nn.initializers.uniform(0.5)(key, [4], \"float16\")", "nn.initializers.uniform(0.5)(key, [4], 'float16')", ulp=1)
    return c.cases


def optim():
    """five steps on a small tree with given gradients, the learning rate and all constants in float32"""
    import optax

    params = {"w": ARRAYS["A"], "b": [ARRAYS["w"], onp.float32(0.5)]}
    rng = onp.random.RandomState(11)
    grads = [jax.tree.map(lambda p: rng.standard_normal(onp.shape(p)).astype("float32"), params) for _ in range(5)]
    rate = lambda n: 0.1 / (1.0 + n)
    makers = {
        "sgd(0.1)": optax.sgd(0.1),
        "sgd(schedule)": optax.sgd(rate),
        "momentum(0.1, 0.9)": optax.sgd(0.1, momentum=0.9),
        "momentum(0.1, 0.8, { nesterov: true })": optax.sgd(0.1, momentum=0.8, nesterov=True),
        "adam(0.01)": optax.adam(0.01),
        "adam(schedule)": optax.adam(rate),
        "adam(0.01, { b1: 0.8, b2: 0.99, eps: 1e-3, epsRoot: 1e-4 })": optax.adam(0.01, b1=0.8, b2=0.99, eps=1e-3, eps_root=1e-4),
        "adamw(0.01)": optax.adamw(0.01),
        "adamw(0.01, { weightDecay: 0.1 })": optax.adamw(0.01, weight_decay=0.1),
        "clipByGlobalNorm(1)": optax.clip_by_global_norm(1.0),
        "clipByGlobalNorm(1000)": optax.clip_by_global_norm(1000.0),
        "scale(-0.5)": optax.scale(-0.5),
        "addDecayedWeights(0.1)": optax.add_decayed_weights(0.1),
        "chain(clipByGlobalNorm(1), adam(0.01))": optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.01)),
        "chain(trace(0.5), scaleByLearningRate(schedule))": optax.chain(optax.trace(0.5), optax.scale_by_learning_rate(rate)),
        "chain(scaleByAdam(), addDecayedWeights(0.01), scaleBySchedule(schedule))": optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(0.01), optax.scale_by_schedule(rate)),
        "identity": optax.identity(),
    }
    flat = lambda t: [encode(x) for x in (t["w"], *t["b"])]
    runs = []
    for js, opt in makers.items():
        p, state, steps = jax.tree.map(jnp.asarray, params), None, []
        state = opt.init(p)
        for g in grads:
            updates, state = opt.update(jax.tree.map(jnp.asarray, g), state, p)
            p = optax.apply_updates(p, updates)
            steps.append({"updates": flat(updates), "params": flat(p)})
        runs.append({"js": js, "steps": steps})
    return {"params": flat(params), "grads": [flat(g) for g in grads], "norm": float(optax.global_norm(grads[0])), "runs": runs}


GROUPS = {f.__name__: f for f in (promotion, creation, elementwise, reductions, manipulation, selection, products, indexing, printing, nn, optim)}
