"""From a surrogate and a few measurements on another device to a surrogate of that device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import plugins
from hwsim.errors import InputError
from hwsim.surrogates import store
from hwsim.surrogates.domain import Domain
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.methods import trained
from hwsim.surrogates.metrics import offset
from hwsim.surrogates.networks.recipes import Factored
from hwsim.surrogates.store import Stored
from hwsim.surrogates.training.default import CHOICES
from hwsim.surrogates.training.left_out import error_table, folds
from hwsim.surrogates.training.lowered import Lowered, from_dataset
from hwsim.surrogates.training.residual import SEEN, seen
from hwsim.surrogates.tuning import Correction, TunableRows, log_totals, tuned

Tell = Callable[[str], None]
FEWEST = 3
"""Networks that a device needs."""
FOLDS = 20
"""Parts that more networks are dealt into, to judge; fewer are left out one by one."""


@dataclass(frozen=True)
class Start(TunableRows):
    """Networks that were measured, and what a surrogate says of their rows."""

    @property
    def names(self) -> np.ndarray:
        """Networks that are left out together: those of one architecture, or each by itself where there are too few of them."""
        labels = self.graphs.labels["architecture"]
        return labels if len(set(labels.tolist())) >= FEWEST else np.arange(len(labels))

    def correction(self, chosen: np.ndarray | None = None) -> Correction:
        """What these networks teach, all by default."""
        some = self if chosen is None else self.take(chosen)
        given = {"mean": self.mean, "scale": self.scale, "groups": some.names}
        return tuned(some.graphs, some.factor, **given)

    def take(self, chosen: np.ndarray) -> Start:
        """Only these networks."""
        return replace(self, graphs=self.graphs.take(chosen), factor=self.factor[self.graphs.rows(chosen)], spread=self.spread[chosen])

    def predicted(self, correction: Correction | None = None) -> np.ndarray:
        """Costs of the networks, shape `(networks, metrics)`."""
        shift = 0.0 if correction is None else correction(self.graphs.features)
        return np.exp(log_totals(self.graphs, self.factor + shift)) - [offset(name) for name in self.graphs.metrics]

    def judged(self) -> np.ndarray:
        """Costs of the networks, each from what the others taught; shape `(networks, metrics)`."""
        names = self.names
        fold = folds(names, count=FOLDS if len(set(names.tolist())) > FOLDS else 0)
        found = np.empty(self.graphs.measured.shape)
        for held in np.unique(fold):
            inside = np.flatnonzero(fold == held)
            found[inside] = self.take(inside).predicted(self.correction(np.flatnonzero(fold != held)))
        return found


def start(name: str, graphs: Graphs) -> Start:
    """What the surrogate called `name` says of networks before it is tuned.

    Raises:
        UnknownName: no such surrogate.
        InputError: it cannot be tuned, or predicts none of the metrics.
    """
    stored, model = store.read(name), trained(name)
    if not _tunable(model):
        raise InputError(f"surrogate {name!r} is no sum over rows; those that are, and can be taken to another device: {_fitting()}")
    wanted = _metrics(stored)
    kept = [metric for metric in wanted if metric in graphs.metrics]
    if not kept:
        raise InputError(f"found the metrics {', '.join(graphs.metrics)}; surrogate {name!r} predicts {', '.join(wanted)}")
    return Start(**vars(model.rows(_measured(graphs.only(kept)))))


def _fitting() -> str:
    families = plugins.available("hwsim.targets")
    speaking = [name for name in store.names() if store.read(name).config.get("family") in families]
    return ", ".join(name for name in speaking if _tunable(trained(name))) or "none"


def _measured(graphs: Graphs) -> Graphs:
    """Networks of which any metric was measured."""
    return graphs.take(np.flatnonzero(np.isfinite(graphs.measured).any(axis=1)))


def _tunable(model: Any) -> bool:
    """Whether a surrogate learns factors of rows."""
    return hasattr(model, "rows") and isinstance(getattr(model, "recipe", Factored()), Factored)


def tune(name: str, data: Lowered, *, source: str, called: str, tell: Tell | None = None) -> Stored:
    """The surrogate called `name`, taken to the device of a few measurements.

    Args:
        name: of a surrogate of sums over rows, on the shelf or a folder.
        data: the networks that were measured.
        source: what they are called.
        called: name of the surrogate that is made.

    Raises:
        UnknownName: no such surrogate.
        InputError: it cannot be tuned, it predicts none of the metrics, or fewer than three networks were measured.
    """
    stored, given = store.read(name), start(name, data.graphs)
    if len(given.graphs) < FEWEST:
        raise InputError(f"{source}: found {len(given.graphs)} measured networks; expected {FEWEST} or more, ten for choice")
    count = len(set(given.names.tolist()))
    found, before = given.judged(), given.predicted()
    tables = {metric: _tables(given.graphs, at, found, before) for at, metric in enumerate(given.graphs.metrics)}
    if tell:
        for metric, table in tables.items():
            told = [100 * table[key]["all"]["median_ape"] for key in ("closed_form", "untuned", "intervals")]
            tell(f"{metric}: median error of the closed form {told[0]:.1f} %, of {name} {told[1]:.1f} %, tuned {told[2]:.1f} %")
    first = tables[given.graphs.metrics[0]]
    metrics = {
        "suite": f"{source}, each network left out" if count <= FOLDS else f"{source}, networks left out in {FOLDS} parts",
        "networks": len(given.graphs),
        "intervals": first["intervals"],
        "untrained": first["untuned"],
        "metrics": tables,
    }
    corrected = _whole(given.correction(), given.graphs.metrics, stored)
    weights = {**stored.weights, **corrected.arrays(), **_near(stored, given.graphs), **_keys(stored, given.graphs)}
    config = _config(stored.config, given, name=name, source=source)
    return Stored(called, config, weights, metrics, _card(called, name, config, metrics))


def _tables(graphs: Graphs, at: int, found: np.ndarray, before: np.ndarray) -> dict[str, Any]:
    kept = np.isfinite(graphs.measured[:, at])
    o, groups = offset(graphs.metrics[at]), _groups(graphs)[kept]
    measured = graphs.measured[kept, at] + o
    columns = {"intervals": found[:, at], "untuned": before[:, at], "closed_form": graphs.closed_form[:, at]}
    return {key: error_table(measured, np.maximum(values[kept] + o, 1e-300), groups) for key, values in columns.items()}


def _groups(graphs: Graphs) -> np.ndarray:
    """Device and, where there are runtimes, runtime of each network."""
    parts = [graphs.labels[name].tolist() for name in ("device", "runtime") if name in graphs.labels]
    return np.array(["/".join(names) for names in zip(*parts, strict=True)])


def _whole(correction: Correction, metrics: tuple[str, ...], stored: Stored) -> Correction:
    """With every metric of the surrogate; those that were not measured stay as they are."""
    every = _metrics(stored)
    weights = np.zeros((len(every), correction.weights.shape[1]))
    weights[[every.index(name) for name in metrics]] = correction.weights
    return replace(correction, weights=weights)


def _near(stored: Stored, graphs: Graphs) -> dict[str, np.ndarray]:
    """Limit of the distance to known networks: what was measured counts as known, too."""
    domain = Domain.of(stored.weights)
    if domain is None:
        return {}
    farthest = float(domain.score(graphs.features, graphs.cost, graphs.start).max())
    return {"domain.limit": np.array([max(float(domain.limit[0]), 1.001 * farthest)])}


def _keys(stored: Stored, graphs: Graphs) -> dict[str, np.ndarray]:
    """Keys of the networks of training and of tuning."""
    both = [held[SEEN] for held in (stored.weights, seen(graphs)) if SEEN in held]
    return {SEEN: np.unique(np.concatenate(both))} if both else {}


def _metrics(stored: Stored) -> tuple[str, ...]:
    return tuple(stored.config.get("metrics", ("latency_s",)))


def _config(before: Mapping[str, Any], given: Start, *, name: str, source: str) -> dict[str, Any]:
    labels = given.graphs.labels
    features = given.graphs.features.astype(float)
    config = {key: value for key, value in before.items() if key not in ("schema", "auto")}
    if "range" in before:
        low, high = (np.asarray(before["range"][side]) for side in ("low", "high"))
        wide = np.minimum(low, features.min(axis=0) - 1e-6), np.maximum(high, features.max(axis=0) + 1e-6)
        config["range"] = {side: values.round(6).tolist() for side, values in zip(("low", "high"), wide, strict=True)}
    trusted = {
        **before["trusted"],
        "devices": sorted(set(labels["device"].tolist())),
        "mapping": {option: sorted(set(labels[option].tolist())) for option in CHOICES if option in labels},
    }
    trusted["spread"] = _agreed(trusted["spread"], given, before.get("metrics"))
    return {**config, "trusted": trusted, "tuned": {"from": name, "data": source, "networks": len(given.graphs)}}


def _agreed(limit: Any, given: Start, every: Any) -> Any:
    """Disagreement of the members that is trusted: as before, and what the networks that were measured show; a number for each metric."""
    seen = given.spread.max(axis=0)
    if every is None:
        return round(max(float(limit), float(seen[0])), 6)
    shown = dict(zip(given.graphs.metrics, seen.tolist(), strict=True))
    return [round(max(float(v), shown.get(name, 0.0)), 6) for name, v in zip(every, limit, strict=True)]


def _card(called: str, name: str, config: dict[str, Any], metrics: dict[str, Any]) -> str:
    where = ", ".join(config["trusted"]["devices"])
    lines = [
        f"# {called}",
        "",
        f"{name} taken to {where} by {metrics['networks']:,} measurements ({Path(config['tuned']['data']).name}), for that alone.",
        f"Absolute percentage errors with {metrics['suite'].partition(', ')[2]}; fewer than 9 measurements give no range.",
        "",
        "| | n | median | p90 | range | median before tuning | median closed form |",
        "|---|---:|---:|---:|---|---:|---:|",
    ]
    for metric, tables in metrics["metrics"].items():
        for group, row in tables["intervals"].items():
            if group != "level":
                ratios = [row["low_ratio"], row["high_ratio"]]
                shown = "-" if None in ratios else f"{ratios[0]:.2f} to {ratios[1]:.2f}"
                errors = [row["median_ape"], row["p90_ape"]]
                beside = [tables[key][group]["median_ape"] for key in ("untuned", "closed_form")]
                first, last = (" | ".join(f"{100 * e:.1f}" for e in values) for values in (errors, beside))
                lines.append(f"| {metric}, {group} | {row['n']:,} | {first} | {shown} | {last} |")
    return "\n".join(lines) + "\n"


def from_table(name: str, source: str, *, device: str | None = None, columns: Path | None = None, tell: Tell | None = None) -> Lowered:
    """Networks of a table or data set that a surrogate shall be tuned by.

    Args:
        name: of the surrogate.
        source: a CSV table whose header says what its columns are, a data set by name, or the folder of one.
        device: of every row, by name or YAML file; None where the table says it.
        columns: file that says what the columns of a CSV table are.

    Raises:
        UnknownName: no such surrogate, data set or device.
        InputError: the table cannot be read, or none of its rows.
    """
    from hwsim.datasets.headers import columns_of
    from hwsim.datasets.recipe import read_columns

    family = store.read(name).config["family"]
    target: Any = plugins.load("hwsim.targets", family)
    if device is not None:
        target.device(device)
    meant = read_columns(columns) if columns else columns_of(source, options=target.mapping_options, device=device)
    return from_dataset(source, family=family, columns=meant, tell=tell)
