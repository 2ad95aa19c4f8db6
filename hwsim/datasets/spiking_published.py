"""Published energies of spiking transformers beside what operation counts can reach: the mean firing rate that each number implies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.datasets.locate import data_path, pandas
from hwsim.datasets.spiking_counts import FOLDER, columns
from hwsim.rates import DEFAULT

if TYPE_CHECKING:
    from hwsim.conventions import OperationEnergy

_META = "Meta-SpikeFormer (SDT-V2) 31.3M"
NETWORKS: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "Spikingformer-8-384": (("spikingformer_8_384", "strict-binary", ()),),
    "Spikingformer-8-512": (("spikingformer_8_512", "strict-binary", ()),),
    "Spikformer-8-384 (counting 1: integers count as spikes)": (("spikformer_8_384", "spikformer", ()),),
    "Spikformer-8-384 (counting 2: non-binary input counts as MAC)": (
        ("spikformer_8_384", "strict-binary", ()),
        ("spikformer_8_384", "spikformer", ()),
    ),
    "Spikformer-8-512 (counting 2)": (("spikformer_8_512", "strict-binary", ()), ("spikformer_8_512", "spikformer", ())),
    "Spikformer-4-384 CIFAR10 (user re-run)": (
        ("spikformer_4_384_cifar", "strict-binary", ()),
        ("spikformer_4_384_cifar", "spikformer", ()),
    ),
    "SDT-8-384": (("spike_driven_8_384", "strict-binary", ()),),
    "SDT-6-512": (("spike_driven_6_512", "strict-binary", ()),),
    "SDT-8-512": (("spike_driven_8_512", "strict-binary", ()),),
    "SDT-10-512": (("spike_driven_10_512", "strict-binary", ()),),
    "SDT-8-768": (("spike_driven_8_768", "strict-binary", ()),),
    _META: (("meta_spikeformer_8_384", "strict-binary", ()), ("meta_spikeformer_8_384", "strict-binary", ("reparameterise",))),
    "ViT-L/16 (ANN)": (("vit_l16", "strict-binary", ()),),
    "DeiT-B (ANN)": (("vit_b16", "strict-binary", ()),),
    "ResNet18 (ANN)": (("resnet18", "strict-binary", ()),),
}
"""Rows of the published table to networks of the zoo, conventions and passes."""


@dataclass(frozen=True)
class Implied:
    """One published energy against one way to count."""

    row: str
    published_j: float
    convention: str
    passes: tuple[str, ...]
    counted: OperationEnergy

    @cached_property
    def mac_j(self) -> float:
        """Multiply-accumulates, whatever the rate."""
        return self.counted.macs * self.counted.convention.mac_j

    @cached_property
    def once_j(self) -> float:
        """The same with the first layer charged once and not every timestep."""
        first = next((x.macs for x in self.counted.layers if x.macs), 0.0)
        return self.mac_j - first * (1 - 1 / self.counted.timesteps) * self.counted.convention.mac_j

    @cached_property
    def ac_j(self) -> float:
        """Accumulates if everything fired at every timestep."""
        return self.counted.spiking_ops * self.counted.convention.add_j

    def rate(self, mac_j: float) -> float | None:
        """Mean rate that gives the published energy; None without spikes."""
        return (self.published_j - mac_j) / self.ac_j if self.ac_j else None

    def energy_j(self, rate: float) -> float:
        """At one rate everywhere."""
        return self.mac_j + rate * self.ac_j

    @property
    def verdict(self) -> str:
        """Whether, and how, the published number can be reached."""
        rate = self.rate(self.mac_j)
        if rate is None:
            return f"no spikes: {100 * (self.mac_j / self.published_j - 1):+.1f} %"
        if rate < 0:
            once = self.rate(self.once_j)
            return (
                "only with the first layer charged once" if once is not None and once >= 0 else "no rate: multiplications alone exceed it"
            )
        return "reached" if rate <= 1 else "no rate up to 1 suffices"


def implied() -> list[Implied]:
    """Every published row with a network in the zoo, each way it is counted.

    Raises:
        DataMissing: the tables are absent.
    """
    from hwsim import api
    from hwsim.conventions import convention, operation_energy

    found: list[Implied] = []
    for row, energy_j, timesteps in _published():
        for name, chosen, passes in NETWORKS.get(row, ()):
            options: dict[str, Any] = {} if timesteps == 1 and "(ANN)" in row else {"timesteps": timesteps}
            graph = api.load(name, passes=passes, **options)
            label = f"{row}, T {timesteps}" if row == _META else row
            found.append(Implied(label, energy_j, chosen, passes, operation_energy(graph, convention=convention(chosen))))
    return found


def _published() -> list[tuple[str, float, int]]:
    table = pandas().read_csv(data_path(*FOLDER, "published_power_table.csv"))
    rows = [(row.model, row.energy_mJ * 1e-3, int(row.T) if row.T == row.T else 1) for row in table.itertuples()]
    own = pandas().read_csv(data_path(*FOLDER, "sdt_v1_configs.csv"))
    known = {name for name, _, _ in rows}
    return rows + [(row.model, row.published_mJ * 1e-3, int(row.T)) for row in own.itertuples() if row.model not in known]


def published_rows() -> dict[str, Any]:
    """Published energies, and those of the zoo's networks at the default firing rate everywhere."""
    found = implied()
    how = np.array(
        [" + ".join((f"{x.convention}, rate {DEFAULT:g}", *x.passes)) if x.ac_j else f"{x.convention}, no spikes" for x in found]
    )
    made = columns("", how, np.array([x.published_j for x in found]), np.array([x.energy_j(DEFAULT) for x in found]))
    return {**made, "device": np.array([x.row for x in found])}


def published_detail() -> str:
    """The mean rate that each published number implies, as a Markdown table."""
    heads = (
        "published row",
        "published mJ",
        "counted as",
        "MAC part mJ",
        "AC part at rate 1 mJ",
        "implied mean rate",
        "first layer once",
        "",
    )
    lines = [
        "Mean firing rate that a published energy implies: (published - MAC part) / AC part at rate 1. `first layer once`: the first",
        "convolution charged once, not every timestep.",
        "",
        f"| {' | '.join(heads)} |",
        f"|---|---:|---|{'---:|' * 4}---|",
    ]
    for x in implied():
        how = " + ".join((x.convention, *x.passes))
        rates = ["-" if (r := x.rate(mac)) is None else f"{r:.3f}" for mac in (x.mac_j, x.once_j)]
        numbers = [f"{1e3 * x.mac_j:.3f}", f"{1e3 * x.ac_j:.2f}", *rates]
        lines.append(f"| {x.row} | {1e3 * x.published_j:.3f} | {how} | {' | '.join(numbers)} | {x.verdict} |")
    return "\n".join(lines) + "\n"
