"""Choices for single layers: patterns of layer names to a configuration, and to the columns of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from hwsim.cost import Program
from hwsim.errors import UnknownName
from hwsim.graph import Graph
from hwsim.targets.fpga.lower import configuration, hls_layers
from hwsim.targets.fpga.mapping import FpgaMapping

CONFIGURED = ("precision", "strategy", "reuse_factor")
"""Choices that a configuration makes layer by layer."""


def matching(pattern: str, names: Sequence[str]) -> tuple[str, ...]:
    """Names that a pattern (`fc*`) means.

    Raises:
        UnknownName: none.
    """
    found = tuple(n for n in names if fnmatchcase(n, pattern))
    if not found:
        raise UnknownName("layer", pattern, names)
    return found


def with_layers(graph: Graph, mapping: FpgaMapping, choices: Mapping[str, Mapping[str, Any]]) -> FpgaMapping:
    """The mapping with choices for layers: `{"precision": {"fc*": "ap_fixed<8,3>"}}`; a later pattern replaces an earlier one.

    Raises:
        UnknownName: a choice that is not made layer by layer, or a pattern that no layer matches.
    """
    from hwsim.targets.fpga.config import Settings

    config = configuration(graph, mapping)
    layers = hls_layers(graph, mapping)
    settings: dict[str, dict[str, Any]] = {name: dict(s.to_dict()) for name, s in config.names}
    for field, patterns in choices.items():
        if field not in CONFIGURED:
            raise UnknownName("choice that an FPGA makes layer by layer:", field, CONFIGURED)
        names = [x.name for x in layers if field == "precision" or x.n_in]
        for pattern, value in patterns.items():
            for name in matching(pattern, names):
                settings.setdefault(name, {})[field] = {"default": value} if field == "precision" else value
    for name, values in settings.items():
        config = config.with_layer(name, Settings.read(values, where=f"layer {name}"))
    return replace(mapping, hls_config=config.text)


def layer_columns(program: Program) -> Mapping[str, tuple[tuple[str, ...], np.ndarray]]:
    """Numeric choices that may differ from layer to layer within one program: names of the layers, and what each has now."""
    start = 0
    names = [k.name for k in sorted(program.kernels, key=lambda k: k.row)]
    for table in program.tables:
        size = table.count.shape[0]
        if table.kind == "matrix":
            mine = tuple(names[start : start + size])
            return {"reuse_factor": (mine, table.columns.reuse), "weight_width": (mine, table.columns.weight_bits)}
        start += size
    return {}
