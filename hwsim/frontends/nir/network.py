"""Nodes and edges -> a network without nesting and without cycles."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.errors import InputError, UnknownName
from hwsim.frontends.nir.reading import Source

STATEFUL = frozenset({"CubaLIF", "CubaLI", "LIF", "IF", "LI", "I", "Delay"})
"""Nodes whose result of the timestep before can be read."""
Edge = tuple[str, str]


def type_name(node: Any) -> str:
    """`LIF`, `Conv2d`, ...; of nodes that nir does not know, what the file says."""
    return getattr(node, "type_name", type(node).__name__)


@dataclass(frozen=True)
class Network:
    """Nodes in an order in which each comes after what feeds it in the same timestep."""

    nodes: Mapping[str, Any]
    feeds: Mapping[str, tuple[str, ...]]
    """Sources of a node in the same timestep."""
    recurrent: Mapping[str, tuple[str, ...]]
    """Sources of a node in the timestep before."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def sources(self, name: str) -> tuple[str, ...]:
        """All that a node reads."""
        return (*self.feeds.get(name, ()), *self.recurrent.get(name, ()))


def network(source: Source, *, where: str) -> Network:
    """The network of a file or object.

    Raises:
        InputError: an edge twice, a node that nothing connects, a cycle without neurons or delays, nothing that comes out.
        UnknownName: an edge from or to a node that does not exist.
    """
    nodes, edges = _flat(source, "", where)
    if not nodes:
        raise InputError(f"{where}: the graph has no nodes; expected at least an Input, a connection and neurons")
    twice = [e for e, count in _counts(edges).items() if count > 1]
    if twice:
        raise InputError(f"{where}: the edge from {twice[0][0]!r} to {twice[0][1]!r} stands there twice; remove one")
    joined = {end for edge in edges for end in edge}
    if lost := [n for n in nodes if n not in joined and len(nodes) > 1]:
        raise InputError(f"{where}, node {lost[0]!r} ({type_name(nodes[lost[0]])}): no edge leads to or from it; connect or remove it")
    fed, feeding = {b for _, b in edges}, {a for a, _ in edges}
    kept, back = _cut(nodes, edges, where)
    order = graphlib.TopologicalSorter({n: [a for a, b in kept if b == n] for n in nodes}).static_order()
    outputs = tuple(n for n in nodes if type_name(nodes[n]) == "Output" and "." not in n) or tuple(n for n in nodes if n not in feeding)
    if not outputs:
        raise InputError(f"{where}: nothing leaves the network; add a nir.Output and an edge to it")
    return Network(
        {n: nodes[n] for n in order},
        _sources(kept),
        _sources(back),
        tuple(n for n in nodes if n not in fed),
        outputs,
    )


def _counts(edges: Iterable[Edge]) -> dict[Edge, int]:
    found: dict[Edge, int] = {}
    for edge in edges:
        found[edge] = found.get(edge, 0) + 1
    return found


def _sources(edges: Iterable[Edge]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for a, b in edges:
        found[b] = (*found.get(b, ()), a)
    return found


def _flat(source: Source, prefix: str, where: str) -> tuple[dict[str, Any], list[Edge]]:
    """Nodes of nested graphs under `graph.node`; edges to a nested graph lead to its Input, those from it come from its Output."""
    nodes: dict[str, Any] = {}
    edges: list[Edge] = []
    ends: dict[str, tuple[str, str]] = {}
    for name, node in source.nodes.items():
        full = prefix + name
        if isinstance(node, Source):
            inner, inner_edges = _flat(node, f"{full}.", where)
            nodes.update(inner)
            edges.extend(inner_edges)
            ends[name] = (_only(node, "Input", full, where), _only(node, "Output", full, where))
        else:
            nodes[full] = node
            ends[name] = (full, full)
    for a, b in source.edges:
        if lost := [end for end in (a, b) if end not in ends]:
            raise UnknownName(f"node in an edge of {where}:", lost[0], source.nodes)
        edges.append((ends[a][1], ends[b][0]))
    return nodes, edges


def _only(source: Source, kind: str, path: str, where: str) -> str:
    found = [n for n, node in source.nodes.items() if type_name(node) == kind]
    if len(found) != 1:
        raise InputError(f"{where}, nested graph {path!r}: {len(found)} {kind} nodes; expected one, or its nodes in the graph around it")
    return f"{path}.{found[0]}"


def _cut(nodes: Mapping[str, Any], edges: list[Edge], where: str) -> tuple[list[Edge], list[Edge]]:
    """Edges of one timestep, and those that read the timestep before: of each cycle one that leaves neurons, as late as possible."""
    kept, back = list(edges), []
    depth = _depths(nodes, edges)
    for _ in range(len(edges)):
        loop = _cycle(nodes, kept)
        if not loop:
            return kept, back
        inside = [(a, b) for a, b in kept if a in loop and b in loop and type_name(nodes[a]) in STATEFUL]
        if not inside:
            raise InputError(
                f"{where}: {', '.join(map(repr, sorted(loop)))} feed each other within one timestep; put neurons or a Delay into the cycle"
            )
        latest = max(inside, key=lambda e: (depth[e[0]], depth[e[0]] - depth[e[1]]))
        kept.remove(latest)
        back.append(latest)
    return kept, back


def _depths(nodes: Mapping[str, Any], edges: list[Edge]) -> dict[str, int]:
    """Steps from the nearest input."""
    fed = {b for _, b in edges}
    depth = {n: 0 for n in nodes if n not in fed or type_name(nodes[n]) == "Input"}
    front = list(depth)
    while front:
        reached = [b for a, b in edges if a in front and b not in depth]
        depth.update({n: depth.get(n, 0) + 1 + max(depth.values()) for n in reached})
        front = list(dict.fromkeys(reached))
    return {n: depth.get(n, len(nodes)) for n in nodes}


def _cycle(nodes: Mapping[str, Any], edges: list[Edge]) -> set[str]:
    """Nodes of one strongly connected part, or none."""
    try:
        graphlib.TopologicalSorter({n: [a for a, b in edges if b == n] for n in nodes}).prepare()
        return set()
    except graphlib.CycleError:
        import networkx

    graph = networkx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges)
    parts = (set(p) for p in networkx.strongly_connected_components(graph))
    return next((p for p in parts if len(p) > 1 or any((n, n) in edges for n in p)), set())
