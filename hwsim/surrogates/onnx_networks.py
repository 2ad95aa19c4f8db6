"""Networks that learn factors of rows as ONNX graphs, written layer by layer from their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsim.errors import InputError
from hwsim.surrogates.networks import LIMIT, arrays, kind_of
from hwsim.surrogates.store import Stored

KINDS = ("additive", "additive-gnn")
"""Kinds of networks that have an ONNX form."""
Weights = Mapping[str, np.ndarray]


def graph_surrogate(build: Any, stored: Stored, surrogate: Any) -> dict[str, str]:
    """`features (rows, F)` and, for messages, `edges (2, E)` -> `log_factor (rows, metrics)`, the members' mean.

    Raises:
        InputError: a kind of network that has no ONNX form.
    """
    kind = kind_of(surrogate.recipe)
    if kind not in KINDS:
        raise InputError(
            f"surrogate {stored.name!r} is a network of the kind {kind!r}, which has no ONNX form; those that have: {', '.join(KINDS)}"
        )
    build.inputs["features"] = ("rows", len(stored.config["features"]))
    if kind == "additive-gnn":
        build.whole["edges"] = (2, "edges")
    answers = [_factor(build, kind, surrogate.recipe, list(stored.config["features"]), arrays(member)) for member in surrogate.members]
    total = answers[0]
    for other in answers[1:]:
        total = build.add("Add", total, other)
    mean = build.add("Mul", total, build.constant(np.float64(1.0 / len(answers))))
    if surrogate.correction is not None:
        z = build.standardised(surrogate.correction.mean, surrogate.correction.scale)
        weights = surrogate.correction.weights
        mean = build.add("Add", mean, build.add("Gemm", z, build.constant(weights[:, 1:]), build.constant(weights[:, 0]), transB=1))
    build.add("Identity", mean, out="log_factor")
    build.outputs["log_factor"] = ("rows", len(stored.config["metrics"]))
    words = "cost = readout over rows of (closed form + grain) x exp(log_factor), and what the design takes beside its rows"
    return {"hwsim.answer": words, "hwsim.metrics": ", ".join(stored.config["metrics"])}


def _factor(build: Any, kind: str, recipe: Any, features: list[str], w: Weights) -> str:
    x = build.standardised(w["mean"], w["scale"])
    g = _layers(build, x, w) if kind == "additive" else _messages(build, x, w, int(recipe.depth))
    bounded = build.add("Clip", g, build.constant(np.float64(-LIMIT)), build.constant(np.float64(LIMIT)))
    return build.add("Add", bounded, _kinds(build, recipe, features, w)) if recipe.calibrate else bounded


def _silu(build: Any, x: str) -> str:
    return build.add("Mul", x, build.add("Sigmoid", x))


def _linear(build: Any, x: str, w: Weights, name: str) -> str:
    bias = (build.constant(w[f"{name}.bias"]),) if f"{name}.bias" in w else ()
    return build.add("Gemm", x, build.constant(w[f"{name}.weight"]), *bias, transB=1)


def _layers(build: Any, x: str, w: Weights) -> str:
    """Linear layers with SiLU between them."""
    names = sorted({name.rpartition(".")[0] for name in w if name.startswith("net.")}, key=lambda name: int(name.split(".")[1]))
    for name in names[:-1]:
        x = _silu(build, _linear(build, x, w, name))
    return _linear(build, x, w, names[-1])


def _messages(build: Any, x: str, w: Weights, depth: int) -> str:
    """Layers that add to each row what the means of its neighbours along and against edges say (GraphSAGE)."""
    ends = [build.add("Gather", "edges", build.constant(np.array(i)), axis=0) for i in (0, 1)]
    x = _silu(build, _linear(build, x, w, "embed"))
    for i in range(depth):
        norm = build.constant(w[f"norm.{i}.weight"]), build.constant(w[f"norm.{i}.bias"])
        seen = build.add("LayerNormalization", x, *norm, axis=-1)
        along = build.add(
            "Add", _linear(build, _mean(build, seen, *ends), w, f"along.{i}.lin_l"), _linear(build, seen, w, f"along.{i}.lin_r")
        )
        against = _linear(build, _mean(build, seen, *ends[::-1]), w, f"against.{i}.lin_l")
        x = build.add("Add", x, _silu(build, build.add("Add", along, against)))
    return _linear(build, x, w, "last")


def _mean(build: Any, x: str, source: str, target: str) -> str:
    """Mean over the edges that end in each row of the rows that they start from; 0 where none does."""
    at = build.add("Unsqueeze", target, build.constant(np.array([1])))
    sent = build.add("Gather", x, source, axis=0)
    nothing = build.add("Mul", x, build.constant(np.float64(0.0)))
    total = build.add("ScatterND", nothing, at, sent, reduction="add")
    ones = build.add("Add", build.add("Mul", sent, build.constant(np.float64(0.0))), build.constant(np.float64(1.0)))
    count = build.add("ScatterND", nothing, at, ones, reduction="add")
    return build.add("Div", total, build.add("Max", count, build.constant(np.float64(1.0))))


def _kinds(build: Any, recipe: Any, features: list[str], w: Weights) -> str:
    """Factor of the kind of each row: that of the first flag that is set, else the last."""
    at = [features.index(name) for name in recipe.calibrate if name in features]
    flags = build.add(
        "Cast",
        build.add("Greater", build.add("Gather", "features", build.constant(np.array(at)), axis=1), build.constant(np.float64(0.5))),
        to=1,
    )
    one = build.add(
        "ReduceMax",
        build.add("Add", build.add("Mul", flags, build.constant(np.float64(0.0))), build.constant(np.float64(1.0))),
        build.constant(np.array([1])),
        keepdims=1,
    )
    first = build.add("ArgMax", build.add("Concat", flags, one, axis=1), axis=1, keepdims=0)
    return build.add("Gather", build.constant(w["kind_factor"]), first, axis=0)
