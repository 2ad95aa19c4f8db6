"""Rules of normalisation, reductions, softmax, pooling and resampling."""

from __future__ import annotations

from typing import Any

from hwsim.frontends.torch.rules import Call, rule
from hwsim.frontends.torch.rules_dense import _spread


@rule("layer_norm", "native_layer_norm", "rms_norm", "_fused_rms_norm")
def layer_norm(call: Call) -> str:
    """Over the last axes."""
    axes = tuple(range(-len(call["normalized_shape"]), 0))
    inputs = [call.need("input"), *call.tensors("weight", "bias")]
    return call.add("norm", inputs, fn="rms" if "rms" in call.operator else "layer", axes=axes)


@rule("group_norm", "native_group_norm")
def group_norm(call: Call) -> str:
    """Over groups of channels."""
    groups = call.get("num_groups") or call["group"]
    return call.add("norm", [call.need("input"), *call.tensors("weight", "bias")], fn="group", groups=groups)


@rule("batch_norm", "_native_batch_norm_legit_no_training", "instance_norm", "native_batch_norm", "cudnn_batch_norm")
def batch_norm(call: Call) -> str:
    """With running statistics (a scale and a shift), or over each image."""
    given = call.tensors("weight", "bias", "running_mean", "running_var")
    fn = "instance" if call.get("use_input_stats", False) or call.get("training", False) else "batch"
    return call.add("norm", [call.need("input"), *given], fn=fn)


@rule("softmax", "_softmax", "_safe_softmax", "special_softmax", "log_softmax", "_log_softmax")
def softmax(call: Call) -> str:
    """Along one axis."""
    return call.add("softmax", [call.need("self")], axis=call["dim"], log="log" in call.operator)


@rule("local_response_norm")
def local_response_norm(call: Call) -> str:
    """AlexNet's."""
    return call.add("norm", [call.need("input")], fn="local_response", axes=(1,), size=call["size"])


_REDUCE: dict[str, str] = {
    **{name: name for name in ("sum", "mean", "max", "min", "prod", "var", "std", "logsumexp", "argmax", "argmin", "any", "all", "norm")},
    **{"amax": "max", "amin": "min", "nansum": "sum", "count_nonzero": "sum", "var_mean": "var"},
    **{"linalg_vector_norm": "norm", "frobenius_norm": "norm"},
}


@rule(*_REDUCE)
def reduce(call: Call) -> Any:
    """Over axes; `max.dim` gives the indices as well, and `max.other` is a maximum of two."""
    if call.tensor("other"):
        return call.add("elementwise", call.tensors("self", "other"), fn=f"{call.operator}imum")
    y = _reduced(call, _REDUCE[call.operator])
    if not isinstance(call.fake, list | tuple):
        return y
    second = {"max": "argmax", "min": "argmin", "var_mean": "mean"}.get(call.operator, "sum")
    return y, _reduced(call, second, like=call.fake[1])


def _reduced(call: Call, fn: str, like: Any = None) -> str:
    dims = call.get("dim")
    axes = None if dims is None or dims == [] else (dims,) if isinstance(dims, int) else tuple(dims)
    return call.add("reduce", [call.need("self")], like=like, fn=fn, axes=axes, keepdims=bool(call.get("keepdim", False)))


@rule("cumsum", "cumprod", "logcumsumexp", "cummax")
def cumulative(call: Call) -> Any:
    """Running sums and products."""
    y = call.add("cumulative", [call.need("self")], axis=call["dim"], fn="prod" if call.operator == "cumprod" else "sum")
    return (y, y) if isinstance(call.fake, tuple) else y


_POOLS = {f"{fn}_pool{d}d": (fn, d) for fn in ("max", "avg") for d in (1, 2, 3)}


@rule(*_POOLS, "max_pool2d_with_indices", "max_pool1d_with_indices", "lp_pool2d")
def pool(call: Call) -> Any:
    """Windows."""
    name = call.operator.removesuffix("_with_indices")
    fn, dims = _POOLS.get(name, ("avg", 2))
    kernel = _spread(call["kernel_size"], dims)
    attrs = {
        "kernel": kernel,
        "stride": _spread(call.get("stride") or kernel, dims),
        "padding": _spread(call.get("padding", 0), dims),
        "dilation": _spread(call.get("dilation", 1), dims),
        "ceil": bool(call.get("ceil_mode", False)),
    }
    x = call.need("self")
    fake = call.fake[0] if isinstance(call.fake, tuple) else call.fake
    shape = tuple(fake.shape)
    if len(call.shape_of(x)) == dims + 1:
        x = call.reshape(x, (1, *call.shape_of(x)))
    y = call.reshape(call.add("pool", [x], fn=fn, **attrs), shape)
    return (y, y) if isinstance(call.fake, tuple) else y


@rule(*(f"adaptive_{fn}_pool{d}d" for fn in ("max", "avg") for d in (1, 2, 3)))
def adaptive_pool(call: Call) -> Any:
    """To a given size."""
    x = call.need("self")
    fake = call.fake[0] if isinstance(call.fake, tuple) else call.fake
    size = tuple(fake.shape[2:]) if len(fake.shape) == len(_spread(call["output_size"], 1)) + 2 else call["output_size"]
    dims = int(call.operator[-2])
    shape = call.shape_of(x)
    x = call.reshape(x, (1, *shape)) if len(shape) == dims + 1 else x
    y = call.add("pool", [x], fn=call.operator.split("_")[1], output_size=_spread(size, dims))
    y = call.reshape(y, tuple(fake.shape))
    return (y, y) if isinstance(call.fake, tuple) else y


_SAMPLERS = {
    **{f"{kind}{d}d": "nearest" for kind in ("nearest", "nearest_exact") for d in (1, 2, 3)},
    **{"linear1d": "linear", "bilinear2d": "bilinear", "trilinear3d": "trilinear", "bicubic2d": "bicubic"},
}
_RESIZES = {f"{prefix}upsample_{name}{suffix}": mode for name, mode in _SAMPLERS.items() for prefix in ("", "_") for suffix in ("", "_aa")}


@rule(*_RESIZES)
def resize(call: Call) -> str:
    """To the size of the result."""
    x = call.first()
    return call.add("resize", [x], size=call.shape[2:], mode=_RESIZES[call.operator])


@rule("grid_sampler", "grid_sampler_2d", "grid_sampler_3d")
def grid_sample(call: Call) -> str:
    """Samples at given places."""
    return call.add("grid_sample", call.tensors("input", "grid"), shape=call.shape)
