"""Reshapes, transposes, padding, concatenation, up-sampling, embedding."""

from __future__ import annotations

from math import prod

from hwsim.graph import Node
from hwsim.targets.fpga.translate import NotPossibleError, Translator, Value, flat_pads, image_axes, is_image, rule
from hwsim.targets.fpga.translate_dense import global_pool
from hwsim.targets.fpga.translate_sequence import take_step

LAST = ("keras", "hls4ml", "wa_hls4ml")
"""Front ends whose sources have channels last, so that a Reshape there takes the elements as they lie, whatever our layout."""


@rule("reshape", "expand")
def reshape(t: Translator, node: Node) -> None:
    """Reshape; nothing where only axes of size 1 come or go after global pooling, or where the batch axis alone changes."""
    source, target = t.shape(node.inputs[0]), t.shape(node.outputs[0])
    value = t.laid_out(node.inputs[0])
    if prod(source) != prod(target):
        raise NotPossibleError(f"{source} to {target}; hls4ml neither repeats elements nor moves them between samples")
    if source == target:
        return t.rename(node, value)
    kept = t.design.maker(value.tensor)
    if kept.kind.startswith("GlobalPooling") and len(target) == 1:
        return t.rename(node, Value(value.tensor, (0,)))
    ordered = t.graph.attrs.get("frontend") in LAST or (len(target) == 1 and not t.design.streaming)
    axes = image_axes(len(target)) if len(target) > 1 and is_image(t.graph, node.outputs[0]) else None
    inputs = [value if ordered else t.plain(node.inputs[0])]
    t.add(node, "Reshape", inputs, axes=axes, n_in=prod(source), n_out=prod(target))
    return None


@rule("transpose")
def transpose(t: Translator, node: Node) -> None:
    """A Transpose layer for a Permute of the source; otherwise a change of view, turned into a layer where a reader needs it."""
    perm = tuple(node.attrs["perm"])
    if perm[0] != 0:
        raise NotPossibleError("it moves the batch axis; hls4ml has none")
    value = t.laid_out(node.inputs[0])
    if t.source_class(node) in ("Permute", "Transpose"):
        t.add(node, "Transpose", [t.plain(node.inputs[0])], operation=str(tuple(p - 1 for p in perm[1:])))
        return
    t.rename(node, Value(value.tensor, tuple(value.axes[p - 1] for p in perm[1:])))


@rule("concat")
def concat(t: Translator, node: Node) -> None:
    """Concatenation of two tensors."""
    if len(node.inputs) != 2 or not all(t.is_data(i) for i in node.inputs):
        raise NotPossibleError(f"of {len(node.inputs)} tensors; hls4ml concatenates two at a time. Chain it")
    axes = t.value(node.inputs[0]).axes
    inputs = [t.value(i, axes) for i in node.inputs]
    axis = node.attrs["axis"] % len(t.graph.tensors[node.outputs[0]].shape)
    if axis == 0:
        raise NotPossibleError("along the batch; hls4ml has no batch axis")
    count = prod(t.shape(node.outputs[0]))
    t.add(node, "Concatenate", inputs, axes=axes, operation=f"concatenate{len(axes)}d", n_in=count, n_out=count)


@rule("pad")
def pad(t: Translator, node: Node) -> None:
    """ZeroPadding1D and ZeroPadding2D."""
    pads = [tuple(p) for p in node.attrs["pads"]]
    rank = len(pads) - 1
    if pads[0] != (0, 0) or pads[1] != (0, 0) or rank not in (2, 3) or node.attrs["mode"] != "constant":
        raise NotPossibleError(f"mode {node.attrs['mode']!r}, pads {pads}; hls4ml pads rows and columns of an image with zeros")
    value, dims = t.image(node.inputs[0]), rank - 1
    sizes = {"n_in": prod(t.shape(node.inputs[0])), "n_out": prod(t.shape(node.outputs[0]))}
    t.add(node, f"ZeroPadding{dims}D", [value], axes=image_axes(rank), padding=flat_pads(pads[2:]), **sizes)


@rule("resize")
def resize(t: Translator, node: Node) -> None:
    """Up-sampling."""
    if node.attrs["mode"] not in ("nearest", "bilinear"):
        raise NotPossibleError(f"mode {node.attrs['mode']!r}; hls4ml has nearest and bilinear")
    rank = len(t.shape(node.inputs[0]))
    sizes = {"n_in": prod(t.shape(node.inputs[0])), "n_out": prod(t.shape(node.outputs[0]))}
    t.add(node, "Resize", [t.image(node.inputs[0])], axes=image_axes(rank), operation=node.attrs["mode"], **sizes)


@rule("reduce")
def reduce(t: Translator, node: Node) -> None:
    """A mean or maximum over all pixels is global pooling."""
    operation = {"mean": "average", "max": "max"}.get(node.attrs["fn"])
    rank = len(t.shape(node.inputs[0]))
    axes = node.attrs["axes"]
    pixels = axes is not None and sorted(a % (rank + 1) for a in axes) == list(range(2, rank + 1))
    if operation is None or not pixels or rank not in (2, 3):
        raise NotPossibleError(f"{node.attrs['fn']} over axes {axes}; hls4ml has the mean and the maximum over all pixels (global pooling)")
    global_pool(t, node, operation, keep=node.attrs["keepdims"])


@rule("embedding")
def embedding(t: Translator, node: Node) -> None:
    """Rows of a table."""
    table, indices = node.inputs
    rows, width = t.graph.tensors[table].shape
    t.add(node, "Embedding", [t.plain(indices)], n_in=rows, n_out=width, weights={"embeddings": table})


@rule("slice", "gather")
def crop(t: Translator, node: Node) -> None:
    """A part of an image (Cropping), or the last step of a recurrent layer; which part does not matter to the cost."""
    if not t.is_data(node.inputs[0]) or take_step(t, node):
        return None
    source, target = t.shape(node.inputs[0]), t.shape(node.outputs[0])
    if source == target:
        return t.rename(node, t.laid_out(node.inputs[0]))
    rank = len(source)
    if rank not in (2, 3) or len(target) != rank or source[0] != target[0]:
        raise NotPossibleError("a part of a tensor; hls4ml crops rows and columns of an image only")
    sizes = {"n_in": prod(source), "n_out": prod(target)}
    t.add(node, f"Cropping{rank - 1}D", [t.image(node.inputs[0])], axes=image_axes(rank), **sizes)
    return None
