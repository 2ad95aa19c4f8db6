"""What learned methods train on and answer: many networks as rows of features and closed-form costs, with edges between rows.

One layout for every family: rows of all networks stand one after the other, identical kernels share a row with a count, and each metric
says how rows make a network (`sum` of times, energies and resources, `max` of intervals of pipelines). numpy alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import InputError, UnknownName

READOUTS = {"sum": np.add, "max": np.maximum}
"""How rows make a network."""
ARRAYS = ("features", "cost", "floor", "start", "edges", "rest", "least", "measured")
SCHEMA = 1
"""Version of the file that `Graphs.save` writes; another one is refused."""


@dataclass(frozen=True)
class Graphs:
    """Networks, each a run of consecutive rows; R rows, N networks, F features, M metrics, E edges.

    Raises:
        InputError: shapes that do not fit each other, a network without rows, an unknown readout.
    """

    features: np.ndarray
    """Shape `(R, F)`, float32."""
    cost: np.ndarray
    """Closed form of each row times its count, shape `(R, M)`, in the unit of `measured`."""
    floor: np.ndarray
    """Least that each row may take by physics, times its count, shape `(R, M)`."""
    start: np.ndarray
    """First row of each network and the end, shape `(N + 1,)`."""
    edges: np.ndarray
    """From row to row, as positions among all rows, network after network, shape `(2, E)`."""
    rest: np.ndarray
    """What a network costs beside its rows (hand-overs between layers), shape `(N, M)`."""
    least: np.ndarray
    """Least that a network takes whatever its rows do (the host that launches them), shape `(N, M)`."""
    measured: np.ndarray
    """Of the whole network, shape `(N, M)`; not a number where a metric was not measured."""
    feature_names: tuple[str, ...]
    metrics: tuple[str, ...]
    """Names with the unit behind: `latency_s`, `energy_j`, `lut`, `interval_cycles` ..."""
    readout: tuple[str, ...]
    """`sum` or `max` of each metric."""
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Text of each network by name (device, model, family, runtime ...), shape `(N,)` each."""

    def __post_init__(self) -> None:
        rows, networks, metrics = len(self.features), len(self.start) - 1, len(self.metrics)
        expected = {
            "features": (rows, len(self.feature_names)),
            **dict.fromkeys(("cost", "floor"), (rows, metrics)),
            **dict.fromkeys(("rest", "least", "measured"), (networks, metrics)),
            "edges": (2, self.edges.shape[-1]),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise InputError(f"graphs: {name} has shape {getattr(self, name).shape}; expected {shape}")
        if networks < 0 or self.start[0] != 0 or self.start[-1] != rows or np.any(np.diff(self.start) < 1):
            raise InputError(f"graphs: `start` must rise from 0 to {rows}, the number of rows, with a row or more for each network")
        for name in self.readout:
            if name not in READOUTS:
                raise UnknownName("readout", name, READOUTS)
        if len(self.readout) != metrics or any(len(v) != networks for v in self.labels.values()):
            raise InputError(f"graphs: expected {metrics} readouts and labels of {networks} networks")

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def sizes(self) -> np.ndarray:
        """Rows of each network, shape `(N,)`."""
        return np.diff(self.start)

    @cached_property
    def owner(self) -> np.ndarray:
        """Network of each row, shape `(R,)`."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @cached_property
    def edge_start(self) -> np.ndarray:
        """First edge of each network and the end, shape `(N + 1,)`."""
        return np.searchsorted(self.owner[self.edges[0]], np.arange(len(self) + 1))

    @property
    def closed_form(self) -> np.ndarray:
        """Closed-form cost of each network, shape `(N, M)`."""
        return self.total(self.cost)

    def total(self, cost: np.ndarray) -> np.ndarray:
        """Cost of each network, shape `(N, M)`, from a cost of each row, shape `(R, M)`."""
        columns = zip(self.readout, np.ascontiguousarray(cost.T), strict=True)
        return np.stack([READOUTS[how].reduceat(column, self.start[:-1]) for how, column in columns], axis=1) + self.rest

    def rows(self, chosen: np.ndarray) -> np.ndarray:
        """Rows of these networks, one network after the other."""
        return runs(self.start, chosen)

    def take(self, chosen: np.ndarray) -> Graphs:
        """Only these networks, in this order; an index may stand twice."""
        chosen = np.asarray(chosen, dtype=np.intp)
        rows, sizes, held = self.rows(chosen), self.sizes[chosen], runs(self.edge_start, chosen)
        start = np.concatenate([[0], np.cumsum(sizes)])
        moved = np.repeat(start[:-1] - self.start[:-1][chosen], np.diff(self.edge_start)[chosen])
        by_row = {name: getattr(self, name)[rows] for name in ("features", "cost", "floor")}
        by_network = {name: getattr(self, name)[chosen] for name in ("rest", "least", "measured")}
        labels = {name: values[chosen] for name, values in self.labels.items()}
        return replace(self, **by_row, **by_network, start=start, edges=self.edges[:, held] + moved, labels=labels)

    def only(self, metrics: Sequence[str]) -> Graphs:
        """These metrics, in this order.

        Raises:
            UnknownName: no such metric.
        """
        for name in metrics:
            if name not in self.metrics:
                raise UnknownName("metric", name, self.metrics)
        at = [self.metrics.index(name) for name in metrics]
        columns = {name: getattr(self, name)[:, at] for name in ("cost", "floor", "rest", "least", "measured")}
        return replace(self, **columns, metrics=tuple(metrics), readout=tuple(self.readout[i] for i in at))

    def metric(self, name: str) -> Graphs:
        """One metric, and only the networks for which it was measured.

        Raises:
            UnknownName: no such metric.
        """
        one = self.only((name,))
        known = np.flatnonzero(~np.isnan(one.measured[:, 0]))
        return one if len(known) == len(one) else one.take(known)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file: arrays as they are, labels as numbers of texts that its JSON header lists; complete or absent."""
        from safetensors.numpy import save_file

        coded = {name: np.unique(values.astype(str), return_inverse=True) for name, values in self.labels.items()}
        held = {name: np.ascontiguousarray(getattr(self, name)) for name in ARRAYS}
        held |= {f"label.{name}": codes.astype(np.int32) for name, (_, codes) in coded.items()}
        header: dict[str, Any] = {name: list(getattr(self, name)) for name in ("feature_names", "metrics", "readout")}
        header |= {"schema": SCHEMA, "labels": {name: texts.tolist() for name, (texts, _) in coded.items()}}
        part = Path(f"{path}.part")
        save_file(held, part, metadata={"graphs": json.dumps(header)})
        part.chmod(0o644)
        part.replace(path)

    @classmethod
    def read(cls, path: str | Path) -> Graphs:
        """What `save` wrote.

        Raises:
            InputError: no such file, or one that something else wrote.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="np") as file:
                header = json.loads((file.metadata() or {}).get("graphs", "{}"))
                if header.get("schema") != SCHEMA:
                    raise InputError(f"{path}: found no graphs of schema {SCHEMA}; expected what `Graphs.save` of this version writes")
                arrays: dict[str, Any] = {name: file.get_tensor(name) for name in ARRAYS}
                labels = {name: np.array(texts, dtype=str)[file.get_tensor(f"label.{name}")] for name, texts in header["labels"].items()}
                names: dict[str, Any] = {name: tuple(header[name]) for name in ("feature_names", "metrics", "readout")}
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path}: cannot be read as graphs ({error})") from None
        return cls(**arrays, labels=labels, **names)


def runs(start: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Positions of the chosen runs of consecutive items, one run after the other.

    Args:
        start: first item of each run and the end, shape `(runs + 1,)`.
        chosen: runs by number.
    """
    sizes = np.diff(start)[chosen]
    shift = np.repeat(start[:-1][chosen] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes) if len(sizes) else sizes
    return shift + np.arange(len(shift))


def concatenated(parts: Sequence[Graphs]) -> Graphs:
    """Networks of all parts, in order; labels that every part has.

    Raises:
        InputError: no parts, or parts whose features, metrics or readouts differ.
    """
    if not parts:
        raise InputError("found no graphs; expected one part or more")
    for name in ("feature_names", "metrics", "readout"):
        if len({getattr(part, name) for part in parts}) > 1:
            raise InputError(f"parts of graphs differ in their {name}; expected the same in each")
    first = np.concatenate([[0], np.cumsum([len(part.features) for part in parts])])
    arrays = {
        name: np.concatenate([getattr(p, name) for p in parts]) for name in ("features", "cost", "floor", "rest", "least", "measured")
    }
    start = np.concatenate([[0], *(part.start[1:] + at for part, at in zip(parts, first, strict=False))])
    edges = np.concatenate([part.edges + at for part, at in zip(parts, first, strict=False)], axis=1)
    shared = [name for name in parts[0].labels if all(name in part.labels for part in parts)]
    labels = {name: np.concatenate([part.labels[name] for part in parts]) for name in shared}
    return replace(parts[0], **arrays, start=start, edges=edges, labels=labels)
