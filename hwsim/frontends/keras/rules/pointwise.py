"""Activations as layers, and what does nothing at inference."""

from __future__ import annotations

from hwsim.frontends.keras.context import Call, Rule, Value
from hwsim.frontends.keras.quantizers import quantizer
from hwsim.frontends.keras.rules.common import apply, quantized
from hwsim.frontends.keras.weights import Role


def _activation(c: Call) -> Value:
    return apply(c, c.x, c.config.get("activation"))


def _relu(c: Call) -> Value:
    if float(c.get("max_value", 0.0) or 0.0) == 6.0:
        return c.emit("activation", [c.x], fn="relu6")
    if c.get("max_value") is not None:
        return c.emit("activation", [c.x], fn="clip")
    if float(c.get("negative_slope", 0.0)):
        return _parametrised(c, "leaky_relu", float(c.get("negative_slope")))
    threshold = float(c.get("threshold", 0.0))
    return _parametrised(c, "threshold", threshold) if threshold else c.emit("activation", [c.x], fn="relu")


def _parametrised(c: Call, fn: str, parameter: float) -> Value:
    c.importer.parameters[c.name] = parameter
    return c.emit("activation", [c.x], fn=fn)


def _named(fn: str, keys: tuple[str, ...], default: float) -> Rule:
    return lambda c: _parametrised(c, fn, float(next((c.config[k] for k in keys if c.config.get(k) is not None), default)))


def _prelu(c: Call) -> Value:
    shared = {int(a) for a in c.get("shared_axes") or ()}
    stored = tuple(1 if i in shared else s for i, s in enumerate(c.x.shape[1:], 1))
    x = c.layout(c.x, first=False)
    alpha = c.weight("alpha", stored, Role(("alpha",), 0))
    return c.emit("activation", [x, alpha], fn="prelu")


def _softmax(c: Call) -> Value:
    axis = c.get("axis", -1)
    return c.emit("softmax", [c.x], axis=c.x.axis(int(axis[0] if isinstance(axis, list) else axis)))


def _quantized(c: Call) -> Value:
    setting = c.config.get("activation")
    found = quantizer(setting, where=c.where) if setting not in (None, "linear") else None
    return quantized(c, c.x, found)


def _dropped(c: Call) -> Value:
    c.importer.dropped[c.name] = c.x.tensor
    return c.x


def _scaled(c: Call) -> Value:
    return c.emit("activation", [c.x], fn="mul")


DROPPED = (
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "GaussianDropout",
    "GaussianNoise",
    "AlphaDropout",
    "ActivityRegularization",
    "Identity",
    "Masking",
    "RandomFlip",
    "RandomRotation",
    "RandomZoom",
    "RandomTranslation",
    "RandomContrast",
    "RandomBrightness",
)
"""Layers that do nothing at inference."""

RULES = {
    "Activation": _activation,
    "QActivation": _quantized,
    "QAdaptiveActivation": _quantized,
    "ReLU": _relu,
    "Softmax": _softmax,
    "PReLU": _prelu,
    "Rescaling": _scaled,
    "LeakyReLU": _named("leaky_relu", ("negative_slope", "alpha"), 0.3),
    "ThresholdedReLU": _named("threshold", ("theta",), 1.0),
    "ELU": _named("elu", ("alpha",), 1.0),
    **dict.fromkeys(DROPPED, _dropped),
}
