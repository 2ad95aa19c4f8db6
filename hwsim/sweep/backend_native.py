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
from hwsim.sweep.rewrite import exact_numbers
from hwsim.sweep.scalars import scalarised_rows

LANES = 8
"""Points at a time: doubles in a vector of 512 bits."""
FLAGS = (
    "-O2",
    "-march=native",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-std=c++17",
    "-fschedule-insns",
    "-fsched-pressure",
    "-shared",
    "-fPIC",
    "-w",
)
INFIX = {
    **{"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<="},
    **{"equal": "==", "not_equal": "!=", "logical_and": "&", "logical_or": "|"},
}
LANES_HEADER = Path(__file__).with_name("lanes.h")
"""Vector operations."""


def source(outputs: Sequence[Node], slow: Sequence[str], fast: Sequence[str]) -> str:
    """C++ of `kernel(slow count, fast count, slow columns, fast columns, outputs)`; all nodes have width 1.

    Slow columns are stored `(slow, columns)`, fast ones `(columns, fast)`, outputs `(outputs, slow, fast)`; the fast
    count is whole vectors. A maximum may drop what is not a number; so where an input is none (of slow ones the first: this kernel
    made them, all together), no output is.
    """
    places = {name: f"all(q[{i}])" for i, name in enumerate(slow)}
    places |= {name: f"*(const U*)(x + {i} * fast + f)" for i, name in enumerate(fast)}
    tables: list[str] = []
    nodes = reachable(outputs)
    exact = exact_numbers(nodes)
    lines = [_line(node, places, tables, exact=node.number in exact) for node in nodes if node.value is None]
    given = [*(places[name] for name in slow[:1]), *(places[name] for name in fast)]
    lines.append(f"  M bad = {' | '.join(f'({place} != {place})' for place in given) or 'M{}'};")
    stores = [f"  *(U*)(y + ({i} * slow + s) * fast + f) = bad ? all(NAN) : {_number(node)};" for i, node in enumerate(outputs)]
    head = 'extern "C" void kernel(long slow, long fast, const double* q, const double* x, double* y) {'
    loops = [f" for (long s = 0; s < slow; s++, q += {len(slow)})", " for (long f = 0; f < fast; f += 8) {"]
    return "\n".join([LANES_HEADER.read_text(encoding="utf-8"), *tables, head, *loops, *lines, *stores, " }\n}\n"])


def _line(node: Node, places: Mapping[str, str], tables: list[str], *, exact: bool) -> str:
    """One statement; products that a step depends on are rounded before they are added to anything."""
    kept = f" ROUNDED(n{node.number});" if exact and node.op == "multiply" else ""
    return f"  {'M' if node.is_test else 'V'} n{node.number} = {_term(node, places, tables)};{kept}"


def _term(node: Node, places: Mapping[str, str], tables: list[str]) -> str:
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
    contract = "-ffp-contract=fast" if {"avx512f", "avx512dq"} <= set(_machine().split()) else "-ffp-contract=off"
    done = subprocess.run([tool, *FLAGS, contract, str(code), "-o", str(made)], capture_output=True, text=True)
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
        slow = np.ascontiguousarray(_rows(columns, self.slow).T) if self.slow else np.empty((1, 0))
        fast = np.empty((len(self.fast), padded))
        if self.fast:
            fast[:, :count] = _rows(columns, self.fast)
            fast[:, count:] = fast[:, count - 1 : count]
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


def _rows(columns: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Columns, or rows of them (`name#row`), one after the other."""
    bases = list(dict.fromkeys(name.partition("#")[0] for name in names))
    starts = dict(zip(bases, np.cumsum([0, *(len(columns[b]) for b in bases)]), strict=False))
    together = np.concatenate([columns[b].reshape(len(columns[b]), -1) for b in bases])
    return together[[starts[base] + int(row or 0) for base, _, row in (name.partition("#") for name in names)]]
