"""What hls4ml's passes do to a network before any code is written: fusions, splits, removals, inserted layers."""

from __future__ import annotations

from math import prod

import numpy as np

from hwsim.errors import InputError
from hwsim.targets.fpga.draft import Design, Draft, Pass, first
from hwsim.targets.fpga.infer import infer

_MATRIX = ("Dense", "Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D", "PointwiseConv1D", "PointwiseConv2D")
_NORMS = ("BatchNormalization", "ApplyAlpha")
_ACTIVATIONS = ("Activation", "ParametrizedActivation", "HardActivation", "PReLU", "Softmax", "TernaryTanh")
_MOST_CLONES = 7


def _sole_reader(design: Design, draft: Draft) -> bool:
    return len(design.readers(draft.outputs[0])) == 1


def fuse_batch_norms_in_a_row(design: Design) -> bool:
    """Two normalisations become one, where the first has no format of its own."""

    def matches(design: Design, draft: Draft) -> bool:
        before = design.maker(draft.inputs[0])
        return before.kind in _NORMS and before.result is None and _sole_reader(design, before)

    if (found := first(design, matches, _NORMS)) is None:
        return False
    before = design.maker(found.inputs[0])
    found.nodes = (*before.nodes, *found.nodes)
    for variable in ("scale", "bias"):
        found.types[variable] = design.config.precision(found.name, found.kind, variable)
    design.remove(before)
    return True


def fuse_batch_norm(design: Design) -> bool:
    """A normalisation goes into the weights of the Dense or convolution before it, where that has no format of its own."""

    def matches(design: Design, draft: Draft) -> bool:
        before = design.maker(draft.inputs[0])
        open_result = before.kind in _MATRIX and before.result is None and _sole_reader(design, before)
        return open_result and _compatible(design, before, draft)

    if (found := first(design, matches, _NORMS)) is None:
        return False
    before = design.maker(found.inputs[0])
    before.use_bias = True
    for variable in ("weight", "bias"):
        quantised = before.quantised.get(variable)
        before.types[variable] = quantised or design.config.precision(before.name, before.kind, variable)
    design.remove(found)
    return True


def _compatible(design: Design, before: Draft, norm: Draft) -> bool:
    """Fusing must not break a quantiser: weights (biases) stay in their format only where the scale is 1 (the shift 0)."""
    scale = "weight" not in before.quantised and "scale" not in norm.quantised
    shift = "bias" not in before.quantised and "bias" not in norm.quantised
    return (scale or _all(design, norm, "scale", 1.0)) and (shift or _all(design, norm, "bias", 0.0))


def _all(design: Design, draft: Draft, variable: str, value: float) -> bool:
    values = design.graph.values.get(draft.weights.get(variable, ""))
    return values is not None and draft.kind == "ApplyAlpha" and bool(np.all(np.asarray(values) == value))


def dense_on_a_matrix(design: Design) -> bool:
    """A Dense on more than a vector is a convolution with a kernel of 1, made anew from what the source says."""
    if (found := first(design, lambda d, x: len(d.shape_of(x.inputs[0])) > 1, ("Dense",))) is None:
        return False
    dims = len(design.shape_of(found.inputs[0])) - 1
    if dims > 2:
        raise InputError(f"layer {found.name!r}: a Dense on a tensor of {dims + 1} dimensions; hls4ml takes at most 3. Flatten it before")
    found.kind = f"Conv{dims}D"
    found.kernel, found.stride, found.padding = (1,) * dims, (1,) * dims, (0, 0) * dims
    found.quantised = {v: f for v, f in found.quantised.items() if v == "result"}
    found.use_bias = found.source_bias
    design.declare(found)
    return True


def drop_linear(design: Design) -> bool:
    """A linear activation that changes no format goes."""

    def matches(design: Design, draft: Draft) -> bool:
        return draft.operation == "linear" and design.type_of(draft.inputs[0]) == draft.result

    if (found := first(design, matches, ("Activation",))) is None:
        return False
    design.remove(found)
    return True


