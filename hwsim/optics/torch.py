"""Convolution layers of a torch network on a simulated 4f bench: a drop-in replacement, weights as they are."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hwsim.errors import InputError, MissingExtra
from hwsim.optics.bench import Bench
from hwsim.optics.layers import LayerError
from hwsim.optics.simulation import Programmed, convolve, frame_count, program

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional
except ImportError:
    raise MissingExtra("torch", "torch") from None

KEPT_B = 1 << 28
"""Masks larger than this are made anew at each call."""


@dataclass
class _Sums:
    """Squares since the last reset."""

    error: float = 0.0
    signal: float = 0.0
    frames: int = 0
    signs: str = ""


class OpticalConv2d(nn.Module):
    """A `torch.nn.Conv2d` whose products are made on a bench; channels are summed, and the bias added, in electronics.

    The gradient is that of the exact convolution (straight through). Noise is drawn anew at each call, from the bench's seed on.
    `error` says how far the results since `reset` are from the exact ones.
    """

    def __init__(self, conv: nn.Conv2d, bench: Bench) -> None:
        super().__init__()
        self.conv, self.bench = conv, bench
        self.calls = 0
        self._sums = _Sums()
        self._masks: tuple[Any, Programmed] | None = None

    @classmethod
    def from_conv(cls, conv: nn.Conv2d, bench: Bench) -> OpticalConv2d:
        """The optical form of a convolution; its parameters are shared, not copied.

        Raises:
            InputError: not a `torch.nn.Conv2d`.
        """
        if type(conv) is not nn.Conv2d:
            raise InputError(
                f"found {type(conv).__name__}; expected torch.nn.Conv2d (bring 1-d and transposed convolutions into that form)"
            )
        return cls(conv, bench)

    def forward(self, images: Tensor) -> Tensor:
        """As `torch.nn.Conv2d`; shape `(batch, in, rows, columns)` or one image `(in, rows, columns)`.

        Raises:
            InputError: signs that the bench does not show.
        """
        if images.dim() == 3:
            return self(images[None])[0]
        conv = self.conv
        padded, padding = _padded(images, conv)
        exact = functional.conv2d(padded, conv.weight, None, conv.stride, padding, conv.dilation, conv.groups)
        with torch.no_grad():
            found = self._optical(padded.detach(), padding)
            self._count(found, exact.detach(), padded)
        result = exact + (found - exact.detach())
        return result if conv.bias is None else result + conv.bias[:, None, None]

    def _optical(self, images: Tensor, padding: tuple[int, int]) -> Tensor:
        seed = self.bench.seed + self.calls
        self.calls += 1
        return convolve(images, self._programmed(images, padding), bench=self.bench, seed=seed)

    def _programmed(self, images: Tensor, padding: tuple[int, int]) -> Programmed:
        """The masks, kept as long as weights and image size stay the same."""
        weight = self.conv.weight.detach()
        key = (weight.data_ptr(), self.conv.weight._version, tuple(images.shape[2:]), images.dtype, images.device)
        if self._masks and self._masks[0] == key:
            return self._masks[1]
        sizes: dict[str, Any] = {"padding": padding, "stride": self.conv.stride, "dilation": self.conv.dilation, "groups": self.conv.groups}
        made = program(weight.to(images.dtype), _rows_columns(images), bench=self.bench, **sizes)
        self._masks = (key, made) if made.size_b <= KEPT_B else None
        return made

    def _count(self, found: Tensor, exact: Tensor, images: Tensor) -> None:
        sums, weight = self._sums, self.conv.weight
        sums.error += float(((found - exact).double() ** 2).sum())
        sums.signal += float((exact.double() ** 2).sum())
        way = self.bench.passes(negative_image=bool((images < 0).any()), negative_kernel=bool((weight < 0).any()))
        sums.signs = way
        sums.frames += frame_count(tuple(images.shape), tuple(weight.shape), signs=way)

    @property
    def error(self) -> float:
        """Relative rms error of all results since `reset`, before the bias; nan before the first call."""
        return (self._sums.error / self._sums.signal) ** 0.5 if self._sums.signal > 0 else float("nan")

    def reset(self) -> None:
        """Forget the results so far, and begin the noise anew."""
        self._sums, self.calls = _Sums(), 0

    def layer_error(self, path: str) -> LayerError:
        """The error so far under the layer's name."""
        weight = self.conv.weight
        return LayerError(path, tuple(weight.shape), self.conv.groups, self._sums.signs, self._sums.frames, self.error)

    def extra_repr(self) -> str:
        """What the printed module says."""
        return repr(self.bench)


