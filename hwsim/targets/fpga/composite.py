"""Layers that are several templates: recurrent layers, multi-head attention, separable convolutions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from hwsim.targets.fpga.layers import HlsLayer

GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


def expanded(layer: HlsLayer) -> tuple[HlsLayer, ...]:
    """The template instances that a layer stands for; the layer itself where it is one."""
    return COMPOSITES[layer.kind](layer) if layer.kind in COMPOSITES else (layer,)


def _recurrent(layer: HlsLayer) -> tuple[HlsLayer, ...]:
    """Two products, the gates' tables and the update of the state, a time step after the other (hls4ml's static mode)."""
    gates, units = GATES[layer.kind], layer.out_shape[-1]
    steps, features = layer.in_shape[0], layer.in_shape[-1]
    step = replace(layer, kernel=(), stride=(), padding=(), repeat=steps, in_shape=(features,), out_shape=(gates * units,))
    state = {**layer.precision, "weight": layer.precision.get("recurrent_weight", layer.precision["weight"])}
    return (
        replace(step, name=f"{layer.name}.kernel", kind="Dense", n_in=features, n_out=gates * units),
        replace(
            step,
            name=f"{layer.name}.recurrent",
            kind="Dense",
            n_in=units,
            n_out=gates * units,
            in_shape=(units,),
            precision=state,
            reuse_factor=layer.recurrent_reuse_factor,
            inputs=(layer.name,),
        ),
        replace(step, name=f"{layer.name}.gates", kind="Activation", operation="sigmoid", in_shape=(gates * units,), inputs=(layer.name,)),
        replace(
            step,
            name=f"{layer.name}.state",
            kind="Merge",
            operation="multiply",
            in_shape=(units,),
            out_shape=(units,),
            inputs=(layer.name, layer.name),
        ),
    )


def _attention(layer: HlsLayer) -> tuple[HlsLayer, ...]:
    """Three projections, two products of activations around a softmax, and the projection back; a token after the other."""
    tokens, width = layer.in_shape[0], layer.in_shape[-1]
    inner = layer.n_out or width
    step = replace(layer, kernel=(), stride=(), padding=(), repeat=tokens)
    project = {"in_shape": (width,), "out_shape": (inner,), "n_in": width, "n_out": inner, "kind": "Dense"}
    scores = {"in_shape": (inner,), "out_shape": (tokens,), "n_in": inner, "n_out": tokens, "kind": "Dense", "strategy": "resource"}
    return (
        *(replace(step, name=f"{layer.name}.{name}", **project) for name in ("query", "key", "value")),
        replace(step, name=f"{layer.name}.scores", inputs=(layer.name,), **scores),
        replace(step, name=f"{layer.name}.softmax", kind="Softmax", in_shape=(tokens,), out_shape=(tokens,), inputs=(layer.name,)),
        replace(
            step,
            name=f"{layer.name}.context",
            inputs=(layer.name,),
            **{**scores, "n_in": tokens, "n_out": inner, "in_shape": (tokens,), "out_shape": (inner,)},
        ),
        replace(
            step,
            name=f"{layer.name}.output",
            inputs=(layer.name,),
            **{**project, "n_in": inner, "n_out": width, "in_shape": (inner,), "out_shape": (width,)},
        ),
    )


COMPOSITES: Mapping[str, Callable[[HlsLayer], tuple[HlsLayer, ...]]] = {
    **dict.fromkeys(GATES, _recurrent),
    "MultiHeadAttention": _attention,
}
