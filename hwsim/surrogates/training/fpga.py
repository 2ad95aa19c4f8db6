"""Published FPGA designs as rows of template instances with what the tools reported of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from hwsim.cost import Program
from hwsim.datasets.adapted_fpga import PARTS
from hwsim.datasets.hls_cnn_designs import continuous_integration, kebl, tutorial
from hwsim.datasets.hls_designs import Design, _config, _mlp, argykokk, dense1, dense2
from hwsim.surrogates.edges import row_edges
from hwsim.surrogates.graphs import Graphs, concatenated
from hwsim.targets.fpga.calibrate import suites, synthesis
from hwsim.targets.fpga.device import FpgaDevice
from hwsim.targets.fpga.features import NAMES, features
from hwsim.targets.fpga.learned import METRICS, READOUT, row_costs, shares
from hwsim.targets.fpga.lower import lower
from hwsim.targets.fpga.mapping import FpgaMapping

LABELS = {"LUT": "lut", "FF": "ff", "DSP": "dsp", "BRAM18": "bram18", "cycles": "cycles", "interval_cycles": "interval_cycles"}
"""Totals of a design by the names of metrics."""
Constants = Mapping[str, float]


@dataclass(frozen=True)
class Lowered:
    """A design as its program."""

    design: Design
    program: Program
    mapping: FpgaMapping
    device: FpgaDevice
    edges: np.ndarray


@cache
def _part(name: str) -> FpgaDevice:
    return FpgaDevice.from_shelf(name)


def lowered(design: Design) -> Lowered:
    """A design on its part, at the stage that its labels are of."""
    mapping = FpgaMapping.of(**{**design.options, "stage": design.stage})
    program = lower(design.graph, mapping)
    name = str(design.facts.get("part", "")).partition("-")[0] or PARTS.get(design.source, "xcu250")
    return Lowered(design, program, mapping, _part(name), row_edges(program))


def graphs(designs: Sequence[Lowered], constants: Constants | None = None) -> Graphs:
    """Graphs of designs; the closed form has these constants, or those of the shelf."""
    return concatenated([_graphs(one, constants) for one in designs])


def _graphs(one: Lowered, constants: Constants | None) -> Graphs:
    given = {"device": one.device, "mapping": one.mapping}
    found = shares(one.program, constants=constants, **given)
    cost = row_costs(found)
    rest, least = np.zeros((1, len(METRICS))), np.zeros((1, len(METRICS)))
    rest[0, METRICS.index("cycles")] = found.hand_over_cycles[..., 0]
    least[0, METRICS.index("interval_cycles")] = 1.0
    measured = {LABELS[name]: value for name, value in one.design.totals.items() if name in LABELS}
    design = one.design
    labels = {
        "source": design.source,
        "architecture": design.group,
        "model": f"{design.source}:{design.name}",
        "stage": design.stage,
        "strategy": str(design.options["hls_config"]["Model"]["Strategy"]).lower(),
        "device": one.device.name,
        "layers": str(len(cost)),
        "bits": str(design.facts.get("bits", "")),
    }
    return Graphs(
        features=features(one.program, found, **given),
        cost=cost,
        floor=np.zeros_like(cost),
        start=np.array([0, len(cost)]),
        edges=one.edges,
        rest=rest,
        least=least,
        measured=np.array([[float(measured.get(name, np.nan)) for name in METRICS]]),
        feature_names=NAMES,
        metrics=METRICS,
        readout=READOUT,
        labels={name: np.array([value]) for name, value in labels.items()},
    )


@dataclass(frozen=True)
class TrainingSet:
    """Designs that are learned from together, and how the closed form is fitted without some of them."""

    designs: tuple[Lowered, ...]
    constants: Callable[[frozenset[str]], Constants]
    """From architectures left out to the constants of the closed form."""

    @property
    def architectures(self) -> np.ndarray:
        """Of each design."""
        return np.array([one.design.group for one in self.designs])


def _csynth(left: frozenset[str]) -> Constants:
    return suites.without(left.__contains__)


def _vsynth(left: frozenset[str]) -> Constants:
    return {**synthesis.FIXED, **synthesis.fit_dense([d for d in dense2() if d.group not in left])}


@cache
def training_set(name: str) -> TrainingSet:
    """`dense1` (one layer, csynth), `dense2` (two layers, vsynth), or `real` (networks that somebody deployed, csynth).

    Raises:
        DataMissing: the reports are not there.
    """
    made: dict[str, Callable[[], tuple[list[Design], Callable[[frozenset[str]], Constants]]]] = {
        "dense1": lambda: (dense1()[0], _csynth),
        "dense2": lambda: (dense2(), _vsynth),
        "real": lambda: (real(), _csynth),
        "tests": lambda: (continuous_integration()[0], _csynth),
    }
    designs, constants = made[name]()
    return TrainingSet(tuple(lowered(design) for design in designs), constants)


def real() -> list[Design]:
    """Networks that somebody trained and built: MLPs under the latency strategy, streaming CNNs; csynth reports."""
    return [d for d in (*argykokk(), *kebl(), *tutorial()) if d.stage == "csynth"]


@cache
def attempts() -> tuple[tuple[Lowered, ...], np.ndarray]:
    """(every attempt at one dense layer under both strategies, which of them the tool got through), shape `(attempts,)`.

    Raises:
        DataMissing: the reports are not there.
    """
    found, through = [], []
    for strategy in ("resource", "latency"):
        made, table = dense1(strategy)
        first = {design.group: design for design in made}
        for row in table.itertuples():
            shape = f"{row.d_in}x{row.d_out}"
            graph = first[shape].graph if shape in first else _mlp(f"dense_{row.d_in}_{row.d_out}", (row.d_in, row.d_out))
            weights = f"ap_fixed<{row.prec},1>"
            config = _config({"default": "ap_fixed<16,6>", "weight": weights, "bias": weights}, row.rf, strategy)
            found.append(lowered(Design("dense1", row.model_name, shape, graph, {"hls_config": config}, {})))
            through.append(bool(row.hls_synth_success))
    return tuple(found), np.array(through)


def load_dense1(*, progress: Callable[[int, int], None] | None = None) -> Graphs:
    """One dense layer, C synthesis, over the closed form of the shelf.

    Raises:
        DataMissing: the reports are not there.
    """
    return graphs(training_set("dense1").designs)


def load_dense2(*, progress: Callable[[int, int], None] | None = None) -> Graphs:
    """Two dense layers, logic synthesis, over the closed form of the shelf.

    Raises:
        DataMissing: the reports are not there.
    """
    return graphs(training_set("dense2").designs)