def replace_convolutions(
    model: nn.Module, bench: Bench, *, only: Callable[[str, nn.Conv2d], bool] | None = None, inplace: bool = False
) -> nn.Module:
    """The network with its 2-d convolutions on a bench, everything else as it is.

    Args:
        only: says by name and layer which convolutions are replaced; all of them by default.
        inplace: change `model` itself instead of a copy.

    Returns:
        The network; each optical layer has noise of its own.

    Raises:
        InputError: there is no convolution to replace.
    """
    found = model if inplace else copy.deepcopy(model)
    listed = [(name, m) for name, m in found.named_modules() if type(m) is nn.Conv2d and not _inside_optical(found, name)]
    chosen = [(name, conv) for name, conv in listed if only is None or only(name, conv)]
    if not chosen:
        raise InputError(f"found {len(listed)} 2-d convolutions, none of them chosen; expected at least one torch.nn.Conv2d to replace")
    if chosen[0][0] == "":
        return OpticalConv2d.from_conv(chosen[0][1], bench)
    for i, (name, conv) in enumerate(chosen):
        parent, _, own = name.rpartition(".")
        setattr(found.get_submodule(parent), own, OpticalConv2d.from_conv(conv, replace(bench, seed=bench.seed + 7919 * i)))
    return found


def optical_layers(model: nn.Module) -> Mapping[str, OpticalConv2d]:
    """The optical layers of a network by name."""
    return {name: m for name, m in model.named_modules() if isinstance(m, OpticalConv2d)}


def layer_errors(model: nn.Module) -> list[LayerError]:
    """Relative error, effective bits and signal to noise of each optical layer, over what has run since `reset_errors`."""
    return [layer.layer_error(name) for name, layer in optical_layers(model).items()]


def reset_errors(model: nn.Module) -> None:
    """Forget the results of all optical layers."""
    for layer in optical_layers(model).values():
        layer.reset()


@dataclass(frozen=True)
class Comparison:
    """A network on a bench beside the exact one."""

    layers: list[LayerError]
    error: float
    """Relative rms error of the outputs."""
    agreement: float
    """Share of the samples whose largest output is the same."""


def compare(
    model: nn.Module, bench: Bench, batches: Iterable[Tensor], *, only: Callable[[str, nn.Conv2d], bool] | None = None
) -> Comparison:
    """Run a network with and without the bench on the same batches.

    Raises:
        InputError: no convolution to replace, or no batch.
    """
    optical = replace_convolutions(model, bench, only=only).eval()
    exact = copy.deepcopy(model).eval()
    error = signal = same = count = 0.0
    with torch.no_grad():
        for batch in batches:
            found, expected = optical(batch), exact(batch)
            error += float(((found - expected).double() ** 2).sum())
            signal += float((expected.double() ** 2).sum())
            same += float((found.flatten(1).argmax(1) == expected.flatten(1).argmax(1)).sum())
            count += len(batch)
    if not count:
        raise InputError("found no batch; expected at least one tensor of inputs")
    return Comparison(layer_errors(optical), (error / signal) ** 0.5, same / count)


def _inside_optical(model: nn.Module, name: str) -> bool:
    parents = name.split(".")
    return any(isinstance(model.get_submodule(".".join(parents[:i])), OpticalConv2d) for i in range(1, len(parents)))


def _rows_columns(images: Tensor) -> tuple[int, int]:
    return int(images.shape[2]), int(images.shape[3])


def _padded(images: Tensor, conv: nn.Conv2d) -> tuple[Tensor, tuple[int, int]]:
    """The image as the modulator shows it, and the dark border that the frame has anyway."""
    around = conv._reversed_padding_repeated_twice
    if conv.padding_mode != "zeros":
        return functional.pad(images, around, mode=conv.padding_mode), (0, 0)
    if isinstance(conv.padding, str) and around[0::2] != around[1::2]:
        return functional.pad(images, around), (0, 0)
    return images, (around[2], around[0])
