"""Fit and validate the stage `yosys` on our own labels (`datasets/fpga-yosys`), shapes left out."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import shelf
from hwsim.datasets.fpga_yosys import da
from hwsim.datasets.fpga_yosys.design import Design
from hwsim.datasets.fpga_yosys.statistics import of_matrices, rom_statistics
from hwsim.errors import DataMissing
from hwsim.targets.fpga.calibrate import fitting
from hwsim.targets.fpga.stages import yosys
from hwsim.targets.fpga.stages.yosys import CircuitColumns

METRICS = ("cycles", "interval", "dsp", "bram18", "ff", "lut")
FITTED = {"ff": yosys.ff_features, "lut": yosys.lut_features}
STATISTICS = (
    "zeros_frac",
    "single_frac",
    "digits_mean",
    "digits_max",
    "digits_out_max",
    "sum_bits",
    "terms_max",
    "odd_constants",
    "product_adders",
    "sum_adders",
)
Part = Mapping[str, float]


@dataclass(frozen=True)
class Labels:
    """Labelled designs."""

    columns: CircuitColumns
    """A row a circuit; the layers of a network are rows of their own."""
    design: np.ndarray
    """Design that a row belongs to."""
    template: np.ndarray
    family: np.ndarray
    shape: np.ndarray
    """`n_in x n_out` of each design, hidden layers between."""
    measured: Mapping[str, np.ndarray]

    def total(self, values: Any) -> np.ndarray:
        """Sums of rows by design."""
        rows = np.broadcast_to(np.asarray(values, dtype=float), self.design.shape)
        return np.bincount(self.design, weights=rows, minlength=len(self.template))

    def largest(self, values: Any) -> np.ndarray:
        """Largest of the rows of each design."""
        found = np.zeros(len(self.template))
        np.maximum.at(found, self.design, values)
        return found


def csv_path() -> Path:
    """The labels on the shelf.

    Raises:
        DataMissing: they are not there.
    """
    path = shelf.checkout("datasets") / "fpga-yosys" / "designs.csv"
    if not path.exists():
        raise DataMissing(f"no labels at {str(path)!r}; build them with `hwsim datasets build fpga-yosys`")
    return path


@cache
def load() -> Labels:
    """All labels of the shelf.

    Raises:
        DataMissing: they are not there.
    """
    with csv_path().open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    listed = [parts(design_of(row), family=row["family"]) for row in rows]
    return Labels(
        columns=columns([part for found in listed for part in found]),
        design=np.repeat(np.arange(len(rows)), [len(found) for found in listed]),
        template=np.array([r["template"] for r in rows]),
        family=np.array([r["family"] for r in rows]),
        shape=np.array(["x".join(filter(None, (r["n_in"], r["hidden"], r["n_out"]))) for r in rows]),
        measured={m: np.array([float(r[m]) for r in rows]) for m in METRICS},
    )


def design_of(row: Mapping[str, str]) -> Design:
    """The design of a line of the table."""
    kinds = {f.name: f.type for f in fields(Design)}
    values: dict[str, Any] = {}
    for name, kind in kinds.items():
        text = row[name]
        if name == "hidden":
            values[name] = tuple(int(n) for n in text.split("-") if n)
        else:
            values[name] = {"int": int, "float": float, "bool": lambda t: t == "1", "str": str}[str(kind)](text)
    return Design(**values)


def parts(design: Design, *, family: str) -> list[Part]:
    """Columns of the circuits of a design by name: one, or one a layer of a network."""
    d = design
    common = {
        "template": yosys.TEMPLATES.index("dense_da" if d.template.endswith("_da") else d.template),
        "input_bits": d.input_bits, "weight_bits": d.weight_bits, "reuse": d.reuse, "acc_bits": d.acc_bits, "relu": d.relu,
        "block": d.rom_style == "block", "dsp": d.multiplier == "dsp", "packed": family == "xc7", "kernel": d.kernel,
        "rows": d.kernel if d.template == "conv2d" else 1, "channels": d.channels, "height": d.height, "width": d.width,
    }  # fmt: skip
    if d.template.endswith("_da"):
        return [_layer(common, w, hidden=n < len(d.hidden), later=n > 0) for n, (w, _) in enumerate(da.layers(d))]
    if d.template in ("table", "relu", "add", "maxpool"):
        return [
            {
                **common,
                "n_in": d.n_in,
                "n_out": d.n_out,
                "hidden": 0,
                "later": 0,
                **dict.fromkeys((*STATISTICS, "rom_bits", "rom_columns"), 0.0),
            }
        ]
    rom = rom_statistics(d) if d.reuse > 1 else {}
    return [{**_layer(common, d.weights), **rom}]


def _layer(common: Part, weights: np.ndarray, *, hidden: bool = False, later: bool = False) -> Part:
    found = of_matrices([weights])
    sizes = {
        "n_in": weights.shape[0],
        "n_out": weights.shape[1],
        "hidden": float(hidden),
        "later": float(later),
        "rom_bits": 0.0,
        "rom_columns": 0.0,
    }
    return {**common, **sizes, **{k: found[k] for k in STATISTICS}}


def columns(rows: Sequence[Part]) -> CircuitColumns:
    """Columns from rows."""
    return CircuitColumns(**{f.name: np.array([float(r[f.name]) for r in rows]) for f in fields(CircuitColumns)})


def exact(labels: Labels) -> dict[str, np.ndarray]:
    """What follows from structure alone, by design."""
    c = labels.columns
    return {
        "cycles": labels.total(yosys.cycles(c)),
        "interval": labels.largest(yosys.interval(c)),
        "dsp": labels.total(yosys.dsp(c)),
        "bram18": labels.total(yosys.bram18(c)),
    }


def features(labels: Labels, metric: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Features with a coefficient, and the part that needs none, by design."""
    found = FITTED[metric](labels.columns)
    fixed = sum((labels.total(v) for k, v in found.items() if k.endswith(".exact")), start=np.zeros(len(labels.template)))
    return {k: labels.total(v) for k, v in found.items() if not k.endswith(".exact")}, fixed


