"""The closed form beside the simulator: the same networks, the same cores, fed with what each layer was seen to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import numpy as np

from hwsim.datasets.sanafe import export
from hwsim.datasets.sanafe.design import Design, designs, size
from hwsim.datasets.sanafe.run import interpreter, run
from hwsim.targets.neuromorphic.cost import program_cost
from hwsim.targets.neuromorphic.device import NeuroDevice
from hwsim.targets.neuromorphic.lower import lower
from hwsim.targets.neuromorphic.mapping import NeuroMapping
from hwsim.targets.neuromorphic.statistics import Statistics

CHIP = "loihi1"
SEED = 7
NETWORKS = 20
QUIET = 2e-3
"""Networks with a layer that fires less than so often are passed over: nothing happens behind it."""
QUANTITIES = ("energy", "synapse energy", "soma energy", "network energy", "time")


@dataclass(frozen=True)
class Labelled:
    """A design and what the simulator said of it."""

    design: Design
    cores: tuple[int, ...]
    """Of each population, the input's first."""
    out: dict[str, Any]
    """What the driver wrote."""

    @property
    def sizes(self) -> list[int]:
        """Neurons of each population."""
        return [size(self.design.shape), *(size(layer.shape_out) for layer in self.design.layers)]

    @property
    def fired(self) -> np.ndarray:
        """Share of the neurons that fired, shape `(timesteps, populations)`."""
        counts = [[step["fired"].get(f"lif{i}", 0) for i in range(len(self.sizes))] for step in self.out["by_group"]]
        return np.array(counts) / np.array(self.sizes)

    @property
    def measured(self) -> dict[str, float]:
        """Joules and seconds of the run, by `QUANTITIES`."""
        names = ("total_energy", "synapse_energy", "soma_energy", "network_energy", "sim_time")
        return {quantity: float(sum(self.out[name])) for quantity, name in zip(QUANTITIES, names, strict=True)}

    def predicted(self, device: NeuroDevice, *, steps: bool = True) -> dict[str, float]:
        """The closed form with the cores and firing rates of each layer; those of each timestep, or means."""
        fired = self.fired if steps else np.mean(self.fired, axis=0, keepdims=True)
        known = {f"lif{i}": {"fired": fired[:, i], "cores": np.array([float(n)])} for i, n in enumerate(self.cores)}
        mapping = NeuroMapping.of(layers=Statistics(known, self.design.name), split=self.design.split)
        found = program_cost(lower(self.design.graph(), mapping), device=device, mapping=mapping)
        parts = [float(found.extra[f"{name}_j"]) for name in ("synapse", "soma", "network")]
        return dict(zip(QUANTITIES, (sum(parts), *parts, float(found.latency_s)), strict=True))


def chip_of(design: Design) -> NeuroDevice:
    """Loihi with the cores that the design asks for, no host and nothing that flows anyway."""
    return NeuroDevice.from_shelf(CHIP).with_overrides({"neurons_per_core": float(design.neurons_per_core), "static_w": 0.0})


def allocated(design: Design, device: NeuroDevice) -> tuple[int, ...]:
    """Cores of each population as hwsim divides them."""
    mapping = NeuroMapping.of(split=design.split)
    found = program_cost(lower(design.graph(), mapping), device=device, mapping=mapping)
    return tuple(int(n) for n in np.asarray(found.row_resources["cores"]))


def placed(seed: int) -> Iterator[tuple[Design, tuple[int, ...]]]:
    """Designs that fit on the chip, with their cores."""
    for design in designs(seed):
        device = chip_of(design)
        cores = allocated(design, device)
        if sum(cores) <= float(device.core_count):
            yield design, cores


def label(design: Design, cores: Sequence[int], *, python: str) -> Labelled:
    """Run a design.

    Raises:
        RunFailed: the simulator refused it.
    """
    job = export.job(design, cores=cores, chip_path="")
    return Labelled(design, tuple(cores), run(job, chip=export.chip(chip_of(design)), python=python))


@cache
def networks() -> tuple[Labelled, ...]:
    """The first networks of the list in which every layer fires.

    Raises:
        DataMissing: there is no simulator.
    """
    python = interpreter()
    alive = (found for d, cores in placed(SEED) if np.min(np.mean((found := label(d, cores, python=python)).fired, axis=0)) >= QUIET)
    return tuple(islice(alive, NETWORKS))


def validation_rows() -> dict[str, Any]:
    """Energy, its parts and simple time of random networks, from the rates of each layer in each timestep.

    Raises:
        DataMissing: there is no simulator.
    """
    rows = [
        (CHIP, name, value, guess)
        for found in networks()
        for (name, value), guess in zip(found.measured.items(), _guessed(found), strict=True)
    ]
    device, group, measured, predicted = (np.array(column) for column in zip(*rows, strict=True))
    return {"device": device, "group": group, "measured": measured.astype(float), "predicted": predicted.astype(float)}


def _guessed(found: Labelled, *, steps: bool = True) -> list[float]:
    predicted = found.predicted(chip_of(found.design), steps=steps)
    return [predicted[name] for name in found.measured]


def errors(*, steps: bool) -> np.ndarray:
    """Relative errors of every network, shape `(networks, quantities)`."""
    return np.array([np.array(_guessed(found, steps=steps)) / list(found.measured.values()) - 1 for found in networks()])


def detail() -> str:
    """Error of each network, and what mean rates alone would give, as tables.

    Raises:
        DataMissing: there is no simulator.
    """
    head = " | ".join(f"{name} %" for name in QUANTITIES)
    rule = "---:|" * len(QUANTITIES)
    lines = [
        f"Networks: the first {NETWORKS} of seed {SEED} in which every layer fires, run live in SANA-FE {networks()[0].out['version']};",
        "cores as hwsim divides them. The closed form is fed with the share of the neurons of each layer that fired in each timestep.",
        "",
        f"| network | cores | split | {head} |",
        f"|---|---:|---|{rule}",
    ]
    exact = errors(steps=True)
    for found, row in zip(networks(), exact, strict=True):
        lines.append(f"| {found.design.name} | {sum(found.cores)} | {found.design.split} | {_cells(row, '+.2f')} |")
    lines += [
        "",
        "Absolute errors, and those from mean rates of layers alone, which know nothing of bursts:",
        "",
        f"| fed with | | {head} |",
    ]
    lines.append(f"|---|---|{rule}")
    for fed, table in (("rates by layer and timestep", exact), ("mean rates by layer", errors(steps=False))):
        for word, statistic in (("median", np.median), ("worst", np.max)):
            lines.append(f"| {fed} | {word} | {_cells(statistic(np.abs(table), axis=0), '.2f')} |")
    return "\n".join(lines)


def _cells(row: np.ndarray, form: str) -> str:
    return " | ".join(format(100 * value, form) for value in row)