def merge_linear(design: Design) -> bool:
    """A linear activation after a layer whose format is open goes; a quantiser hands its format to that layer."""

    def matches(design: Design, draft: Draft) -> bool:
        before = design.maker(draft.inputs[0])
        return draft.operation == "linear" and before.kind in (*_MATRIX, *_NORMS, *_ACTIVATIONS) and before.result is None

    if (found := first(design, matches, ("Activation",))) is None:
        return False
    if "result" in found.quantised:
        design.maker(found.inputs[0]).types["result"] = found.quantised["result"]
    design.remove(found)
    return True


def infer_formats(design: Design) -> bool:
    """The first layer with open formats and known inputs gets its formats."""
    for draft in design.layers.values():
        inputs = [design.type_of(i) for i in draft.inputs]
        if None in draft.types.values() and (not inputs or inputs[0] is not None):
            infer(draft, [i or design.config.default for i in inputs], design.config)
            return True
    return False


CONVERT: tuple[Pass, ...] = (
    fuse_batch_norms_in_a_row,
    fuse_batch_norm,
    dense_on_a_matrix,
    drop_linear,
    merge_linear,
    infer_formats,
)
"""hls4ml's `convert` flow."""


def repack_reshapes(design: Design) -> bool:
    """In a stream a Reshape that is no Flatten has to pack the data anew."""

    def matches(design: Design, draft: Draft) -> bool:
        return len(draft.shape) > 1 or draft.outputs[0] in design.outputs

    if not design.streaming or (found := first(design, matches, ("Reshape",))) is None:
        return False
    repack = Draft(f"repack_{found.name}", "Repack", list(found.inputs), found.shape, in_shape=found.in_shape, nodes=found.nodes)
    design.replace(found, repack)
    repack.types["result"] = found.result
    return True


def clone_streams(design: Design) -> bool:
    """In a stream a tensor with several readers needs a copy for each."""

    def copies(tensor: str) -> int:
        return len(design.readers(tensor)) + (tensor in design.outputs)

    if not design.streaming:
        return False
    found = first(design, lambda d, x: x.kind != "Clone" and any(copies(t) > 1 for t in x.outputs))
    if found is None:
        return False
    _clone(design, found, next(t for t in found.outputs if copies(t) > 1))
    return True


def _clone(design: Design, draft: Draft, tensor: str) -> None:
    given_out = tensor in design.outputs
    readers = design.readers(tensor)
    count = len(readers) + given_out
    if count > _MOST_CLONES:
        raise InputError(f"layer {draft.name!r}: {count} layers read its stream; hls4ml copies a stream at most {_MOST_CLONES} times")
    names = [f"{tensor}_cpy{i + 1}" for i in range(count)]
    if given_out:
        design.outputs[design.outputs.index(tensor)] = names[0]
    for reader, name in zip(readers, names[given_out:], strict=True):
        reader.inputs[reader.inputs.index(tensor)] = name
    clone = Draft(f"clone_{draft.name}", "Clone", [tensor], draft.shape, outputs=names, in_shape=draft.shape)
    design.add(clone, after=draft.name)
    clone.types["result"] = draft.result


def pad_streams(dims: int) -> Pass:
    """In a stream the padding of a convolution is a layer of its own."""

    def step(design: Design) -> bool:
        kinds = (f"Conv{dims}D", f"DepthwiseConv{dims}D")
        if not design.streaming or (found := first(design, lambda d, x: any(x.padding), kinds)) is None:
            return False
        _pad(design, found)
        return True

    return step


def _pad(design: Design, draft: Draft) -> None:
    source = design.maker(draft.inputs[0])
    pads = draft.padding
    spatial = tuple(s + pads[2 * i] + pads[2 * i + 1] for i, s in enumerate(draft.in_shape[:-1]))
    shape = (*spatial, draft.in_shape[-1])
    dims = len(spatial)
    name = f"zp{dims}d_{draft.name}"
    layer = Draft(name, f"ZeroPadding{dims}D", list(draft.inputs), shape, in_shape=draft.in_shape, padding=pads)
    layer.n_in, layer.n_out = prod(draft.in_shape), prod(shape)
    draft.padding, draft.in_shape = (0,) * len(pads), shape
    design.add(layer, after=source.name)
    reader = draft if dims == 2 else _first_reader(design, source, layer)
    reader.inputs[0] = name
    layer.types["result"] = design.type_of(layer.inputs[0])


