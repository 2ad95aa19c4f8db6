"""Layers around a layer."""

from __future__ import annotations

from dataclasses import replace

from hwsim.frontends.keras.context import Call, Unsupported, Value, plain
from hwsim.frontends.keras.rules.recurrent import wrapped


def _inner(c: Call, x: Value, *, name: str) -> Value:
    """The wrapped layer of `x`, found under the wrapper's name where weights are looked up."""
    layer = wrapped(c.need("layer"))
    if reason := c.importer.refusal(layer):
        raise Unsupported(f"around {layer.class_name}: {reason}")
    call = replace(c, layer=layer, name=name, inputs=[x])
    return c.importer.rules[plain(layer.class_name)](call)


def _each_step(c: Call) -> Value:
    """A layer on every step of a sequence: time counts as batch."""
    x = c.layout(c.x, first=False)
    inner = wrapped(c.need("layer"))
    if plain(inner.class_name) in ("Dense", "QDense", "Activation", "QActivation", "Dropout"):
        return _inner(c, x, name=c.name)
    batch, steps, *rest = x.shape
    flat = c.moved("reshape", x, suffix=":steps", shape=(batch * steps, *rest))
    made = c.layout(_inner(c, flat, name=c.name), first=False)
    return c.moved("reshape", made, suffix=":joined", shape=(batch, steps, *made.shape[1:]))


def _pruned(c: Call) -> Value:
    return _inner(c, c.x, name=wrapped(c.need("layer")).name)


RULES = {"TimeDistributed": _each_step, "PruneLowMagnitude": _pruned, "QuantizeWrapperV2": _pruned, "ClusterWeights": _pruned}
