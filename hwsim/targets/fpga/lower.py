"""From a graph to template instances: hls4ml's layers, sorted into one table a template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

from hwsim.cost import Kernel, Memory, Program, Table
from hwsim.errors import UnsupportedOp
from hwsim.graph import Graph
from hwsim.targets.fpga.composite import expanded
from hwsim.targets.fpga.fields import VALIDATED_BACKENDS
from hwsim.targets.fpga.layers import HlsLayer
from hwsim.targets.fpga.mapping import FpgaMapping
from hwsim.targets.fpga.templates import matrix, moves, pointwise, tables

TEMPLATES: Mapping[str, ModuleType] = {"matrix": matrix, "pointwise": pointwise, "table": tables, "move": moves}
"""Template modules by the kind of their table; each has KINDS, `columns` and `hardware`."""
EXPERIMENTAL = ("MultiHeadAttention", "EinsumDense", "Einsum", "LayerNormalization")
"""Classes that hls4ml calls experimental, or that no measurement here covers."""


def lower(graph: Graph, mapping: FpgaMapping) -> Program:
    """Template instances of a network under a configuration.

    Raises:
        UnsupportedOp: an operator without a template.
        InputError: a configuration that does not belong to the network.
    """
    layers = hls_layers(graph, mapping)
    inside = {layer.name for layer in layers}
    parts = [part for layer in layers for part in expanded(replace(layer, inputs=tuple(n for n in layer.inputs if n in inside)))]
    chosen = [template_of(part) for part in parts]
    tables_, row_of = [], {}
    for name, module in TEMPLATES.items():
        members = [i for i, c in enumerate(chosen) if c == name]
        if members:
            row_of.update({i: len(row_of) + k for k, i in enumerate(members)})
            found = module.columns([parts[i] for i in members], io_stream=mapping.io_type == "io_stream")
            tables_.append(Table(name, found, np.ones(len(members))))
    kernels = tuple(_kernel(part, row_of[i], first=_is_first(parts, i)) for i, part in enumerate(parts))
    return Program("fpga", graph, tuple(tables_), kernels, Memory(weights_b=_weight_b(layers)), _warnings(layers, mapping))


def hls_layers(graph: Graph, mapping: FpgaMapping) -> tuple[HlsLayer, ...]:
    """The layers that hls4ml builds, without those that are no hardware."""
    from hwsim.targets.fpga.design import build

    found = build(graph, configuration(graph, mapping), io_type=mapping.io_type, backend=mapping.backend)
    return tuple(layer for layer in found if layer.kind not in ("Input", "InputLayer", "Constant"))


def configuration(graph: Graph, mapping: FpgaMapping) -> Any:
    """The mapping's configuration, else the one that came with the network, else one of the plain options."""
    from hwsim.targets.fpga.config import HlsConfig

    given = mapping.hls_config or graph.attrs.get("hls_config")
    if given is not None:
        return HlsConfig.read(given)
    reuse = int(mapping.reuse_factor) if isinstance(mapping.reuse_factor, int | float) else 1
    return HlsConfig.of(precision=mapping.precision, reuse_factor=reuse, strategy=mapping.strategy)


def template_of(layer: HlsLayer) -> str:
    """Name of the table that a layer goes into.

    Raises:
        UnsupportedOp: no template does it.
    """
    if layer.kind == "Activation" and layer.operation not in (*pointwise.LOGIC, *pointwise.SCALED):
        return "table"
    if layer.kind == "ParametrizedActivation" and layer.operation in ("elu", "selu", "celu"):
        return "table"
    for name, module in TEMPLATES.items():
        if layer.kind in module.KINDS:
            return name
    raise UnsupportedOp([(layer.path or layer.name, f"{layer.kind} (no FPGA template)")], where="an FPGA through hls4ml")


def _is_first(parts: Sequence[HlsLayer], i: int) -> bool:
    """Whether this part is the first of those that stand for its graph nodes."""
    return i == 0 or parts[i - 1].nodes != parts[i].nodes


def _kernel(layer: HlsLayer, row: int, *, first: bool) -> Kernel:
    return Kernel(layer.name, layer.path or layer.name, layer.kind, layer.nodes if first else (), row)


def _weight_b(layers: Sequence[HlsLayer]) -> float:
    """Bytes of weights in the formats that were chosen."""
    return sum(x.n_in * x.n_out * x.precision["weight"].width / 8 for x in layers if "weight" in x.precision and x.n_in)


def _warnings(layers: Sequence[HlsLayer], mapping: FpgaMapping) -> tuple[str, ...]:
    found = []
    if mapping.backend not in VALIDATED_BACKENDS:
        found.append(f"backend {mapping.backend} is less validated: its resources are those of Vivado and Vitis designs")
    if rare := sorted({layer.kind for layer in layers if layer.kind in EXPERIMENTAL}):
        found.append(f"{', '.join(rare)}: experimental in hls4ml, and no measurement here covers it")
    changed = [x for x in layers if x.reuse_requested != x.reuse_factor]
    if changed:
        shown = ", ".join(f"{x.name} {x.reuse_requested} -> {x.reuse_factor}" for x in changed[:6])
        found.append(f"reuse factor not possible, the nearest valid one is taken: {shown}{' ...' if len(changed) > 6 else ''}")
    if mapping.io_type == "io_parallel" and (large := [x for x in layers if x.kind.startswith("Conv") and prod(x.out_shape) > 16384]):
        found.append(f"io_parallel keeps every pixel of {large[0].name} in registers; io_stream is meant for images of this size")
    return tuple(found)
