"""Mapping choices of the neuromorphic family."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from hwsim.arrays import Array
from hwsim.errors import InputError, UnknownName
from hwsim.rates import DEFAULT, Rates
from hwsim.targets.neuromorphic.statistics import Statistics

SPLITS = ("rows", "channels", "even")
"""How an image is divided among cores."""


@dataclass(frozen=True)
class NeuroMapping:
    """How a spiking network is run on a chip."""

    timesteps: int | None = None
    """Timesteps an inference; None takes those of the network, else 1."""
    firing_rate: Array = DEFAULT
    """Spikes a neuron and timestep where neither a file nor the network says; in a sweep `(points, 1)` overrides all."""
    rates: str | None = None
    """Path of a file with firing rates by layer (CSV or JSON)."""
    layers: str | Statistics | None = None
    """What was observed or decided layer by layer, or the path of it (CSV): cores, and the activity of each timestep."""
    split: str = "rows"
    """What of an image a core holds: some `rows`, some `channels`, or an `even` part of everything."""

    def __post_init__(self) -> None:
        if self.timesteps is not None and (self.timesteps < 1 or self.timesteps != int(self.timesteps)):
            raise InputError(f"timesteps is {self.timesteps!r}; expected a whole number of at least 1")
        if isinstance(self.firing_rate, int | float) and not 0 <= self.firing_rate <= 1:
            raise InputError(f"firing_rate is {self.firing_rate!r}; expected 0 to 1 (spikes a neuron and timestep)")
        if self.split not in SPLITS:
            raise UnknownName("split of a population", self.split, SPLITS)

    @classmethod
    def of(cls, **options: Any) -> NeuroMapping:
        """From plain options; those that are None take the default.

        Raises:
            UnknownName: an option that does not exist.
            InputError: a value out of range.
        """
        known = [f.name for f in fields(cls)]
        for name in options:
            if name not in known:
                raise UnknownName("mapping option of a neuromorphic chip", name, known)
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        if "rates" in given:
            given["rates"] = str(given["rates"])
        if "layers" in given and not isinstance(given["layers"], Statistics):
            given["layers"] = str(given["layers"])
        return cls(**given)

    @property
    def statistics(self) -> Statistics | None:
        """What is known of single layers, or None.

        Raises:
            InputError: the file cannot be read.
        """
        return Statistics.read(self.layers) if isinstance(self.layers, str) else self.layers

    @property
    def file(self) -> Rates:
        """The rates of the file, or none.

        Raises:
            InputError: the file cannot be read.
        """
        default = float(self.firing_rate) if isinstance(self.firing_rate, int | float) else DEFAULT
        return Rates(default=default) if self.rates is None else Rates.read(self.rates)
