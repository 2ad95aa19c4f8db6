"""Networks that somebody deployed, each left out by design, before and after synthesis; and what surrogates call unlike their training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from hwsim.datasets.hls_cnn_designs import kebl, tutorial
from hwsim.datasets.hls_designs import Design, _config, dense1
from hwsim.surrogates.corrected import summary
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.training import corrected, fpga
from hwsim.surrogates.training.corrected import CorrectedRecipe
from hwsim.surrogates.training.fpga import LABELS, Lowered
from hwsim.surrogates.training.fpga_feasibility import auroc
from hwsim.surrogates.training.fpga_suite import HEADS, LEARNERS, SHOWN, Learner, available, scores
from hwsim.surrogates.training.left_out import folds
from hwsim.targets.fpga.calibrate import suites, synthesis
from hwsim.targets.fpga.learned import METRICS

EVERY = 6
"""One of so many single dense layers stands beside the networks in training."""
RECIPE = CorrectedRecipe(choices=("none", "forest-ratio", "smooth-ratio"), trees=20)
Values = Mapping[str, np.ndarray]


def ours(train: Graphs, groups: np.ndarray, asked: Graphs, seed: int) -> np.ndarray:
    """Corrected closed form, of fewer choices than where there are many rows."""
    columns, found, _ = corrected.fit(train, groups, recipe=RECIPE, seed=seed)
    return corrected.predict(asked, columns, found)


@cache
def _around() -> tuple[Lowered, ...]:
    """Small designs that stand beside the networks in training: single layers of both strategies, hls4ml's tests."""
    single = [*fpga.training_set("dense1").designs[::EVERY], *(fpga.lowered(d) for d in dense1("latency")[0])]
    return (*single, *fpga.training_set("tests").designs)


def _before(group: str) -> tuple[Graphs, np.ndarray, Graphs]:
    """(training part, its groups, asked part) before synthesis, a network left out."""
    given = fpga.training_set("real").designs
    own = tuple(one for one in given if one.design.group == group)
    others = (*(one for one in given if one.design.group != group), *_around())
    constants = suites.without(group.__eq__)
    return fpga.graphs(others, constants), np.array([one.design.group for one in others]), fpga.graphs(own, constants)


@cache
def _later() -> tuple[Lowered, ...]:
    """Designs with a report after synthesis."""
    return tuple(fpga.lowered(d) for d in (*kebl(), *tutorial()) if d.stage == "vsynth")


def _after(group: str) -> tuple[Graphs, np.ndarray, Graphs]:
    """The same after synthesis: constants of C synthesis and corrections of them, both without the network."""
    base = suites.without(group.__eq__)
    others, own = ([one for one in _later() if (one.design.group == group) == chosen] for chosen in (False, True))
    scales = synthesis.fit_scales([one.design for one in others], base)
    constants = {**base, **synthesis.FIXED}
    parts = [_rescaled(fpga.graphs(part, constants), part, scales) for part in (others, own)]
    return parts[0], np.array([one.design.group for one in others]), parts[1]


def _rescaled(graphs: Graphs, designs: Sequence[Lowered], scales: Mapping[str, float]) -> Graphs:
    """LUT and FF of the closed form times what synthesis leaves of them."""
    cost = graphs.cost.copy()
    for metric in ("LUT", "FF"):
        name = metric.lower()
        by = [scales.get(f"scale.{synthesis.branch_of(one.design)}.{name}", scales[f"scale.{name}"]) for one in designs]
        cost[:, METRICS.index(name)] *= np.array(by)[graphs.owner]
    return replace(graphs, cost=cost)


def from_csynth(group: str) -> dict[str, np.ndarray]:
    """After synthesis by the tool's own report before it, times the median of what synthesis leaves in other networks; by metric."""
    reports = {(d.group, d.name): d.totals for d in (*kebl(), *tutorial()) if d.stage == "csynth"}
    pairs = [(one.design, reports.get((one.design.group, one.design.name))) for one in _later()]
    found = {}
    for name in ("BRAM18", "DSP", "FF", "LUT"):
        ratios = [d.totals[name] / max(before[name], 1.0) for d, before in pairs if before is not None and d.group != group]
        ratio = float(np.median(ratios)) if ratios else float("nan")
        found[LABELS[name]] = np.array([float("nan") if b is None else b[name] * ratio for d, b in pairs if d.group == group])
    return found


METHODS: Mapping[str, Learner] = {name: learn for name, (learn, _) in LEARNERS.items() if name in ("closed form", "ExtraTrees", "LightGBM")}
OURS = "ours: corrected closed form"


