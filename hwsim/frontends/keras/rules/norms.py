"""Normalisations."""

from __future__ import annotations

from hwsim.frontends.keras.context import Call, Value
from hwsim.frontends.keras.rules.common import weight_format
from hwsim.frontends.keras.weights import Role
from hwsim.ops import Shape


def _affine(c: Call, shape: Shape, *, scale: bool, center: bool) -> list[str]:
    """Scale and shift; a constant stands for one that is missing before one that is not."""
    operands = []
    if scale or center:
        operands.append(c.weight("gamma", shape, Role(("gamma",), 0) if scale else None, dtype=weight_format(c, "gamma"), trained=scale))
    if center:
        operands.append(c.weight("beta", shape, Role(("beta",), 1 if scale else 0), dtype=weight_format(c, "beta")))
    return operands


def _batch(c: Call) -> Value:
    axis = c.get("axis", -1)
    axis = int(axis[0] if isinstance(axis, list) else axis) % len(c.x.shape)
    x = c.layout(c.x, first=axis == len(c.x.shape) - 1)
    size = x.shape[axis]
    scale, center = bool(c.get("scale", True)), bool(c.get("center", True))
    operands = _affine(c, (size,), scale=scale, center=center) or [c.weight("gamma", (size,), trained=False)]
    if not center:
        operands.append(c.weight("beta", (size,), trained=False))
    before = scale + center
    for offset, name in enumerate(("moving_mean", "moving_variance")):
        key = name.removeprefix("moving_")
        role = Role((name,), before + offset)
        operands.append(c.weight(name, (size,), role, dtype=weight_format(c, key), trained=False))
    return c.emit("norm", [x, *operands], fn="batch")


def _layer(c: Call) -> Value:
    axis = c.get("axis", -1)
    x = c.layout(c.x, first=False)
    axes = sorted(int(a) % len(x.shape) for a in (axis if isinstance(axis, list) else [axis]))
    shape = tuple(x.shape[a] for a in axes)
    operands = _affine(c, shape, scale=bool(c.get("scale", True)), center=bool(c.get("center", True)))
    return c.emit("norm", [x, *operands], fn="rms" if c.get("rms_scaling", False) else "layer", axes=tuple(axes))


def _rms(c: Call) -> Value:
    x = c.layout(c.x, first=False)
    axis = c.get("axis", -1)
    axes = sorted(int(a) % len(x.shape) for a in (axis if isinstance(axis, list) else [axis]))
    weight = c.weight("scale", tuple(x.shape[a] for a in axes), Role(("scale",), 0))
    return c.emit("norm", [x, weight], fn="rms", axes=tuple(axes))


def _group(c: Call) -> Value:
    x = c.layout(c.x, first=True) if len(c.x.shape) > 2 else c.x
    size = x.shape[int(c.get("axis", -1))]
    groups = int(c.get("groups", 32))
    operands = _affine(c, (size,), scale=bool(c.get("scale", True)), center=bool(c.get("center", True)))
    return c.emit("norm", [x, *operands], fn="group", groups=size if groups == -1 else groups)


def _unit(c: Call) -> Value:
    return c.emit("norm", [c.x], fn="l2", axes=(c.x.axis(-1),))


def _normalised(c: Call) -> Value:
    """Standardisation by stored means and variances, at inference a scale and a shift."""
    return c.emit("norm", [c.x], fn="batch")


RULES = {
    **dict.fromkeys(("BatchNormalization", "SyncBatchNormalization", "QBatchNormalization", "BatchNormalizationV1"), _batch),
    **dict.fromkeys(("LayerNormalization", "QLayerNormalization"), _layer),
    "RMSNormalization": _rms,
    "GroupNormalization": _group,
    "UnitNormalization": _unit,
    "Normalization": _normalised,
}
