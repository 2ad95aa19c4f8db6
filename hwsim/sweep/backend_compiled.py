"""Expression graphs through `torch.compile` and `jax.jit`, in double precision, on a GPU where the library has one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwsim.errors import MissingExtra
from hwsim.sweep.nodes import Node, reachable
from hwsim.sweep.operations import apply


def evaluated(xp: Any, nodes: Sequence[Node], outputs: Mapping[str, Node], columns: Mapping[str, Any], constant: Any) -> list[Any]:
    """Values of the outputs in a namespace; a plain function of its columns, so that a compiler can take it apart."""
    values: dict[int, Any] = {}
    rank = max((c.ndim for c in columns.values()), default=2) - 1
    for node in nodes:
        if node.value is not None:
            values[node.number] = constant(node, rank)
        elif node.op == "column":
            values[node.number] = columns[node.param]
        else:
            args = [values[a.number] for a in node.args]
            values[node.number] = apply(node.op, args, node.param, node.width, xp=xp)
    return [values[node.number] for node in outputs.values()]


def _shaped(node: Node, rank: int) -> np.ndarray:
    assert node.value is not None
    return node.value.reshape(-1, *[1] * rank)


class _Compiled:
    """What both libraries share; called like `NumpyKernel`."""

    def __init__(self, outputs: Mapping[str, Node]) -> None:
        self.outputs = dict(outputs)
        self.nodes = reachable(self.outputs.values())
        self.needed = sorted({n.param for n in self.nodes if n.op == "column"})

    def __call__(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Every output, shape `(rows, points)` or `(rows, slow, fast)`."""
        points = np.broadcast_shapes(*(c.shape[1:] for c in columns.values())) or (1,)
        found = self._run({name: columns[name] for name in self.needed})
        return {
            name: np.broadcast_to(np.asarray(value), (node.width, *points))
            for (name, node), value in zip(self.outputs.items(), found, strict=True)
        }

    def chunked(self, columns: Mapping[str, np.ndarray], *, chunk: int = 1 << 16) -> dict[str, np.ndarray]:
        """The same for any number of points, `(rows, points)`, so many at a time; the last chunk is filled up: one size is compiled."""
        count = next((c.shape[1] for c in columns.values()), 1)
        size = min(chunk, 1 << max(count - 1, 1).bit_length())
        parts = []
        for start in range(0, count, size):
            part = {name: c[:, start : start + size] for name, c in columns.items()}
            short = size - min(size, count - start)
            if short:
                part = {name: np.concatenate([c, np.repeat(c[:, -1:], short, axis=1)], axis=1) for name, c in part.items()}
            parts.append(self(part))
        return {name: np.concatenate([p[name] for p in parts], axis=1)[:, :count] for name in self.outputs}

    def _run(self, columns: dict[str, np.ndarray]) -> Sequence[Any]:
        raise NotImplementedError


class TorchKernel(_Compiled):
    """`torch.compile`; one thread, as two of them fight for the same core."""

    def __init__(self, outputs: Mapping[str, Node]) -> None:
        super().__init__(outputs)
        try:
            import torch
        except ImportError:
            raise MissingExtra("torch", "torch") from None
        self.torch = torch
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if self.device.type == "cpu":
            torch.set_num_threads(1)
        constants = {
            (n.number, r): torch.as_tensor(_shaped(n, r), device=self.device) for n in self.nodes if n.value is not None for r in (1, 2)
        }

        def function(columns: dict[str, Any]) -> list[Any]:
            return evaluated(torch, self.nodes, self.outputs, columns, lambda node, rank: constants[node.number, rank])

        self.function = torch.compile(function, dynamic=False)

    def _run(self, columns: dict[str, np.ndarray]) -> Sequence[Any]:
        given = {name: self.torch.as_tensor(np.ascontiguousarray(c), device=self.device) for name, c in columns.items()}
        with self.torch.no_grad():
            return [value.cpu().numpy() for value in self.function(given)]


class JaxKernel(_Compiled):
    """`jax.jit` in double precision, row by row: XLA then makes one loop of it."""

    def __init__(self, outputs: Mapping[str, Node]) -> None:
        super().__init__(outputs)
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
        try:
            import jax
            import jax.numpy as jnp
        except ImportError:
            raise MissingExtra("jax", "jax") from None
        from hwsim.sweep.scalars import scalarised_rows

        self.jax = jax
        rows = scalarised_rows(self.outputs)
        flat = {f"{name}#{i}": node for name, nodes in rows.items() for i, node in enumerate(nodes)}
        order = reachable(flat.values())

        def function(columns: dict[str, Any]) -> list[Any]:
            split = {f"{name}#{i}" if len(c) > 1 else name: c[i] for name, c in columns.items() for i in range(len(c))}
            values = evaluated(jnp, order, flat, split, lambda node, rank: node.value[0])
            found = dict(zip(flat, values, strict=True))
            points = jnp.broadcast_shapes(*(c.shape[1:] for c in columns.values())) or (1,)
            return [jnp.stack([jnp.broadcast_to(found[f"{name}#{i}"], points) for i in range(len(nodes))]) for name, nodes in rows.items()]

        self.function = jax.jit(function)

    def _run(self, columns: dict[str, np.ndarray]) -> Sequence[Any]:
        with self.jax.enable_x64(True):
            return [np.asarray(value) for value in self.function(columns)]


KERNELS: dict[str, Any] = {"torch": TorchKernel, "jax": JaxKernel}
