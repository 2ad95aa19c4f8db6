"""Trained surrogates as ONNX models: from the features of rows to the logarithm of their factor; needs the package `onnx`.

A model answers what is learned and nothing else: features and closed form are the family's (`Target.row_features`), and the sum over rows,
bounds and ranges are hwsim's. What it holds and means stands in its metadata.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwsim.errors import InputError, MissingExtra
from hwsim.surrogates import methods, store
from hwsim.surrogates.mlp import Mlp
from hwsim.surrogates.ridge import Ridge
from hwsim.surrogates.samples import FAMILY
from hwsim.surrogates.store import Stored
from hwsim.surrogates.trees import LEAF, Trees

OPSET, ML_OPSET, IR = 18, 3, 9
"""Versions that runtimes of 2023 and later read."""


def _onnx() -> Any:
    try:
        import onnx
    except ImportError:
        raise MissingExtra("onnx", "onnx") from None
    return onnx


@dataclass
class Builder:
    """A graph under construction; names are made up."""

    nodes: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)
    inputs: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """Of float32, name to shape."""
    whole: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """Inputs of int64."""
    outputs: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def constant(self, value: Any) -> str:
        """A weight; numbers become float32."""
        array = np.asarray(value)
        name = f"w{len(self.weights)}"
        kept = array.astype(np.float32) if array.dtype.kind == "f" else array.astype(np.int64)
        self.weights.append(_onnx().numpy_helper.from_array(kept, name))
        return name

    def add(self, op: str, *inputs: str, out: str | None = None, domain: str = "", **attrs: Any) -> str:
        """A node with one result, by name."""
        name = out or f"v{len(self.nodes)}"
        self.nodes.append(_onnx().helper.make_node(op, list(inputs), [name], domain=domain, **attrs))
        return name

    def standardised(self, mean: np.ndarray, scale: np.ndarray, given: str = "features") -> str:
        """An input less its mean, over its scale."""
        return self.add("Mul", self.add("Sub", given, self.constant(mean)), self.constant(1.0 / scale))

    def model(self, name: str, facts: Mapping[str, str]) -> Any:
        """The model, checked."""
        onnx = _onnx()
        kinds = ((self.inputs, 1), (self.outputs, 1), (self.whole, 7))
        inputs, outputs, whole = ([onnx.helper.make_tensor_value_info(n, k, s) for n, s in part.items()] for part, k in kinds)
        graph = onnx.helper.make_graph(self.nodes, name, [*inputs, *whole], outputs, self.weights)
        opsets = [onnx.helper.make_opsetid("", OPSET)]
        if any(node.domain == "ai.onnx.ml" for node in self.nodes):
            opsets.append(onnx.helper.make_opsetid("ai.onnx.ml", ML_OPSET))
        made = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="hwsim")
        onnx.helper.set_model_props(made, dict(facts))
        onnx.checker.check_model(made)
        return made


def export(name: str) -> Any:
    """A surrogate of the shelf, or of a folder, as an `onnx.ModelProto`.

    Raises:
        UnknownName: no such surrogate.
        InputError: one of a kind that has no ONNX form.
        MissingExtra: onnx is not installed.
    """
    stored = store.read(name)
    kind = FAMILY if stored.config["family"] == FAMILY else str(stored.config.get("kind", "additive"))
    if kind not in _KINDS:
        raise InputError(f"surrogate {name!r} is of the kind {kind!r}, which has no ONNX form; those that have: {', '.join(_KINDS)}")
    build = Builder()
    meaning = _KINDS[kind](build, stored, methods.trained(name))
    facts = {"hwsim.surrogate": stored.name, "hwsim.kind": kind, "hwsim.family": str(stored.config["family"]), **meaning}
    return build.model(_plain(stored.name), {**facts, "hwsim.features": json.dumps(stored.config["features"])})


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)


def _additive(build: Builder, stored: Stored, surrogate: Any) -> dict[str, str]:
    """`features (rows, F)` -> `log_factor (rows,)`, the members' mean within the limit, and `spread (rows,)`."""
    build.inputs["features"] = ("rows", len(stored.config["features"]))
    answers = [_mlp(build, member) for member in surrogate.members]
    one = build.constant([1])
    stacked = answers[0] if len(answers) == 1 else build.add("Concat", *answers, axis=1)
    mean = build.add("ReduceMean", stacked, one, keepdims=1)
    limit = float(stored.config["limit"])
    factor = build.add("Clip", mean, build.constant(np.float64(-limit)), build.constant(np.float64(limit)))
    if surrogate.correction is not None:
        factor = build.add("Add", factor, _correction(build, surrogate.correction))
    build.add("Squeeze", factor, one, out="log_factor")
    apart = build.add("Sub", stacked, mean)
    variance = build.add("ReduceMean", build.add("Mul", apart, apart), one, keepdims=0)
    build.add("Sqrt", variance, out="spread")
    build.outputs |= {"log_factor": ("rows",), "spread": ("rows",)}
    return {"hwsim.answer": "cost = sum over rows of count x closed form x exp(log_factor); spread: disagreement of the members"}


