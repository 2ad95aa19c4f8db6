"""Shapes of the nodes of a NIR network, one sample: from its inputs forwards, and from weights where a file leaves them open."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsim.errors import GraphError, InputError, UnknownName
from hwsim.frontends.nir.network import Network, type_name
from hwsim.frontends.nir.reading import FAULTS, REPAIR
from hwsim.ops import Shape
from hwsim.ops.dense import conv_geometry

NEURONS = {"CubaLIF": "cubalif", "CubaLI": "cubali", "LIF": "lif", "IF": "if", "LI": "li", "I": "i", "Threshold": "threshold"}
"""Types to our models of neurons."""
_PARAMETER = {"IF": "r", "I": "r", "LI": "tau", "LIF": "tau", "CubaLI": "tau_mem", "CubaLIF": "tau_mem", "Threshold": "threshold"}
_PARAMETER |= {"Scale": "scale", "Delay": "delay"}


def shapes(net: Network, *, dims: Mapping[str, int], input_shape: Any, where: str) -> dict[str, Shape]:
    """Shape of what each node gives, without the batch.

    Args:
        dims: sizes by `input.axis`.
        input_shape: of the only input.

    Raises:
        InputError: a shape that follows from nothing, or one that does not fit its node.
        UnknownName: a size of an input that does not exist.
    """
    given = _given(net, dims, input_shape, where)
    found: dict[str, Shape] = {}
    for _ in range(len(net.nodes) + 1):
        before = len(found)
        for name, node in net.nodes.items():
            if name not in found and (shape := _shape(net, name, node, found, given, where)) is not None:
                found[name] = shape
        if len(found) == before:
            break
    if lost := [n for n in net.nodes if n not in found]:
        raise InputError(_open(net, lost, where))
    return found


def _open(net: Network, lost: list[str], where: str) -> str:
    first = next((n for n in lost if n in net.inputs), lost[0])
    remedy = f"--dim {first}.0=2 --dim {first}.1=34 (dims in Python), or input_shape=(2, 34, 34)"
    return f"{where}, node {first!r} ({type_name(net.nodes[first])}): its shape is open and follows from nothing; give it as {remedy}"


def _given(net: Network, dims: Mapping[str, int], input_shape: Any, where: str) -> dict[str, Shape]:
    found: dict[str, dict[int, int]] = {}
    for key, size in dims.items():
        name, _, axis = key.rpartition(".")
        if name not in net.inputs or not axis.isdigit():
            raise UnknownName(f"size of an input of {where}:", key, [f"{n}.{axis or 0}" for n in net.inputs])
        found.setdefault(name, {})[int(axis)] = int(size)
    if input_shape is not None:
        if len(net.inputs) != 1:
            raise InputError(f"{where}: input_shape, but {len(net.inputs)} inputs: {', '.join(net.inputs)}; give dims by input and axis")
        sizes = [input_shape] if isinstance(input_shape, int) else input_shape
        found[net.inputs[0]] = {i: int(size) for i, size in enumerate(sizes)}
    return {name: _complete(net.nodes[name], name, sizes, where) for name, sizes in found.items()}


def _complete(node: Any, name: str, sizes: Mapping[int, int], where: str) -> Shape:
    """The sizes that were given over those that the file has."""
    shape = list(declared(node, "input") or ())
    for axis in sorted(sizes):
        shape[axis:] = [sizes[axis], *shape[axis + 1 :]]
    if len(shape) <= max(sizes) or min(shape) < 1:
        raise InputError(f"{where}, input {name!r}: sizes {dict(sizes)}; expected one of 1 or more for each axis from {name}.0 on")
    return tuple(shape)


def declared(node: Any, side: str) -> Shape | None:
    """What the file says about the `input` or `output` of a node; None where it is open."""
    kind = getattr(node, f"{side}_type", None)
    value = next(iter(kind.values()), None) if isinstance(kind, Mapping) else None
    if value is None:
        return None
    sizes = np.atleast_1d(np.asarray(value))
    return tuple(int(s) for s in sizes) if sizes.dtype.kind in "iu" and sizes.size and sizes.min() > 0 else None


def wanted(node: Any) -> Shape | None:
    """What a node must be fed with, as its weights tell."""
    kind = type_name(node)
    if kind in ("Affine", "Linear"):
        return (*node.weight.shape[:-2], node.weight.shape[-1])
    if kind in ("Conv1d", "Conv2d") and node.input_shape is not None:
        spatial = tuple(int(s) for s in np.atleast_1d(node.input_shape))
        return (node.weight.shape[1] * int(node.groups), *spatial)
    if kind in _PARAMETER:
        shape = np.shape(getattr(node, _PARAMETER[kind]))
        return shape or None
    return declared(node, "input")


def _shape(net: Network, name: str, node: Any, found: Mapping[str, Shape], given: Mapping[str, Shape], where: str) -> Shape | None:
    place = f"{where}, node {name!r} ({type_name(node)})"
    try:
        return _sized(net, name, node, found, given, place)
    except FAULTS as error:
        raise InputError(f"{place}: {error}; {REPAIR}") from error


def _sized(net: Network, name: str, node: Any, found: Mapping[str, Shape], given: Mapping[str, Shape], place: str) -> Shape | None:
    if name in net.inputs:
        fed = given.get(name) or (declared(node, "input") if type_name(node) == "Input" else None) or _demanded(net, name, found)
    else:
        fed = next((found[s] for s in net.sources(name) if s in found), None) or wanted(node)
    return None if fed is None else result(node, fed, place)


def _demanded(net: Network, name: str, found: Mapping[str, Shape]) -> Shape | None:
    """What an input must be for those who read it, or itself."""
    own = wanted(net.nodes[name]) if type_name(net.nodes[name]) != "Input" else None
    readers = [net.nodes[n] for n in net.nodes if name in net.sources(n)]
    return own or next((w for r in readers if (w := wanted(r)) is not None), None)


def result(node: Any, x: Shape, where: str) -> Shape:
    """Shape of what a node makes of `x`.

    Raises:
        InputError: it does not fit.
    """
    kind = type_name(node)
    if kind in ("Affine", "Linear"):
        return _product(node, x, where)
    if kind in ("Conv1d", "Conv2d", "AvgPool2d", "SumPool2d"):
        return _windowed(node, x, kind, where)
    if kind == "Flatten":
        return _flattened(node, x, where)
    if kind in _PARAMETER:
        own = np.shape(getattr(node, _PARAMETER[kind]))
        if math.prod(own) not in (1, math.prod(x)) and own != x[len(x) - len(own) :]:
            raise InputError(f"{where}: parameters {own} for an input {x}; expected the same shape, or one number")
    return x


def _product(node: Any, x: Shape, where: str) -> Shape:
    *lead, rows, columns = (int(s) for s in node.weight.shape)
    fitting = (*lead, columns)
    if x[-1] != columns and math.prod(x) != math.prod(fitting):
        weight = (*lead, rows, columns)
        raise InputError(
            f"{where}: the input {x} does not fit the weight {weight}; expected {fitting}. Check the layer before, or the input"
        )
    return (*lead, rows) if lead or x[-1] != columns else (*x[:-1], rows)


def window(node: Any, dims: int) -> dict[str, Any]:
    """Stride, padding, dilation and groups of a convolution or pool; `same` and `valid` as (before, after) pairs."""
    found = {name: spread(getattr(node, name, 1), dims) for name in ("stride", "dilation")}
    pad = node.padding
    text = pad.decode() if isinstance(pad, bytes) else pad
    if isinstance(text, str):
        kernel = node.weight.shape[2:]
        total = [d * (k - 1) if text == "same" else 0 for d, k in zip(found["dilation"], kernel, strict=True)]
        return {**found, "padding": tuple((t // 2, t - t // 2) for t in total)}
    return {**found, "padding": spread(pad, dims)}


def spread(value: Any, dims: int) -> Shape:
    """One number or several as `dims` of them."""
    numbers = tuple(int(v) for v in np.atleast_1d(np.asarray(value)))
    return numbers * dims if len(numbers) == 1 else numbers


def _windowed(node: Any, x: Shape, kind: str, where: str) -> Shape:
    dims = int(kind[-2])
    if len(x) != dims + 1:
        raise InputError(
            f"{where}: the input {x} has {len(x)} axes; expected channels and {dims} more. Give the shape with --dim or input_shape"
        )
    try:
        options = window(node, dims)
        if "Pool" in kind:
            weight, groups = (x[0], 1, *spread(node.kernel_size, dims)), x[0]
        else:
            weight, groups = tuple(int(s) for s in node.weight.shape), int(node.groups)
        shape = conv_geometry([(1, *x), weight], {**options, "groups": groups, "transposed": False})[0]
    except (GraphError, ValueError, TypeError, ZeroDivisionError) as error:
        raise InputError(f"{where}: {error}; check the shape of the input and the parameters of the node") from None
    return shape[1:]


def _flattened(node: Any, x: Shape, where: str) -> Shape:
    first, last = int(node.start_dim), int(node.end_dim) % len(x)
    if not 0 <= first <= last:
        raise InputError(f"{where}: axes {node.start_dim} to {node.end_dim} of an input {x}; expected axes that it has (the batch is none)")
    return (*x[:first], math.prod(x[first : last + 1]), *x[last + 1 :])
