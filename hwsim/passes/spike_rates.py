"""Firing rates of a file or a recording on the tensors of a graph, as their density."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path

from hwsim.conventions.spikes import Spikes
from hwsim.errors import InputError
from hwsim.graph import Graph, Node
from hwsim.rate_names import Layer, aligned, canonical
from hwsim.rates import Rates

LAYERS = ("conv", "linear", "matmul")
"""Kinds that read spikes at a rate."""


@dataclass(frozen=True)
class SpikeRates:
    """Firing rates as densities: of what neurons fire, and of what layers read."""

    rates: Rates | str | Path
    """Rates, or the path of a file with them."""

    def __call__(self, graph: Graph) -> Graph:
        """The graph with densities; the same nodes and shapes.

        Raises:
            InputError: a layer on spikes without a rate, or a rate of a layer that the graph does not have.
        """
        return fitted(graph, self.rates if isinstance(self.rates, Rates) else Rates.read(self.rates))[0]


def fitted(graph: Graph, rates: Rates) -> tuple[Graph, Rates]:
    """A graph with densities from `rates`, and the rates under the paths of its layers; both as they are where there are no rates.

    Names may be those of layers (the rate of their input) or of neurons (what they fire).

    Raises:
        InputError: a layer on spikes without a rate, or a rate of a layer that the graph does not have.
    """
    if not rates.by_path:
        return graph, rates
    behind = _behind(graph)
    reading = {n.name: fired for n in graph.nodes if n.kind in LAYERS and (fired := [t for t in _data(graph, n) if behind.get(t)])}
    layers = [n for n in graph.nodes if n.name in reading]
    found = aligned(rates, [_layer(n, [behind[t] for t in reading[n.name]]) for n in layers], others={n.path for n in graph.nodes})
    _check_names(graph, rates)
    densities = {t: found.by_path[n.path]["rate"] for n in layers for t in reading[n.name]}
    densities |= _own(graph, rates, reading, densities)
    tensors = {name: replace(t, density=densities[name]) if name in densities else t for name, t in graph.tensors.items()}
    return graph.replace(tensors=tensors), found


def _data(graph: Graph, node: Node) -> list[str]:
    return [t for t in node.inputs if graph.tensors[t].role in ("activation", "input")]


def _behind(graph: Graph) -> dict[str, tuple[str, ...]]:
    """For tensors that come from neurons without a layer between: the paths on the way, nearest first."""
    paths: dict[str, str] = {n.name: n.path for n in graph.nodes}
    found: dict[str, tuple[str, ...]] = {}
    for node in graph.nodes:
        if node.kind in LAYERS:
            continue
        if node.kind in ("neuron", "previous"):
            origin: tuple[str, ...] = (paths.get(str(node.attrs["of"]), "") if node.kind == "previous" else node.path,)
        else:
            parts = [found[t] for t in node.inputs if t in found]
            origin = tuple(dict.fromkeys((node.path, *(p for part in parts for p in part)))) if parts else ()
        found |= dict.fromkeys(node.outputs, origin) if origin else {}
    return found


def _layer(node: Node, sources: list[tuple[str, ...]]) -> Layer:
    return Layer(node.path, "product" if node.kind == "matmul" else "layer", tuple(sources))


def _own(graph: Graph, rates: Rates, reading: dict[str, list[str]], read: dict[str, float]) -> dict[str, float]:
    """What each population fires: its own rate, else that of the layers that read it through views."""
    named = {canonical(name): values for name, values in rates.by_path.items()}
    through: dict[str, float] = {}
    for node in reversed(graph.nodes):
        rate = next((r for o in node.outputs if (r := read.get(o, through.get(o))) is not None), None)
        if rate is not None and node.kind in Spikes.THROUGH:
            through.setdefault(node.inputs[0], rate)
    neurons = [n for n in graph.nodes if n.kind == "neuron"]
    own = {n.outputs[0]: v["rate"] for n in neurons if "rate" in (v := named.get(canonical(n.path), {}))}
    return {n.outputs[0]: through[n.outputs[0]] for n in neurons if n.outputs[0] in through and n.outputs[0] not in read} | own


def _check_names(graph: Graph, rates: Rates) -> None:
    """Complain about names that belong to nothing.

    Raises:
        InputError: there are some.
    """
    paths = {n.path for n in graph.nodes if n.path}
    ends = {canonical(p) for p in paths}
    ends |= {".".join(p.split(".")[:i]) for p in ends for i in range(1, p.count(".") + 1)}
    known = {end.rpartition(".")[2] for end in ends}
    strange = [name for name in rates.by_path if canonical(name) not in ends and canonical(name).rpartition(".")[2] not in known]
    if strange:
        near = difflib.get_close_matches(strange[0], sorted(paths), n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {', '.join(sorted(paths)[:5])}."
        raise InputError(f"{rates.source or 'the rates'}: {graph.name} has no layer {strange[0]!r}; {hint} Correct or remove the line")