def _mlp(build: Builder, member: Mlp) -> str:
    """A column of answers."""
    x = build.standardised(member.mean, member.scale)
    for i, (weight, bias) in enumerate(member.layers):
        x = build.add("Gemm", x, build.constant(weight), build.constant(bias), transB=1)
        if i < len(member.layers) - 1:
            x = build.add("Mul", x, build.add("Sigmoid", x))
    return x


def _correction(build: Builder, correction: Any) -> str:
    z, weights = build.standardised(correction.mean, correction.scale), correction.weights
    return build.add("Gemm", z, build.constant(weights[:1, 1:]), build.constant(weights[0, :1]), transB=1)


def _residual(build: Builder, stored: Stored, surrogate: Any) -> dict[str, str]:
    """`METRIC.summary (networks, F + 2)` -> `METRIC.log_factor (networks,)`, and `METRIC.leverage`, for every metric."""
    models: Mapping[str, Ridge] = surrogate.models
    one = build.constant([1])
    for metric, model in models.items():
        given = f"{metric}.summary"
        build.inputs[given] = ("networks", len(model.mean))
        z = build.standardised(model.mean, model.scale, given)
        label = build.add("Gemm", z, build.constant(model.weights[None, 1:]), build.constant(model.weights[:1]), transB=1)
        kept = build.add("Clip", label, build.constant(np.float64(model.low)), build.constant(np.float64(model.high)))
        build.add("Squeeze", kept, one, out=f"{metric}.log_factor")
        spread = build.add("Gemm", z, build.constant(model.inverse[1:, 1:]))
        square = build.add("ReduceSum", build.add("Mul", spread, z), one, keepdims=1)
        cross = build.add("Gemm", z, build.constant(2 * model.inverse[1:, :1]), build.constant(model.inverse[:1, 0]))
        build.add("Squeeze", build.add("Add", square, cross), one, out=f"{metric}.leverage")
        build.outputs |= {f"{metric}.log_factor": ("networks",), f"{metric}.leverage": ("networks",)}
    words = "value = (closed form + o) x exp(log_factor) - o, o = 1 for counts and 0 else"
    return {"hwsim.answer": f"{words}; the summary is that of hwsim.surrogates.residual"}


def _operators(build: Builder, stored: Stored, surrogate: Any) -> dict[str, str]:
    """`OPERATOR.features (kernels, F)` -> `OPERATOR/DEVICE (kernels,)`, the logarithm of the factor, for every set of trees."""
    limit = float(stored.config["limit"])
    ends = build.constant(np.float64(-limit)), build.constant(np.float64(limit))
    one = build.constant([1])
    for (kind, device), trees in surrogate.models.items():
        build.inputs[f"{kind}.features"] = ("kernels", len(stored.config["features"][kind]))
        found = build.add("TreeEnsembleRegressor", f"{kind}.features", domain="ai.onnx.ml", **_ensemble(trees))
        build.add("Squeeze", build.add("Clip", found, *ends), one, out=f"{kind}/{device}")
        build.outputs[f"{kind}/{device}"] = ("kernels",)
    return {"hwsim.answer": "time of a kernel alone = closed form x exp(answer); elsewhere: other devices, with device features of 0"}


def _ensemble(trees: Trees) -> dict[str, Any]:
    """Attributes of a TreeEnsembleRegressor that answers as the trees do."""
    sizes = np.diff([*trees.root, len(trees.feature)])
    tree = np.repeat(np.arange(len(sizes)), sizes)
    node = np.arange(len(trees.feature)) - np.repeat(trees.root.astype(np.int64), sizes)
    leaf = trees.feature == LEAF
    child = np.where(leaf, 0, trees.child.astype(np.int64))
    inner = {
        "nodes_treeids": tree,
        "nodes_nodeids": node,
        "nodes_featureids": np.where(leaf, 0, trees.feature.astype(np.int64)),
        "nodes_truenodeids": child,
        "nodes_falsenodeids": np.where(leaf, 0, child + 1),
    }
    last = {"target_treeids": tree[leaf], "target_nodeids": node[leaf], "target_ids": np.zeros(int(leaf.sum()), dtype=np.int64)}
    return {
        **{name: values.astype(np.int64).tolist() for name, values in (inner | last).items()},
        "nodes_modes": ["LEAF" if end else "BRANCH_LEQ" for end in leaf.tolist()],
        "nodes_values": np.where(leaf, 0.0, trees.value).astype(float).tolist(),
        "target_weights": trees.value[leaf].astype(float).tolist(),
        "n_targets": 1,
        "base_values": trees.baseline.astype(float).tolist(),
        "post_transform": "NONE",
    }


def _graph(build: Builder, stored: Stored, surrogate: Any) -> dict[str, str]:
    from hwsim.surrogates.onnx_networks import graph_surrogate

    return graph_surrogate(build, stored, surrogate)


_KINDS: Mapping[str, Callable[[Builder, Stored, Any], dict[str, str]]] = {
    "additive": _additive,
    "residual": _residual,
    "operators": _operators,
    "graph": _graph,
}
