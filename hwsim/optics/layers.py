"""Convolution layers of a network one by one: what the bench makes of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import InputError, UnknownName
from hwsim.graph import Graph, Node
from hwsim.optics.bench import Bench
from hwsim.optics.error_model import relative_error
from hwsim.optics.geometry import shown
from hwsim.optics.measures import effective_bits, relative_rms, snr_db
from hwsim.optics.simulation import convolve, frame_count, ideal


@dataclass(frozen=True)
class LayerError:
    """What a bench leaves of one convolution."""

    path: str
    kernel: tuple[int, ...]
    """Shape of the kernels, `(out, in / groups, rows, columns)`."""
    groups: int
    signs: str
    """How signs were shown."""
    frames: int
    """Frames of the simulation, those of a sample of the channels where it is one."""
    error: float
    """Rms of the difference over rms of the exact result, before the bias."""
    image: tuple[int, ...] = ()
    """Rows and columns, where they are known."""
    sampled: tuple[int, int] | None = None
    """Input channels a group and output channels that were simulated, where not all of them."""
    samples: int = 1
    """Images and draws of the noise that the error is the mean of."""
    least: float | None = None
    """Smallest error of a draw."""
    most: float | None = None

    @property
    def bits(self) -> float:
        """Bits of a quantiser that leaves the same error."""
        return float(effective_bits(self.error)) if self.error > 0 else float("inf")

    @property
    def snr_db(self) -> float:
        """Ratio of signal to error, decibels."""
        return float(snr_db(self.error)) if self.error > 0 else float("inf")

    def closed_form(self, bench: Bench) -> float:
        """The same error by the fitted closed form, which knows neither crosstalk nor misalignment; nan where the image is not known."""
        if not self.image:
            return float("nan")
        fields = ("input_bits", "mask_bits", "camera_bits", "photons", "read_noise_e", "full_well_e", "detection")
        return float(
            relative_error(
                **{name: getattr(bench, name) for name in fields},
                kernel=(self.kernel[2] * self.kernel[3]) ** 0.5,
                size=(self.image[0] * self.image[1]) ** 0.5,
                channels=self.kernel[1],
                signs=self.signs,
            )
        )


@dataclass(frozen=True)
class ConvLayer:
    """Shapes of one convolution, its weights if they are known."""

    path: str
    image: tuple[int, int]
    kernel: tuple[int, int, int, int]
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    negative_image: bool = False
    """Whether the image has negative values: nothing in front of the layer cuts them off."""
    weight: str = ""
    """Name of its kernels' tensor in the graph."""


NONNEGATIVE = ("relu", "relu6", "sigmoid", "hard_sigmoid", "hardsigmoid", "abs", "softmax", "neuron")
"""Functions and operators whose results are not negative."""
PASSED_ON = ("pool", "reshape", "transpose", "concat", "pad", "resize", "slice", "split", "expand", "tile", "copy", "cast", "roll")
"""Operators that keep the sign of what they are given; sums do, too."""


def conv_layers(graph: Graph) -> tuple[list[ConvLayer], list[str]]:
    """The 2-d convolutions of a graph, and a line for each other one (1-d, 3-d, transposed), which stays in electronics."""
    makers = {name: node for node in graph.nodes for name in node.outputs}
    found: list[ConvLayer] = []
    left: list[str] = []
    for node in graph.nodes:
        if node.kind != "conv":
            continue
        image, kernel = (graph.tensors[name].shape for name in node.inputs[:2])
        if len(kernel) != 4 or node.attrs["transposed"]:
            left.append(f"{node.path or node.name}: {'transposed' if node.attrs['transposed'] else f'{len(kernel) - 2}-d'} convolution")
            continue
        plain = {name: node.attrs[name] for name in ("stride", "padding", "dilation", "groups")}
        sizes = (image[2], image[3]), (kernel[0], kernel[1], kernel[2], kernel[3])
        negative = not _nonnegative(node.inputs[0], makers)
        found.append(ConvLayer(node.path or node.name, *sizes, negative_image=negative, weight=node.inputs[1], **plain))
    return found, left


