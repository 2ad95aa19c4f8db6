"""Passes through a 4f bench: counts against an enumeration, kinds of convolutions, bad input."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from hwsim import GraphBuilder
from hwsim.errors import InputError, UnknownName
from hwsim.graph import Graph
from hwsim.targets.optical import TARGET
from hwsim.targets.optical.lower import lower
from hwsim.targets.optical.tiling import NEVER, apertures, cut, plan

BENCH = TARGET.device("optical-generic")


def sized(side: int, **changed: float) -> Any:
    pixels = dict.fromkeys(("input_x", "input_y", "mask_x", "mask_y", "camera_x", "camera_y"), float(side))
    return replace(BENCH, **pixels, **changed)


def one_conv(
    *,
    batch: int = 2,
    channels: int = 6,
    out: int = 4,
    size: int = 12,
    kernel: int = 3,
    shared: str = "",
    bias: bool = False,
    **attrs: Any,
) -> Graph:
    b = GraphBuilder("one", batch=batch, source="test")
    groups, wide = attrs.get("groups", 1), attrs.get("transposed", False)
    shape = (channels, out // groups, kernel, kernel) if wide else (out, channels // groups, kernel, kernel)
    w = b.add(shared, [b.weight((1, 1, kernel, kernel))], shape=shape, path="w") if shared else b.weight(shape)
    operands = [b.input("x", (batch, channels, size, size)), w, *([b.weight((out,), name="bias")] if bias else [])]
    return b.finish([b.add("conv", operands, path="conv", **attrs)])


def columns(graph: Graph, **options: Any) -> Any:
    return lower(graph, BENCH, TARGET.mapping(**options)).tables[0].columns


def counts(graph: Graph, side: int, *, tiling: str = "batch", **options: Any) -> Any:
    mapping = TARGET.mapping(tiling=tiling, **options)
    found = plan(lower(graph, sized(side), mapping).tables[0].columns, sized(side), mapping, channel=tiling == "channel")
    return {name: float(np.asarray(value)[0]) for name, value in vars(found).items()}


def enumerated(graph: Graph, side: int, *, tiling: str, signs: int = 2) -> int:
    """Frames by walking over channels, images and tiles; for what fits the aperture."""
    conv = graph.nodes[-1]
    (batch, channels, size, _), (out, inner, kernel, _) = (graph.tensors[t].shape for t in conv.inputs[:2])
    tiles, frames = (side // (size + kernel - 1)) ** 2, 0
    for _ in range(out):
        if tiling == "batch":
            for _ in range(inner):
                frames += signs * len(range(0, batch, tiles))
        else:
            frames += signs * batch * len(range(0, inner, tiles))
    assert channels == inner * conv.attrs["groups"]
    return frames


@settings(deadline=None, max_examples=50)
@given(
    batch=st.integers(1, 9),
    groups=st.sampled_from([1, 2, 6]),
    size=st.integers(3, 12),
    kernel=st.integers(1, 5),
    side=st.integers(16, 64),
    tiling=st.sampled_from(["batch", "channel"]),
)
def test_frames_are_those_of_an_enumeration(batch: int, groups: int, size: int, kernel: int, side: int, tiling: str) -> None:
    graph = one_conv(batch=batch, groups=groups, channels=6, out=6, size=size, kernel=kernel, padding=kernel // 2)
    assert counts(graph, side, tiling=tiling)["frames"] == enumerated(graph, side, tiling=tiling)


def on_aperture(image: np.ndarray, kernel: np.ndarray, aperture: int) -> np.ndarray:
    """What a bench computes: a convolution that wraps around at the edge of the aperture."""
    assert len(image) <= aperture
    assert len(kernel) <= aperture
    return np.fft.irfft(np.fft.rfft(image, aperture) * np.fft.rfft(kernel, aperture), aperture)


def by_blocks(image: np.ndarray, kernel: np.ndarray, first: int, results: int, aperture: int, blocks: int, pieces: int) -> np.ndarray:
    """Results `first` and on of a convolution, by overlap-save with kernels in pieces."""
    part, step = -(-len(kernel) // pieces), -(-results // blocks)
    found = np.zeros(results)
    for piece in range(0, len(kernel), part):
        taps = kernel[piece : piece + part]
        for start in range(0, results, step):
            begin = first + start - piece - len(taps) + 1
            window = np.array([image[i] if 0 <= i < len(image) else 0.0 for i in range(begin, begin + step + len(taps) - 1)])
            kept = on_aperture(window, taps, aperture)[len(taps) - 1 : len(taps) - 1 + step]
            found[start : start + step] += kept[: results - start]
    return found


@settings(deadline=None, max_examples=200)
@given(image=st.integers(1, 60), kernel=st.integers(1, 60), aperture=st.integers(1, 70), split=st.booleans(), padding=st.floats(0.0, 1.0))
def test_what_exceeds_the_aperture_is_cut_so_that_the_parts_give_the_result(
    image: int, kernel: int, aperture: int, split: bool, padding: float
) -> None:
    pad = max(round(padding * (kernel - 1)), -(-(kernel - image) // 2))
    results = image + 2 * pad - kernel + 1
    sizes = [np.array([float(n)]) for n in (image, kernel, results)]
    found = cut(np, *sizes, float(aperture), split_kernels=split)
    blocks, pieces = float(found.blocks[0]), float(found.pieces[0])
    if blocks == NEVER:
        assert not split
        assert kernel > aperture
        return
    assert split or pieces == 1
    assert float(found.shown[0]) >= image
    rng = np.random.default_rng(image + 100 * kernel)
    x, w = rng.normal(size=image), rng.normal(size=kernel)
    expected = np.convolve(x, w)[kernel - 1 - pad :][:results]
    if image + kernel - 1 <= aperture:
        assert (blocks, pieces, float(found.tile[0])) == (1, 1, image + kernel - 1)
        np.testing.assert_allclose(on_aperture(x, w, aperture)[kernel - 1 - pad :][:results], expected, atol=1e-9)
    elif blocks == 1 and image + math.ceil(kernel / pieces) - 1 <= aperture:
        part = math.ceil(kernel / pieces)
        whole = np.zeros(image + kernel - 1 + part)
        for piece in range(0, kernel, part):
            taps = w[piece : piece + part]
            whole[piece : piece + image + len(taps) - 1] += on_aperture(x, taps, aperture)[: image + len(taps) - 1]
        np.testing.assert_allclose(whole[kernel - 1 - pad :][:results], expected, atol=1e-9)
    else:
        shown = by_blocks(x, w, kernel - 1 - pad, results, aperture, int(blocks), int(pieces))
        np.testing.assert_allclose(shown, expected, atol=1e-9)


def test_tiles_do_not_spill_into_each_other() -> None:
    """As many images as the plan has tiles, side by side on one aperture, under one mask."""
    rng, (size, kernel, side) = np.random.default_rng(0), (5, 4, 26)
    found = counts(one_conv(batch=9, channels=1, out=1, size=size, kernel=kernel), side)
    assert (found["tiles"], found["frames"]) == (9, 2)
    images, w = rng.normal(size=(9, size, size)), rng.normal(size=(kernel, kernel))
    plane, pitch = np.zeros((side, side)), size + kernel - 1
    for i, one in enumerate(images):
        plane[i // 3 * pitch :, i % 3 * pitch :][:size, :size] = one
    seen = np.fft.irfft2(np.fft.rfft2(plane) * np.fft.rfft2(w, (side, side)), (side, side))
    for i, one in enumerate(images):
        alone = np.fft.irfft2(np.fft.rfft2(one, (pitch, pitch)) * np.fft.rfft2(w, (pitch, pitch)), (pitch, pitch))
        np.testing.assert_allclose(seen[i // 3 * pitch :, i % 3 * pitch :][:pitch, :pitch], alone, atol=1e-12)


def test_channels_side_by_side_are_summed_by_the_optics() -> None:
    """As many channels as the plan has tiles: each kernel opposite to its channel, so that all results meet in one tile."""
    rng, (size, kernel, side) = np.random.default_rng(0), (5, 4, 26)
    found = counts(one_conv(batch=1, channels=9, out=1, size=size, kernel=kernel), side, tiling="channel")
    assert (found["tiles"], found["frames"]) == (9, 2)
    images, kernels = rng.normal(size=(9, size, size)), rng.normal(size=(9, kernel, kernel))
    plane, mask, pitch = np.zeros((side, side)), np.zeros((side, side)), size + kernel - 1
    for i in range(9):
        y, x = i // 3 * pitch, i % 3 * pitch
        plane[y : y + size, x : x + size] = images[i]
        mask += np.roll(np.pad(kernels[i], ((0, side - kernel),) * 2), (-y, -x), axis=(0, 1))
    seen = np.fft.irfft2(np.fft.rfft2(plane) * np.fft.rfft2(mask), (side, side))[:pitch, :pitch]
    shape = (pitch, pitch)
    apart = [np.fft.irfft2(np.fft.rfft2(x, shape) * np.fft.rfft2(w, shape), shape) for x, w in zip(images, kernels, strict=True)]
    np.testing.assert_allclose(seen, sum(apart), atol=1e-12)


@pytest.mark.parametrize("way", ["expand", "tile"])
def test_depthwise_and_shared_kernels(way: str) -> None:
    depthwise = columns(one_conv(groups=6, out=6))
    shared = columns(one_conv(groups=6, out=6, shared=way))
    assert shared.data[0] == 0
    assert (depthwise.images[0], depthwise.inner[0], depthwise.outer[0]) == (2, 1, 6)
    assert (shared.images[0], shared.inner[0], shared.outer[0], shared.groups[0]) == (12, 1, 1, 1)
    assert counts(one_conv(groups=6, out=6), 64)["frames"] == 12
    assert counts(one_conv(groups=6, out=6, shared=way), 64)["frames"] == 2


def test_one_image_a_frame_is_what_the_simulation_shows() -> None:
    from hwsim.optics.simulation import frame_count

    for signs in ("unsigned", "kernel", "both"):
        expected = frame_count((2, 6, 12, 12), (4, 6, 3, 3), signs=signs)
        assert counts(one_conv(padding=1), 14, signs=signs)["frames"] == expected


def test_a_stride_drops_pixels_and_saves_no_frame() -> None:
    full, strided = (counts(one_conv(padding=1, stride=s), 64) for s in (1, 2))
    assert full["frames"] == strided["frames"]
    assert full["pixels"] == 4 * strided["pixels"]


def test_dilation_and_transposition_widen_what_is_shown() -> None:
    assert columns(one_conv(dilation=3, padding=3)).kernel_x[0] == 7
    wide = columns(one_conv(transposed=True, stride=2))
    assert (wide.image_x[0], wide.out_x[0]) == (23, 25)


def test_padding_changes_what_the_camera_keeps() -> None:
    same, valid = (counts(one_conv(padding=p), 64) for p in (1, 0))
    assert same["frames"] == valid["frames"]
    assert (same["pixels"], valid["pixels"]) == (2 * 24 * 2 * 144, 2 * 24 * 2 * 100)


def test_one_dimension_is_one_row_of_pixels() -> None:
    b = GraphBuilder("one", batch=1, source="test")
    c = columns(b.finish([b.add("conv", [b.input("x", (1, 4, 50)), b.weight((8, 4, 5))])]))
    assert (c.image_x[0], c.image_y[0], c.kernel_x[0], c.kernel_y[0], c.out_x[0], c.out_y[0]) == (50, 1, 5, 1, 46, 1)


def test_three_dimensions_are_left_to_electronics() -> None:
    b = GraphBuilder("one", batch=1, source="test")
    graph = b.finish([b.add("conv", [b.input("x", (1, 2, 8, 8, 8)), b.weight((2, 2, 3, 3, 3))])])
    program = lower(graph, BENCH, TARGET.mapping())
    assert [t.count.shape[0] for t in program.tables] == [0, 1]
    assert program.tables[1].columns.ops[0] == 2 * graph.macs


def test_sums_and_bias_are_operations_of_the_co_processor() -> None:
    for tiling, terms in (("batch", 2 * 6), ("channel", 2)):
        e = hwsim.estimate(one_conv(bias=True, padding=1), sized(128), set={"electronics_b_per_s": 0}, tiling=tiling)
        ops = 2 * 4 * 144 * (terms - 1 + 1)
        assert float(e.cost.extra["electronics_s"]) == pytest.approx(ops / 1e12)


def test_the_camera_binds_where_it_reads_slowly() -> None:
    e = hwsim.estimate(one_conv(padding=1), sized(128), set={"readout_pixel_per_s": 1e3}, tiling="batch")
    assert float(e.cost.extra["readout_s"]) > float(e.cost.extra["frames_s"])
    pixels = 2 * 24 * 2 * 144
    frames = 2 * 24
    assert float(e.cost.extra["readout_s"] + e.cost.extra["frames_s"]) == pytest.approx(frames * 20e-6 + pixels / 1e3)
    assert e.bound_share()["conversion"] > 0.9


def test_values_are_written_in_the_cheaper_order() -> None:
    """Inputs stay while cheap masks change; masks stay while a batch passes under dear ones."""
    graph = one_conv(batch=50)
    options: dict[str, Any] = {"tiling": "batch", "signs": "kernel"}
    held = hwsim.estimate(graph, sized(30), set={"mask_dac_j": 0}, **options)
    still = hwsim.estimate(graph, sized(30), set={"mask_dac_j": "1 uJ"}, **options)
    frames = 2 * 24 * math.ceil(50 / 4)
    assert float(held.layers[0].extra["masks"]) == frames
    assert float(still.layers[0].extra["masks"]) == 2 * 24
    pixels = 2 * 24 * 50 * 100
    assert held.layers[0].extra["conversions"] - pixels == 6 * 50 * 144
    assert still.layers[0].extra["conversions"] - pixels == 2 * 24 * 50 * 144


def test_electronics_keep_what_they_are_told_to_keep() -> None:
    whole = hwsim.estimate("fatnet", "fatnet")
    without = hwsim.estimate("fatnet", "fatnet", electronics="classifier, conv4")
    assert float(whole.cost.extra["convolutions"] - without.cost.extra["convolutions"]) == 155 + 78 * 151 + 151 * 155


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"input_x": 0}, "quantity 'input_x': found 0.0; expected more than 0"),
        ({"mask_y": -5}, "quantity 'mask_y': found -5.0; expected more than 0"),
        (
            {"camera_x": 2000},
            "optical-generic, field 'camera_x': found 2000; "
            "expected no more than input_x, 1024: the input modulator limits the field of view",
        ),
        (
            {"mask_y": 1000},
            "optical-generic, field 'camera_y': found 1024; expected no more than mask_y, 1000: the Fourier mask limits the field of view",
        ),
        ({"camera_bits": 0.5}, "optical-generic, field 'camera_bits': found 0.5; expected at least 1 bit"),
        ({"input_bits": 0}, "quantity 'input_bits': found 0.0; expected more than 0"),
        ({"optical_efficiency": 1.5}, "optical-generic, field 'optical_efficiency': found 1.5; expected more than 0 and at most 1"),
        ({"wall_plug_efficiency": 0}, "optical-generic, field 'wall_plug_efficiency': found 0; expected more than 0 and at most 1"),
        ({"input_x": np.array([[64.0], [0.0]])}, "optical-generic, field 'input_x': found a column of 2; expected at least 1 pixel"),
        ({"mask_bits": np.array([[4.0], [0.0]])}, "optical-generic, field 'mask_bits': found a column of 2; expected at least 1 bit"),
        ({"exposure_s": "-1 us"}, "quantity 'exposure_s': found -1e-06; expected 0 or more"),
        ({"wavelength_m": "633 nJ"}, "quantity 'wavelength_m': found '633 nJ' with the unit 'nJ'; expected m, such as '12 m'"),
    ],
)
def test_impossible_benches_are_refused(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        BENCH.with_overrides(overrides)
    assert str(error.value) == message


def test_a_column_may_hold_cameras_that_are_larger_than_what_lights_them() -> None:
    """Grids of a sweep contain such points; what all parts have in common counts."""
    found = BENCH.with_overrides({"input_x": np.array([[512.0], [1024.0]])})
    assert apertures(found)[0].ravel().tolist() == [512.0, 1024.0]


def test_large_kernels_are_split_or_refused() -> None:
    graph = one_conv(size=40, kernel=35, padding=17)
    split = hwsim.estimate(graph, sized(30))
    assert split.fits
    assert split.warnings[0] == "conv is larger than the aperture of optical-generic with the kernel's tail; cut into blocks or pieces"
    assert float(split.cost.extra["frames"]) > float(hwsim.estimate(graph, sized(128)).cost.extra["frames"])
    with pytest.raises(InputError) as error:
        hwsim.estimate(graph, sized(30), split_kernels=False)
    assert str(error.value) == (
        "conv: a kernel of 35 x 35 pixels is larger than the aperture of optical-generic, 30 x 30; "
        "allow it to be split (split_kernels=true), or take a larger bench"
    )
    assert hwsim.estimate(graph, sized(35), split_kernels=False).fits


def test_a_column_of_benches_that_cannot_hold_the_kernel_is_beyond_every_budget() -> None:
    mapping = TARGET.mapping(split_kernels=False)
    program = TARGET.lower(one_conv(size=40, kernel=35), device=sized(128), mapping=mapping)
    sides = {name: np.array([[30.0], [128.0]]) for name in ("input_x", "mask_x", "camera_x")}
    latency = TARGET.cost(program, device=replace(sized(128), **sides), mapping=mapping).latency_s
    assert latency[0] > 1e20
    assert latency[1] < 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tiling": "rows"}, "unknown tiling of an optical bench 'rows'"),
        ({"signs": "none"}, "unknown signs of an optical bench 'none'"),
        ({"linear": "full"}, "unknown linear of an optical bench 'full'"),
        ({"padding": "same"}, "unknown mapping option of an optical bench 'padding'"),
    ],
)
def test_unknown_choices_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownName) as error:
        TARGET.mapping(**options)
    assert str(error.value).startswith(message)


def test_wrong_kinds_of_choices_are_refused() -> None:
    with pytest.raises(InputError, match=r"^split_kernels is 'maybe'; expected true or false$"):
        TARGET.mapping(split_kernels="maybe")


def test_an_unknown_detection_is_refused() -> None:
    with pytest.raises(UnknownName, match="detection of a 4f bench 'heterodyne'"):
        replace(BENCH, detection="heterodyne")


def test_apertures_are_what_all_parts_have_in_common() -> None:
    assert apertures(replace(BENCH, camera_x=300.5, mask_y=700.0, camera_y=650.0)) == (300.0, 650.0)


def test_idealised_assumptions_are_called_that() -> None:
    ideal, charged = (hwsim.estimate("lenet5", name) for name in ("fatnet", "fast-slm-2mhz"))
    assert ideal.warnings == ("fatnet charges nothing for conversion, readout, electronics: a lower bound, not a forecast",)
    assert charged.warnings == ()
    assert hwsim.estimate("lenet5", "fast-slm-2mhz", set={"laser_w": "1 nW"}).warnings == (
        "conv1, conv2 are left with less than one effective bit; more light, finer converters or fewer channels help",
    )
    assert charged.latency_s > 0
    assert charged.energy_j > 0


def test_one_network_on_all_families() -> None:
    found = hwsim.compare("resnet18", ["a100-sxm-80gb", "xcu250", "fast-slm-2mhz"])
    assert [e.program.family for e in found] == ["gpu", "fpga", "optical"]
    assert all(e.latency_s > 0 for e in found)
