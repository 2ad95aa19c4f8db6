"""Expression graphs as C++ with one point a vector lane, compiled by the system's compiler and called through ctypes."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hwsim.errors import InputError
from hwsim.sweep.intervals import Bounds
from hwsim.sweep.nodes import Node, reachable
from hwsim.sweep.scalars import scalarised_rows

LANES = 8
"""Points at a time: doubles in a vector of 512 bits."""
FLAGS = ("-O2", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-std=c++17", "-shared", "-fPIC", "-w")
INFIX = {
    **{"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<="},
    **{"equal": "==", "not_equal": "!=", "logical_and": "&", "logical_or": "|"},
}
HEAD = """
#include <cmath>
#include <cstring>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif
typedef double V __attribute__((vector_size(64)));
typedef double U __attribute__((vector_size(64), aligned(8)));
typedef long long M __attribute__((vector_size(64)));
#define EACH(name, f) static inline V v_##name(V a) { V r; for (int i = 0; i < 8; i++) r[i] = f(a[i]); return r; }
static inline V all(double x) { return V{} + x; }
#if defined(__AVX512F__)
static inline V v_maximum(V a, V b) { return (V)_mm512_max_pd((__m512d)a, (__m512d)b); }
static inline V v_minimum(V a, V b) { return (V)_mm512_min_pd((__m512d)a, (__m512d)b); }
static inline V v_ceil(V a) { return (V)_mm512_roundscale_pd((__m512d)a, 10); }
static inline V v_floor(V a) { return (V)_mm512_roundscale_pd((__m512d)a, 9); }
static inline V v_trunc(V a) { return (V)_mm512_roundscale_pd((__m512d)a, 11); }
static inline V v_rint(V a) { return (V)_mm512_roundscale_pd((__m512d)a, 8); }
static inline V v_sqrt(V a) { return (V)_mm512_sqrt_pd((__m512d)a); }
static inline V v_absolute(V a) { return (V)_mm512_abs_pd((__m512d)a); }
#else
static inline V v_maximum(V a, V b) { return a > b ? a : b; }
static inline V v_minimum(V a, V b) { return a < b ? a : b; }
EACH(ceil, std::ceil) EACH(floor, std::floor) EACH(trunc, std::trunc) EACH(rint, std::nearbyint) EACH(sqrt, std::sqrt)
static inline V v_absolute(V a) { return a < 0 ? -a : a; }
#endif
#if defined(__AVX512F__)
/* log2: x = m 2^e with m in [0.75, 1.5), then the series of 2 atanh((m - 1) / (m + 1)); exact at powers of two. */
static inline __attribute__((always_inline)) V v_log2(V x) {
  V m = (V)_mm512_getmant_pd((__m512d)x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
  V e = (V)_mm512_getexp_pd((__m512d)x) + (m < 1 ? all(1) : all(0)), t = (m - 1) / (m + 1), s = t * t, r = all(0.15186263588304877);
  r = r * s + 0.16972882833987804; r = r * s + 0.19235933878519512; r = r * s + 0.22195308321368667; r = r * s + 0.2623081892525388; r = r * s + 0.3205988979753252;
  r = r * s + 0.4121985831111324; r = r * s + 0.5770780163555853; r = r * s + 0.9617966939259756; r = r * s + 2.8853900817779268;
  return e + r * t; }
static inline __attribute__((always_inline)) V v_exp2(V y) {
  y = v_maximum(all(-1080), v_minimum(all(1080), y));
  V n = v_rint(y), z = (y - n) * 0.6931471805599453, r = all(2.08767569878681e-09);
  r = r * z + 2.505210838544172e-08; r = r * z + 2.755731922398589e-07; r = r * z + 2.7557319223985893e-06; r = r * z + 2.48015873015873e-05; r = r * z + 0.0001984126984126984; r = r * z + 0.001388888888888889;
  r = r * z + 0.008333333333333333; r = r * z + 0.041666666666666664; r = r * z + 0.16666666666666666; r = r * z + 0.5; r = r * z + 1.0; r = r * z + 1.0;
  return (V)_mm512_scalef_pd((__m512d)r, (__m512d)n); }
static inline V v_power(V a, V b) { return v_exp2(b * v_log2(a)); }
#else
EACH(exp2, std::exp2) EACH(log2, std::log2)
static inline V v_power(V a, V b) { V r; for (int i = 0; i < 8; i++) r[i] = std::pow(a[i], b[i]); return r; }
#endif
EACH(exp, std::exp) EACH(log, std::log)
EACH(expm1, std::expm1) EACH(log10, std::log10) EACH(log1p, std::log1p) EACH(tanh, std::tanh)
EACH(sin, std::sin) EACH(cos, std::cos)
static inline V v_square(V a) { return a * a; }
static inline V v_negative(V a) { return -a; }
static inline V v_sign(V a) { return (a > 0 ? all(1) : all(0)) - (a < 0 ? all(1) : all(0)); }
static inline V v_remainder(V a, V b) { return a - b * v_floor(a / b); }
static inline V v_lookup(V a, const double* t, long n) {
  V r; for (int i = 0; i < 8; i++) { long k = (long)a[i]; r[i] = t[k < 0 ? 0 : k >= n ? n - 1 : k]; } return r; }
static inline long place(double x, const double* t, long n, bool right) {
  long low = 0; while (n > 0) { long half = n / 2; bool up = right ? t[low + half] <= x : t[low + half] < x;
    low = up ? low + half + 1 : low; n = up ? n - half - 1 : half; } return low; }
static inline V v_search(V a, const double* t, long n, bool right) { V r; for (int i = 0; i < 8; i++) r[i] = place(a[i], t, n, right); return r; }
static inline V v_interpolate(V a, const double* x, const double* y, long n) {
  V r; for (int i = 0; i < 8; i++) { long k = place(a[i], x, n, false);
    r[i] = k <= 0 ? y[0] : k >= n ? y[n - 1] : y[k - 1] + (a[i] - x[k - 1]) * (y[k] - y[k - 1]) / (x[k] - x[k - 1]); } return r; }
"""
"""Vector operations; the names are numpy's."""


def source(outputs: Sequence[Node], slow: Sequence[str], fast: Sequence[str]) -> str:
    """C++ of `kernel(slow count, fast count, slow columns, fast columns, outputs)`; all nodes have width 1.

    Slow columns are stored `(slow, columns)`, fast ones `(columns, fast)`, outputs `(outputs, slow, fast)`; the fast count is whole vectors.
    """
    places = {name: f"all(q[{i}])" for i, name in enumerate(slow)}
    places |= {name: f"*(const U*)(x + {i} * fast + f)" for i, name in enumerate(fast)}
    tables: list[str] = []
    lines = [f"  {'M' if n.is_test else 'V'} n{n.number} = {_term(n, places, tables)};" for n in reachable(outputs) if n.value is None]
    stores = [f"  *(U*)(y + ({i} * slow + s) * fast + f) = {_number(node)};" for i, node in enumerate(outputs)]
    head = 'extern "C" void kernel(long slow, long fast, const double* q, const double* x, double* y) {'
    loops = [f" for (long s = 0; s < slow; s++, q += {len(slow)})", " for (long f = 0; f < fast; f += 8) {"]
    return "\n".join([HEAD, *tables, head, *loops, *lines, *stores, " }\n}\n"])


def _term(node: Node, places: Mapping[str, int], tables: list[str]) -> str:
    if node.op == "column":
        return places[node.param]
    if node.op == "where":
        return f"{_test(node.args[0])} ? {_number(node.args[1])} : {_number(node.args[2])}"
    if node.op == "logical_not":
        return f"~{_test(node.args[0])}"
    if node.op in ("logical_and", "logical_or"):
        return f"{_test(node.args[0])} {INFIX[node.op]} {_test(node.args[1])}"
    if node.op in INFIX:
        return f"{_number(node.args[0], bare=True)} {INFIX[node.op]} {_number(node.args[1], bare=True)}"
    if node.op == "float":
        return _number(node.args[0])
    extra = _tables(node, tables)
    return f"v_{node.op}({', '.join([*map(_number, node.args), *extra])})"


def _tables(node: Node, tables: list[str]) -> list[str]:
    """Further arguments of what reads lists of numbers, which become constants of the source."""
    if node.op not in ("lookup", "search", "interpolate"):
        return []
    arrays = {"lookup": lambda p: [p[0]], "search": lambda p: [p[0]], "interpolate": list}[node.op](node.param)
    names = []
    for array in arrays:
        text = ", ".join(float(v).hex() for v in array)
        line = f"static const double {{}}[] = {{{{{text}}}}};"
        known = next((t for t in tables if t.partition("[]")[2] == line.partition("[]")[2].replace("{{", "{").replace("}}", "}")), None)
        if known is None:
            known = line.format(f"t{len(tables)}")
            tables.append(known)
        names.append(known.split()[3].partition("[")[0])
    more = [str(node.param[1] == "right").lower()] if node.op == "search" else []
    return [*names, str(len(arrays[0])), *more]


def _number(node: Node, *, bare: bool = False) -> str:
    """A vector of doubles; `bare`: a constant may stay a single number."""
    if node.value is not None:
        value = float(node.value[0])
        text = value.hex() if np.isfinite(value) else ("NAN" if np.isnan(value) else "-INFINITY" if value < 0 else "INFINITY")
        return text if bare else f"all({text})"
    return f"(n{node.number} ? all(1) : all(0))" if node.is_test else f"n{node.number}"


def _test(node: Node) -> str:
    if node.value is not None:
        return "(M{} - 1)" if node.value[0] else "(M{})"
    return f"n{node.number}" if node.is_test else f"(n{node.number} != 0)"


def compiler() -> str:
    """The C++ compiler.

    Raises:
        InputError: there is none.
    """
    for name in (os.environ.get("CXX", ""), "g++", "c++"):
        if name and (found := shutil.which(name)):
            return found
    raise InputError("no C++ compiler (g++) for the native backend; install one, set CXX, or take --backend numpy")


def built(text: str) -> ctypes.CDLL:
    """The compiled source, kept under the user's cache by what it says, by machine and by compiler."""
    tool = compiler()
    key = hashlib.sha256(repr((text, FLAGS, tool, _machine())).encode()).hexdigest()[:24]
    path = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "hwsim" / "native" / f"{key}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = _compiled(tool, text, Path(folder))
            made.replace(path)
    return ctypes.CDLL(str(path))


def _machine() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return os.uname().machine
    return next((line for line in lines if line.startswith("flags")), os.uname().machine)


def _compiled(tool: str, text: str, folder: Path) -> Path:
    code, made = folder / "kernel.cpp", folder / "kernel.so"
    code.write_text(text, encoding="utf-8")
    done = subprocess.run([tool, *FLAGS, str(code), "-o", str(made)], capture_output=True, text=True)
    if done.returncode == 0:
        return made
    raise InputError(f"{tool} cannot compile the cost function: {done.stderr.strip().splitlines()[:1]}; take --backend numpy")


class NativeKernel:
    """The outputs of a graph at any points, at the speed of compiled code; called like `NumpyKernel`."""

    def __init__(self, outputs: Mapping[str, Node], *, slow: Sequence[str] = (), bounds: Bounds | None = None) -> None:
        self.outputs = scalarised_rows(outputs, bounds=bounds)
        self.names = list(outputs)
        flat = [node for rows in self.outputs.values() for node in rows]
        needed = sorted({n.param for n in reachable(flat) if n.op == "column"})
        self.slow = [name for name in needed if name.partition("#")[0] in slow]
        self.fast = [name for name in needed if name.partition("#")[0] not in slow]
        self.text = source(flat, self.slow, self.fast)
        self.function = built(self.text).kernel
        self.function.restype = None

    def __call__(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Every output, shape `(rows, points)` or `(rows, slow, fast)`; columns as for `NumpyKernel`."""
        points = np.broadcast_shapes(*(c.shape[1:] for c in columns.values())) or (1,)
        count, slow_count = points[-1], points[0] if len(points) == 2 else 1
        padded = -(-count // LANES) * LANES
        slow = np.ascontiguousarray(np.stack([_row(columns, n).reshape(-1) for n in self.slow], axis=-1)) if self.slow else np.empty((1, 0))
        fast = np.empty((len(self.fast), padded))
        for place, name in zip(fast, self.fast, strict=True):
            place[:count] = _row(columns, name).reshape(-1)
            place[count:] = place[count - 1]
        made = np.empty((sum(len(rows) for rows in self.outputs.values()), slow_count, padded))
        self.function(*map(ctypes.c_long, (slow_count, padded)), *(ctypes.c_void_p(a.ctypes.data) for a in (slow, fast, made)))
        return self._named(made[..., :count].reshape(-1, *points))

    def chunked(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The same: compiled code needs no chunks."""
        return self(columns)

    def _named(self, made: np.ndarray) -> dict[str, np.ndarray]:
        found, start = {}, 0
        for name, rows in self.outputs.items():
            part = made[start : start + len(rows)]
            found[name] = part > 0.5 if rows[0].is_test else part
            start += len(rows)
        return found


def _row(columns: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """A column, or one row of it (`name#row`)."""
    base, _, row = name.partition("#")
    return columns[base][int(row or 0)]