def _first_reader(design: Design, source: Draft, new: Draft) -> Draft:
    """The reader that hls4ml puts a 1-d padding in front of: the first of `source`, which need not be the convolution."""
    return next(d for d in design.layers.values() if d is not new and d.inputs and d.inputs[0] in source.outputs)


def broadcast_streams(design: Design) -> bool:
    """In a stream a smaller operand of a merge is repeated by a layer of its own (Vivado only)."""

    def matches(design: Design, draft: Draft) -> bool:
        return design.shape_of(draft.inputs[0]) != design.shape_of(draft.inputs[1])

    if not design.streaming or not design.backend.startswith("Vivado") or (found := first(design, matches, ("Merge", "Dot"))) is None:
        return False
    shapes = [design.shape_of(i) for i in found.inputs]
    small = int(prod(shapes[0]) > prod(shapes[1]))
    shape, target, tensor = shapes[small], shapes[1 - small], found.inputs[small]
    if len(shape) != 3 or not ((shape[:2] == (1, 1) and shape[2] == target[2]) or (shape[2] == 1 and shape[:2] == target[:2])):
        raise InputError(
            f"layer {found.name!r}: io_stream cannot repeat {shape} to {target}; hls4ml takes (1, 1, C) or (H, W, 1) to (H, W, C)"
        )
    layer = design.add(Draft(f"broadcast_{tensor}", "Broadcast", [tensor], target, in_shape=shape), after=design.maker(tensor).name)
    found.inputs[small] = layer.name
    return True


STREAM: tuple[Pass, ...] = (repack_reshapes, clone_streams, pad_streams(1), pad_streams(2), broadcast_streams)
"""hls4ml's `streaming` flow."""


def drop_last_reshape(design: Design) -> bool:
    """A Reshape at the end changes nothing in io_parallel."""
    if design.streaming or (found := first(design, lambda d, x: not d.readers(x.outputs[0]), ("Reshape",))) is None:
        return False
    design.remove(found)
    return True


def pointwise(design: Design) -> bool:
    """A convolution with a kernel of 1 has a template of its own; settings of the layer count once more, unrounded."""

    def matches(design: Design, draft: Draft) -> bool:
        return prod(draft.kernel) == 1 and not (draft.kind == "Conv1D" and draft.strategy == "distributed_arithmetic")

    if (found := first(design, matches, ("Conv1D", "Conv2D"))) is None:
        return False
    found.kind = f"Pointwise{found.kind}"
    found.reuse_factor = int(design.config.attribute(found.name, found.kind, "reuse_factor", found.reuse_factor))
    factor = design.config.attribute(found.name, found.kind, "parallelization_factor", found.parallelization_factor)
    found.parallelization_factor = int(factor)
    return True


def reshape_in_place(design: Design) -> bool:
    """A Reshape in io_parallel, and a Flatten in a stream, is its input by another name, so it has its format."""

    def matches(design: Design, draft: Draft) -> bool:
        flat = len(draft.shape) == 1 and draft.outputs[0] not in design.outputs
        return (flat or not design.streaming) and draft.result != design.type_of(draft.inputs[0])

    if (found := first(design, matches, ("Reshape",))) is None:
        return False
    found.types["result"] = design.type_of(found.inputs[0])
    return True


def skip_softmax(design: Design) -> bool:
    """A softmax with `Skip` goes."""
    found = first(design, lambda d, x: d.config.attribute(x.name, x.kind, "skip", False), ("Softmax",))
    if found is None:
        return False
    design.remove(found)
    return True


def softmax_tables(design: Design) -> bool:
    """Tables of a softmax have no more entries than its input, and the input of the inversion, have values."""
    for draft in design.layers.values():
        if draft.kind == "Softmax" and design.config.attribute(draft.name, draft.kind, "inv_table_size") is None:
            formats = (design.type_of(draft.inputs[0]), draft.types["inv_table"])
            draft.table_size = min(draft.table_size, 2 ** min(f.width for f in formats if f is not None))
    return False


FINISH: tuple[Pass, ...] = (
    drop_last_reshape,
    pointwise,
    reshape_in_place,
    skip_softmax,
    softmax_tables,
    infer_formats,
)
"""hls4ml's `optimize` flow of the backend."""