def fit(labels: Labels, metric: str, chosen: np.ndarray) -> dict[str, float]:
    """Coefficients `<metric>.<feature>`, none below 0, of least relative error over the designs where `chosen`."""
    from scipy.optimize import nnls

    loose, fixed = features(labels, metric)
    measured = labels.measured[metric]
    matrix = np.stack(list(loose.values()), axis=1)[chosen]
    scale = np.maximum(np.abs(matrix).max(axis=0), 1e-12)
    weight = 1.0 / (measured[chosen] + fitting.FLOOR)
    found, _ = nnls(matrix / scale * weight[:, None], (measured - fixed)[chosen] * weight)
    return {f"{metric}.{name}": float(v) for name, v in zip(loose, found / scale, strict=True) if v > 0}


def predict(labels: Labels, metric: str, constants: Mapping[str, float]) -> np.ndarray:
    """Predicted LUT or FF of every design."""
    return labels.total(yosys.counted(FITTED[metric](labels.columns), constants, prefix=metric))


def left_out(labels: Labels, metric: str) -> np.ndarray:
    """Predictions from fits that did not see the shape of a design."""
    return fitting.left_out(
        len(labels.template), labels.shape.tolist(), lambda seen: predict(labels, metric, fit(labels, metric, seen)), count=10
    )


def validation_rows() -> dict[str, np.ndarray]:
    """Every design predicted with coefficients fitted without its shape; `device` is the template, `group` the metric.

    Raises:
        DataMissing: the labels are not on the shelf.
    """
    labels = load()
    predicted = {**exact(labels), **{m: left_out(labels, m) for m in FITTED}}
    return _joined(
        {"device": labels.template, "group": np.full(len(labels.template), m), "measured": labels.measured[m], "predicted": predicted[m]}
        for m in METRICS
    )


def _joined(found: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    listed = list(found)
    return {key: np.concatenate([part[key] for part in listed]) for key in listed[0]}


def write() -> Path:
    """Fit on all designs and write `targets/fpga/fitted/yosys.yaml`."""
    labels = load()
    everything = np.ones(len(labels.template), dtype=bool)
    values = {k: v for metric in FITTED for k, v in fit(labels, metric, everything).items()}
    errors = {m: fitting.smape(labels.measured[m], left_out(labels, m)) for m in FITTED}
    source = (
        f"non-negative least relative error on {len(everything)} of our own designs (datasets/fpga-yosys); "
        f"SMAPE with the shape left out: LUT {errors['lut']:.1f} %, FF {errors['ff']:.1f} %"
    )
    lines = ["# Written by `hwsim calibrate fpga`; do not edit.", "name: yosys", "sources:", f'  fit: "{source}"', "constants:"]
    lines += [f"  {key}: {{value: {value:.5g}, source: fit, status: fitted}}" for key, value in values.items()]
    path = shelf.checkout("targets") / "fpga" / "fitted" / "yosys.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    shelf.fitted.cache_clear()
    return path


if __name__ == "__main__":
    write()
