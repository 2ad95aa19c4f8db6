"""Dense layers, convolutions and pooling."""

from __future__ import annotations

from math import prod

from hwsim.graph import Node
from hwsim.ops.dense import conv_padding
from hwsim.targets.fpga.composed import COMPOSED, einsum_dense
from hwsim.targets.fpga.translate import NotPossibleError, Translator, Value, flat_pads, formats, image_axes, rule, spatial, stored


@rule("linear")
def linear(t: Translator, node: Node) -> None:
    """Dense; on a matrix it becomes a convolution with a kernel of 1 later."""
    if t.source_class(node) in COMPOSED:
        return einsum_dense(t, node)
    return _dense(t, node, t.plain(node.inputs[0]))


def _dense(t: Translator, node: Node, value: Value) -> None:
    weights = stored(t, node)
    n_out, n_in = t.graph.tensors[weights["weight"]].shape[:2]
    facts = {"n_in": n_in, "n_out": n_out, "use_bias": "bias" in weights, "weights": weights, "quantised": formats(t, weights)}
    t.add(node, "Dense", [value], axes=value.axes, **facts)


@rule("conv")
def conv(t: Translator, node: Node) -> None:
    """Conv1D and Conv2D, ordinary and depthwise; a Dense over the channels of an image is a Dense first."""
    if t.source_class(node) in ("Dense", "QDense"):
        return _dense(t, node, t.image(node.inputs[0]))
    weights = stored(t, node)
    kernel = t.graph.tensors[weights["weight"]].shape
    dims, groups, channels = len(kernel) - 2, node.attrs["groups"], t.shape(node.inputs[0])[0]
    _possible(node, dims=dims, groups=groups, channels=channels)
    depthwise = groups > 1 or (channels == 1 and "Depthwise" in t.source_class(node))
    t.add(
        node,
        f"{'Depthwise' if depthwise else ''}Conv{dims}D",
        [t.image(node.inputs[0])],
        axes=image_axes(dims + 1),
        n_in=prod(kernel[1:]),
        n_out=kernel[0],
        groups=groups,
        kernel=tuple(kernel[2:]),
        stride=spatial(node.attrs["stride"], dims),
        padding=flat_pads(conv_padding(node.attrs["padding"], dims)),
        use_bias="bias" in weights,
        weights=weights,
        quantised=formats(t, weights),
    )
    return None


def _possible(node: Node, *, dims: int, groups: int, channels: int) -> None:
    if node.attrs["transposed"]:
        raise NotPossibleError("transposed; hls4ml has none. Use up-sampling and a convolution")
    if dims > 2:
        raise NotPossibleError(f"{dims}-dimensional; hls4ml has 1 and 2 dimensions")
    if groups not in (1, channels):
        raise NotPossibleError(f"{groups} groups of {channels} channels; hls4ml has 1 group, or one a channel. Split it by hand")
    if any(d != 1 for d in spatial(node.attrs["dilation"], dims)):
        raise NotPossibleError("dilated; hls4ml ignores the dilation. Use a larger kernel with zeros")


@rule("pool")
def pool(t: Translator, node: Node) -> None:
    """Max and average pooling, global pooling."""
    shape = t.shape(node.inputs[0])
    dims = len(shape) - 1
    operation = {"max": "max", "avg": "average"}.get(node.attrs["fn"])
    if operation is None or dims not in (1, 2):
        raise NotPossibleError(f"{node.attrs['fn']} pooling in {dims} dimensions; hls4ml has max and average in 1 and 2")
    if node.attrs["output_size"] is not None:
        return _global_pool(t, node, operation)
    if any(d != 1 for d in spatial(node.attrs["dilation"], dims)):
        raise NotPossibleError("dilated; hls4ml's pooling has no dilation")
    kernel = spatial(node.attrs["kernel"], dims)
    stride = kernel if node.attrs["stride"] is None else spatial(node.attrs["stride"], dims)
    pads = flat_pads(conv_padding(node.attrs["padding"], dims))
    facts = {"operation": operation, "kernel": kernel, "stride": stride, "padding": pads}
    t.add(node, f"Pooling{dims}D", [t.image(node.inputs[0])], axes=image_axes(dims + 1), n_in=shape[0], n_out=shape[0], **facts)
    return None


def _global_pool(t: Translator, node: Node, operation: str) -> None:
    shape = t.shape(node.inputs[0])
    dims = len(shape) - 1
    if prod(spatial(node.attrs["output_size"], dims)) != 1:
        raise NotPossibleError(f"adaptive to {node.attrs['output_size']}; hls4ml has fixed windows and global pooling")
    global_pool(t, node, operation, keep=True)


def global_pool(t: Translator, node: Node, operation: str, *, keep: bool) -> None:
    """A pooling over all pixels to a vector; the pixel axes stay only where a reader needs them, which hls4ml has no code for yet."""
    shape = t.shape(node.inputs[0])
    dims = len(shape) - 1
    if dims not in (1, 2):
        raise NotPossibleError(f"global pooling in {dims} dimensions; hls4ml has 1 and 2")
    t.add(
        node,
        f"GlobalPooling{dims}D",
        [t.image(node.inputs[0])],
        axes=image_axes(dims + 1) if keep else None,
        shape=((1,) * dims if keep and _needs_pixels(t, node.outputs[0]) else ()) + (shape[0],),
        operation=operation,
        kernel=tuple(shape[1:]),
        stride=tuple(shape[1:]),
        n_in=shape[0],
        n_out=shape[0],
    )


def _needs_pixels(t: Translator, tensor: str) -> bool:
    """Whether some reader wants more than the vector."""
    readers = t.graph.consumers.get(tensor, ())
    return any(len(t.shape(r.outputs[0])) > 1 and not (r.kind == "transpose" and not _needs_pixels(t, r.outputs[0])) for r in readers)