def _nonnegative(tensor: str, makers: Mapping[str, Node], depth: int = 8) -> bool:
    """Whether a tensor cannot be negative, as far as the operators in front of it tell; inputs of the network are taken for images."""
    node = makers.get(tensor)
    if node is None:
        return True
    fn = node.attrs.get("fn")
    if node.kind in NONNEGATIVE or fn in NONNEGATIVE:
        return True
    keeps = node.kind in PASSED_ON or (node.kind == "elementwise" and fn == "add")
    return keeps and depth > 0 and all(_nonnegative(name, makers, depth - 1) for name in node.inputs)


OPTIONS: dict[str, int] = {"in": 64, "out": 64, "kernel": 3, "size": 16, "stride": 1, "padding": -1, "dilation": 1, "groups": 1}
"""Of a layer that is written as text; padding -1: half the kernel."""


def written_layer(text: str) -> ConvLayer:
    """A layer such as `conv?in=64&out=64&kernel=3&size=16`.

    Raises:
        UnknownName: an option that does not exist.
        InputError: a value that is no number of at least 1 (padding: 0).

    >>> written_layer("conv?in=8&kernel=5").kernel
    (64, 8, 5, 5)
    """
    given = dict(OPTIONS)
    for item in filter(None, text.partition("?")[2].split("&")):
        name, _, value = item.partition("=")
        if name not in OPTIONS:
            raise UnknownName("option of conv:", name, OPTIONS)
        if not value.isdigit() or (name != "padding" and int(value) < 1):
            least = 0 if name == "padding" else 1
            raise InputError(f"conv, option {name!r}: found {value!r}; expected a whole number of at least {least}")
        given[name] = int(value)
    channels, outs, kernel, size, groups = (given[n] for n in ("in", "out", "kernel", "size", "groups"))
    if channels % groups or outs % groups:
        raise InputError(f"conv: found in={channels}, out={outs}, groups={groups}; expected channels that the groups divide")
    padding = given["padding"] if given["padding"] >= 0 else (kernel - 1) * given["dilation"] // 2
    return ConvLayer(
        "conv",
        (size, size),
        (outs, channels // groups, kernel, kernel),
        stride=given["stride"],
        padding=padding,
        dilation=given["dilation"],
        groups=groups,
    )


def is_written(text: str) -> bool:
    """Whether a text names a layer and not a network."""
    return text.partition("?")[0] == "conv"


@dataclass(frozen=True)
class _Sample:
    """The channels and pixels of a layer that are simulated."""

    layer: ConvLayer
    groups: int
    outs: int
    """Of a group."""
    each: int
    """Input channels of a group."""
    image: tuple[int, int]

    @classmethod
    def of(cls, layer: ConvLayer, *, max_channels: int | None, max_pixels: int) -> _Sample:
        outs, each = layer.kernel[0] // layer.groups, layer.kernel[1]
        limit = max_channels or max(outs, each, layer.groups)
        groups = min(layer.groups, limit)
        image = min(layer.image[0], max_pixels), min(layer.image[1], max_pixels)
        return cls(layer, groups, min(outs, max(1, limit // groups)), min(each, limit), image)

    @property
    def complete(self) -> bool:
        outs, each = self.layer.kernel[0] // self.layer.groups, self.layer.kernel[1]
        return (self.groups, self.outs, self.each, self.image) == (self.layer.groups, outs, each, self.layer.image)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the kernels."""
        return self.groups * self.outs, self.each, self.layer.kernel[2], self.layer.kernel[3]

    def kernels(self, rng: np.random.Generator, given: Any, *, unsigned: bool) -> np.ndarray:
        """The first channels of given weights, else normal numbers (uniform ones where nothing may be negative)."""
        if given is None:
            return rng.random(self.shape, dtype=np.float32) if unsigned else rng.standard_normal(self.shape, dtype=np.float32)
        weights = np.asarray(given, dtype=np.float32)
        if weights.shape != self.layer.kernel:
            raise InputError(f"{self.layer.path}: found weights of shape {weights.shape}; expected {self.layer.kernel}")
        grouped = weights.reshape(self.layer.groups, -1, *weights.shape[1:])
        return grouped[: self.groups, : self.outs, : self.each].reshape(self.shape)

    def images(self, rng: np.random.Generator, *, signed: bool) -> np.ndarray:
        """One image of uniform numbers."""
        found = rng.random((1, self.groups * self.each, *self.image), dtype=np.float32)
        return 2 * found - 1 if signed else found


def simulate_layer(
    layer: ConvLayer, bench: Bench, *, samples: int = 1, max_channels: int | None = 8, max_pixels: int = 256, kernels: Any = None
) -> LayerError:
    """Error of one layer on a bench, for random images (uniform) and random kernels (normal).

    Args:
        samples: images, each with a draw of the noise; the error is the mean, its range is kept.
        max_channels: of a larger layer this many groups, input channels a group and output channels are simulated; None: all.
        max_pixels: a larger image is cut to this many rows and columns.
        kernels: the layer's own weights, shape `(out, in / groups, rows, columns)`, instead of random ones.

    Raises:
        InputError: as `convolve`.

    >>> layer = written_layer("conv?in=4&out=4&size=8")
    >>> found = simulate_layer(layer, Bench(input_bits=8, mask_bits=8, camera_bits=8))
    >>> found.signs, found.frames, 0 < found.error < 0.1
    ('kernel', 32, True)
    """
    rng, part = np.random.default_rng(bench.seed), _Sample.of(layer, max_channels=max_channels, max_pixels=max_pixels)
    signed = layer.negative_image or bench.signs == "both"
    weights = part.kernels(rng, kernels, unsigned=bench.signs == "unsigned")
    sizes: dict[str, Any] = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation, "groups": part.groups}
    errors = []
    for draw in range(samples):
        images = part.images(rng, signed=signed)
        found = convolve(images, weights, bench=bench, seed=bench.seed + draw, **sizes)
        errors.append(relative_rms(found, ideal(images, weights, **sizes)))
    way = bench.passes(negative_image=signed, negative_kernel=bool((weights < 0).any()))
    return LayerError(
        layer.path,
        layer.kernel,
        layer.groups,
        way,
        frame_count((samples, part.groups * part.each, *part.image), part.shape, signs=way),
        float(np.mean(errors)),
        image=layer.image,
        sampled=None if part.complete else (part.groups * part.each, part.groups * part.outs),
        samples=samples,
        least=min(errors),
        most=max(errors),
    )


def simulate_layers(
    layers: Sequence[ConvLayer],
    bench: Bench,
    *,
    weights: Mapping[str, Any] | None = None,
    tell: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> Iterator[LayerError]:
    """The layers in turn; options as for `simulate_layer`.

    Args:
        weights: kernels by the name of the tensor in the graph, where they are known.
        tell: called with a line for each layer.
    """
    for i, layer in enumerate(layers):
        tell(f"{layer.path}: {layer.kernel[1] * layer.groups} -> {layer.kernel[0]}, {shown(layer.kernel[2:])} on {shown(layer.image)}")
        own = replace(bench, seed=bench.seed + 1000 * i)
        yield simulate_layer(layer, own, kernels=(weights or {}).get(layer.weight), **options)


def network_layers(
    model: Any, *, dims: Mapping[str, int] | None = None, only: Sequence[str] = ()
) -> tuple[list[ConvLayer], list[str], dict[str, np.ndarray]]:
    """The convolutions of a network or of a written layer, those that stay in electronics, and the weights of an ONNX file.

    Args:
        only: parts of paths; layers with none of them are left out.

    Raises:
        InputError: nothing reads the model, or it has no such convolution.
    """
    from hwsim import api

    if isinstance(model, str) and is_written(model):
        return [written_layer(model)], [], {}
    graph = api.load(model, dims=dims)
    layers, left = conv_layers(graph)
    chosen = [layer for layer in layers if not only or any(text in layer.path for text in only)]
    if not chosen:
        what = f"{len(layers)} 2-d convolutions, none with {' or '.join(map(repr, only))} in its path" if only else "no 2-d convolution"
        raise InputError(f"{graph.name}: found {what}; expected at least one to simulate")
    return chosen, left, onnx_weights(model, names={layer.weight for layer in chosen})


def onnx_weights(model: Any, *, names: set[str]) -> dict[str, np.ndarray]:
    """Initial values of an ONNX file by name; nothing for other models."""
    if not (isinstance(model, str | Path) and str(model).endswith(".onnx")):
        return {}
    import onnx
    from onnx import numpy_helper

    listed = onnx.load(str(model)).graph.initializer
    return {item.name: numpy_helper.to_array(item).astype(np.float32) for item in listed if item.name in names}
