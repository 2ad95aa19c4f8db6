"""Nodes of YAML graphs: short forms that make their own weights, and the raw form of any operator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hwsim import ops
from hwsim.errors import InputError, UnknownName
from hwsim.frontends.yaml_graph import COMMON_KEYS, Spec
from hwsim.ops.pointwise import FUNCTIONS

Rule = Callable[[Spec], "Sequence[str]"]
_WEIGHT_KEYS = ("weight_dtype", "weight_density")


def build(spec: Spec) -> Sequence[str]:
    """Add what a node of the file stands for; its results.

    Raises:
        UnknownName: no such operator, or a key it does not have.
        InputError: values of the wrong kind.
    """
    if "attrs" in spec.data or (spec.op in ops.kinds() and spec.op not in SHORT):
        return _raw(spec)
    if spec.op in SHORT:
        keys, rule = SHORT[spec.op]
        _check_keys(spec, keys)
        return rule(spec)
    if spec.op in FUNCTIONS:
        _check_keys(spec, ())
        return [spec.add("activation" if len(spec.inputs) == 1 else "elementwise", fn=spec.op)]
    raise UnknownName("operator", spec.op, [*SHORT, *ops.kinds(), *FUNCTIONS])


def _check_keys(spec: Spec, keys: Sequence[str]) -> None:
    for key in spec.data:
        if key not in (*COMMON_KEYS, *keys):
            raise UnknownName("key", str(key), (*COMMON_KEYS, *keys))


def _raw(spec: Spec) -> Sequence[str]:
    """Any registered kind with its attributes."""
    _check_keys(spec, ("attrs",))
    attrs = spec.data.get("attrs", {})
    if not isinstance(attrs, Mapping):
        raise InputError(f"{spec.where}: 'attrs' is {attrs!r}; expected a mapping")
    try:
        return spec.add_many(spec.op, **{str(k): _plain(v) for k, v in attrs.items()})
    except (TypeError, AttributeError, ArithmeticError, ValueError, IndexError) as error:
        raise InputError(f"{spec.where}: attributes {dict(attrs)!r} do not fit the operator ({error})") from None


def _plain(value: Any) -> Any:
    return tuple(_plain(v) for v in value) if isinstance(value, list) else value


def _bias(spec: Spec, size: int, *, default: bool = True) -> list[str]:
    return [spec.weight((size,), "bias")] if spec.flag("bias", default) else []


def _linear(spec: Spec) -> list[str]:
    units, width = spec.number("units", least=1), _last(spec)
    return [spec.add("linear", [spec.inputs[0], spec.weight((units, width)), *_bias(spec, units)])]


def _last(spec: Spec) -> int:
    shape = spec.operand_shape()
    if not shape:
        raise InputError(f"{spec.where}: the operand has no axes")
    return shape[-1]


def _conv(spec: Spec) -> list[str]:
    shape = spec.operand_shape()
    dims, channels, groups = len(shape) - 2, spec.number("channels", least=1), spec.number("groups", 1, least=1)
    if dims < 1:
        raise InputError(f"{spec.where}: the operand has shape {list(shape)}; expected (batch, channels, spatial ...)")
    kernel, transposed = _each(spec, "kernel", dims), spec.flag("transposed", False)
    first, second = (shape[1], channels // groups) if transposed else (channels, shape[1] // groups)
    attrs = {key: _each(spec, key, dims, 1) for key in ("stride", "dilation")}
    attrs["output_padding"] = _each(spec, "output_padding", dims, 0, least=0)
    padding = _same(kernel, attrs["dilation"]) if spec.data.get("padding") == "same" else _each(spec, "padding", dims, 0, least=0)
    weights = [spec.weight((first, second, *kernel)), *_bias(spec, channels)]
    return [spec.add("conv", [spec.inputs[0], *weights], groups=groups, transposed=transposed, padding=padding, **attrs)]


def _same(kernel: Sequence[int], dilation: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Padding that keeps the size at stride 1."""
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return tuple((t // 2, t - t // 2) for t in totals)


def _each(spec: Spec, key: str, dims: int, default: Any = None, *, least: int = 1) -> tuple[int, ...]:
    """One number an axis."""
    value = spec.numbers(key, default)
    items = (value,) * dims if isinstance(value, int) else value
    if len(items) != dims or any(i < least for i in items):
        raise InputError(f"{spec.where}: {key!r} is {list(items)}; expected {dims} number(s) of at least {least}")
    return items


def _embedding(spec: Spec) -> list[str]:
    table = spec.weight((spec.number("rows", least=1), spec.number("width", least=1)))
    return [spec.add("embedding", [table, *spec.inputs], default=spec.reader.builder.tensors[table].dtype.name)]


def _norm(fn: str) -> Rule:
    def rule(spec: Spec) -> list[str]:
        shape = spec.operand_shape()
        last = fn in ("layer", "rms")
        if len(shape) < (1 if last else 2):
            raise InputError(f"{spec.where}: the operand has shape {list(shape)}, which has no channels")
        size = shape[-1] if last else shape[1]
        names = ("weight",) if fn == "rms" else ("weight", "bias")
        affine = [spec.weight((size,), n) for n in names] if spec.flag("affine", fn != "instance") else []
        if fn == "batch":
            affine += [spec.reader.builder.constant((size,), name=f"running_{n}") for n in ("mean", "var")]
        extra = {"groups": spec.number("groups", 32, least=1)} if fn == "group" else {}
        return [spec.add("norm", [spec.inputs[0], *affine], fn=fn, axes=(-1,) if last else (1,), **extra)]

    return rule


def _pool(fn: str) -> Rule:
    def rule(spec: Spec) -> list[str]:
        dims = max(1, len(spec.operand_shape()) - 2)
        kernel = _each(spec, "kernel", dims)
        stride = _each(spec, "stride", dims, list(kernel))
        return [spec.add("pool", fn=fn, kernel=kernel, stride=stride, padding=_each(spec, "padding", dims, 0, least=0))]

    return rule


def _flatten(spec: Spec) -> list[str]:
    shape = spec.operand_shape()
    return [spec.add("reshape", shape=(shape[0] if shape else 1, math.prod(shape[1:])))]


def _recurrent(cell: str) -> Rule:
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[cell]

    def rule(spec: Spec) -> list[str]:
        units, directions = spec.number("units", least=1), spec.number("directions", 1, least=1)
        rows = gates * units * directions
        weights = [spec.weight((rows, _last(spec)), "weight_ih"), spec.weight((rows, units), "weight_hh"), *_bias(spec, 2 * rows)]
        return [spec.add("recurrent", [spec.inputs[0], *weights], cell=cell, directions=directions)]

    return rule


def _self_attention(spec: Spec) -> list[str]:
    """Projections q, k, v, attention over heads, projection back."""
    shape, heads = spec.operand_shape(), spec.number("heads", least=1)
    groups = spec.number("kv_heads", heads, least=1)
    if len(shape) != 3 or shape[-1] % heads:
        raise InputError(
            f"{spec.where}: the operand has shape {list(shape)}; expected (batch, tokens, width) with a width divisible by {heads} heads"
        )
    size = spec.number("head_size", shape[-1] // heads, least=1)
    q, k, v = (_projected(spec, name, count, size) for name, count in (("q_proj", heads), ("k_proj", groups), ("v_proj", groups)))
    y = spec.add("transpose", [spec.add("attention", [q, k, v], causal=spec.flag("causal", False))], perm=(0, 2, 1, 3))
    y = spec.add("reshape", [y], shape=(*shape[:2], heads * size))
    return [_dense(spec, y, "out_proj", shape[-1])]


def _projected(spec: Spec, name: str, heads: int, size: int) -> str:
    y = _dense(spec, spec.inputs[0], name, heads * size)
    y = spec.add("reshape", [y], shape=(*spec.operand_shape()[:2], heads, size))
    return spec.add("transpose", [y], perm=(0, 2, 1, 3))


def _dense(spec: Spec, x: str, name: str, units: int) -> str:
    width = spec.reader.builder.shape(x)[-1]
    bias = [spec.weight((units,), f"{name}.bias")] if spec.flag("bias", True) else []
    return spec.add("linear", [x, spec.weight((units, width), f"{name}.weight"), *bias], path=name)


def _declared(role: str) -> Rule:
    def rule(spec: Spec) -> list[str]:
        builder, name = spec.reader.builder, str(spec.data.get("out", role))
        add = builder.weight if role == "weight" else builder.constant
        return [add(spec.shape("shape"), str(spec.data.get("dtype", builder.dtype)), name=name)]

    return rule


def _softmax(spec: Spec) -> list[str]:
    return [spec.add("softmax", axis=spec.numbers("axis", -1), log=spec.flag("log", False))]


SHORT: dict[str, tuple[tuple[str, ...], Rule]] = {
    "linear": (("units", "bias", *_WEIGHT_KEYS), _linear),
    "conv": (
        ("channels", "kernel", "stride", "padding", "dilation", "groups", "bias", "transposed", "output_padding", *_WEIGHT_KEYS),
        _conv,
    ),
    "embedding": (("rows", "width", *_WEIGHT_KEYS), _embedding),
    "layer_norm": (("affine", *_WEIGHT_KEYS), _norm("layer")),
    "rms_norm": (("affine", *_WEIGHT_KEYS), _norm("rms")),
    "batch_norm": (("affine", *_WEIGHT_KEYS), _norm("batch")),
    "group_norm": (("affine", "groups", *_WEIGHT_KEYS), _norm("group")),
    "instance_norm": (("affine", *_WEIGHT_KEYS), _norm("instance")),
    "max_pool": (("kernel", "stride", "padding"), _pool("max")),
    "avg_pool": (("kernel", "stride", "padding"), _pool("avg")),
    "global_avg_pool": ((), lambda spec: [spec.add("pool", fn="avg", output_size=1)]),
    "flatten": ((), _flatten),
    "reshape": (("shape",), lambda spec: [spec.add("reshape", shape=spec.numbers("shape", []))]),
    "transpose": (("perm",), lambda spec: [spec.add("transpose", perm=spec.numbers("perm", []))]),
    "concat": (("axis",), lambda spec: [spec.add("concat", axis=spec.numbers("axis", -1))]),
    "split": (("sizes", "axis"), lambda spec: spec.add_many("split", sizes=spec.numbers("sizes", []), axis=spec.numbers("axis", -1))),
    "softmax": (("axis", "log"), _softmax),
    "attention": (("causal",), lambda spec: [spec.add("attention", causal=spec.flag("causal", False))]),
    "self_attention": (("heads", "kv_heads", "head_size", "causal", "bias", *_WEIGHT_KEYS), _self_attention),
    "lstm": (("units", "directions", "bias", *_WEIGHT_KEYS), _recurrent("lstm")),
    "gru": (("units", "directions", "bias", *_WEIGHT_KEYS), _recurrent("gru")),
    "rnn": (("units", "directions", "bias", *_WEIGHT_KEYS), _recurrent("rnn")),
    "weight": (("shape",), _declared("weight")),
    "constant": (("shape",), _declared("constant")),
}
"""Short form -> its keys besides the common ones, and what it adds."""