@cache
def judged(when: str, method: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(measured, predicted, source) of every network `before` or `after` synthesis by a method that did not see it."""
    make: Callable[[str], Any] = _before if when == "before" else _after
    designs = fpga.training_set("real").designs if when == "before" else _later()
    groups = np.array([one.design.group for one in designs])
    measured, found = (np.full((len(groups), len(METRICS)), np.nan) for _ in range(2))
    for group in np.unique(groups):
        train, names, asked = make(group)
        measured[groups == group] = asked.measured
        if method == "csynth report":
            for metric, values in from_csynth(group).items():
                found[groups == group, METRICS.index(metric)] = values
        else:
            found[groups == group] = (ours if method == OURS else METHODS[method])(train, names, asked, 0)
    return measured, found, np.array([one.design.source for one in designs])


def real_rows() -> dict[str, np.ndarray]:
    """Every network and metric by ours."""
    parts = []
    for when in ("before", "after"):
        measured, found, sources = judged(when, OURS)
        for at, metric in enumerate(METRICS):
            kept = np.isfinite(measured[:, at])
            unit = {"device": np.char.add(f"{when} synthesis, ", sources[kept]), "group": np.full(int(kept.sum()), metric)}
            parts.append({**unit, "measured": measured[kept, at], "predicted": found[kept, at]})
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def real_text() -> str:
    """SMAPE by source and method, before and after synthesis; AUROC of the in-domain score."""
    lines = [_NOTE]
    for when, title in (("before", "C synthesis"), ("after", "Logic synthesis")):
        names = [*(name for name in METHODS if name in available()), OURS, *(["csynth report"] if when == "after" else [])]
        lines += ["", f"## {title}: SMAPE, %", "", "| networks | n | method | " + " | ".join(HEADS) + " |"]
        lines.append("|---|---:|---|" + "---:|" * len(HEADS))
        for source in np.unique(judged(when, OURS)[2]):
            for name in names:
                measured, found, sources = judged(when, name)
                rows = sources == source
                cells = [_cell(measured[rows, METRICS.index(m)], found[rows, METRICS.index(m)]) for m in SHOWN]
                lines.append(f"| {source} | {rows.sum()} | {name.removeprefix('ours: ')} | " + " | ".join(cells) + " |")
    lines += ["", "## In-domain score", "", _APART, "", "| unlike | n | AUROC |", "|---|---:|---:|"]
    return "\n".join([*lines, *(f"| {name} | {n} | {area:.3f} |" for name, (n, area) in apart().items())])


def _cell(measured: np.ndarray, found: np.ndarray) -> str:
    kept = np.isfinite(measured) & np.isfinite(found)
    return f"{scores(measured[kept], found[kept]).smape:.1f}" if kept.any() else "-"


def apart() -> dict[str, tuple[int, float]]:
    """(designs, AUROC) by kind of design that single dense layers do not show: how well the score tells them from left-out layers."""
    given = fpga.training_set("dense1")
    data = fpga.graphs(given.designs)
    parts, inside = folds(given.architectures, count=5), np.empty(len(data))
    for part in range(5):
        model = corrected.nearby(data.take(np.flatnonzero(parts != part)), given.architectures[parts != part])
        inside[parts == part] = model.inside(summary(data.take(np.flatnonzero(parts == part))))
    model = corrected.nearby(data, given.architectures)
    found = {}
    for name, designs in unlike().items():
        other = model.inside(summary(fpga.graphs(designs)))
        found[name] = (len(other), auroc(np.repeat([True, False], [len(inside), len(other)]), np.concatenate([inside, other])))
    return found


def unlike() -> dict[str, tuple[Lowered, ...]]:
    """Designs of kinds that single dense layers under the resource strategy do not show."""
    nets = fpga.training_set("real").designs
    deeper = [replace(one.design, stage="csynth") for one in fpga.training_set("dense2").designs[::4]]
    return {
        "streaming CNNs": tuple(one for one in nets if one.design.source in ("kebl", "tutorial")),
        "MLPs under the latency strategy": tuple(one for one in nets if one.design.source == "argykokk"),
        "two layers": tuple(fpga.lowered(d) for d in deeper),
        "weights of 18 and 24 bits": tuple(fpga.lowered(_wider(one.design, bits)) for bits in (18, 24) for one in _some()),
    }


def _some() -> Sequence[Lowered]:
    return fpga.training_set("dense1").designs[::20]


def _wider(design: Design, bits: int) -> Design:
    weights, model = f"ap_fixed<{bits},1>", design.options["hls_config"]["Model"]
    precision = {"default": "ap_fixed<16,6>", "weight": weights, "bias": weights}
    return replace(design, options={"hls_config": _config(precision, model["ReuseFactor"], "resource")})


_NOTE = (
    "Each network is left out of the closed form's fit and of training; beside the other networks training has single dense layers of "
    "both strategies and hls4ml's own tests (before synthesis). *csynth report*: the tool's own report before synthesis times the median "
    "of what synthesis leaves in the other networks, which needs a run of the tool. Few designs of few networks: a hint, no more."
)
_APART = (
    "Of a surrogate of single dense layers under the resource strategy (2 to 14 bits): AUROC of its in-domain score between left-out "
    "layers and designs of kinds that it was not trained on."
)
