"""Which row of a program feeds which: edges of the graph that learned methods see."""

from __future__ import annotations

import numpy as np

from hwsim.cost import Kernel, Program


def row_edges(program: Program) -> np.ndarray:
    """Edges between rows, shape `(2, edges)`, int64, each once, in rising order; a row that feeds only itself has none.

    A row that runs often stands for all its runs. Nodes that no kernel runs (views, folded layers) pass on what they are given. Several
    kernels of the same nodes are a chain: the first takes what enters, the last gives what leaves.
    """
    first, last, inner = _chains(program.kernels)
    found, made = set(inner), {}
    for node in program.graph.nodes:
        sources = frozenset().union(*(made.get(name, ()) for name in node.inputs))
        if node.name in first:
            found |= {(source, first[node.name]) for source in sources}
            sources = frozenset((last[node.name],))
        made |= dict.fromkeys(node.outputs, sources)
    pairs = sorted((a, b) for a, b in found if a != b)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T


def _chains(kernels: tuple[Kernel, ...]) -> tuple[dict[str, int], dict[str, int], list[tuple[int, int]]]:
    """(first row, last row of the chain that each node is in, edges within chains)."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    inner: list[tuple[int, int]] = []
    held: tuple[str, ...] = ()
    for kernel in kernels:
        held = kernel.nodes or held
        for name in held:
            first.setdefault(name, kernel.row)
        if held and held[0] in last:
            inner.append((last[held[0]], kernel.row))
        last |= dict.fromkeys(held, kernel.row)
    return first, last, inner
