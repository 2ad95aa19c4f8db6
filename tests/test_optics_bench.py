"""The simulated 4f bench: exact where its parts are, seeded, sample by sample, and clear about what it cannot do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.api import find
from hwsim.errors import InputError, UnknownName
from hwsim.optics import Bench, convolve, effective_bits, ideal, program, relative_rms, snr_db

PERFECT = (
    Bench(),
    Bench(detection="intensity"),
    Bench(camera_bits=44),
    Bench(camera_bits=44, detection="intensity"),
    Bench(signs="both"),
    Bench(frame_px=48, camera_bits=44),
)
"""Parts without errors, through the frames of single pairs and through sums of spectra; 44 bits of a camera are beyond float32."""


@st.composite
def layers(draw: Any) -> dict[str, Any]:
    """Sizes of a convolution that exists."""
    groups, each, outs = (draw(st.integers(1, 3)) for _ in range(3))
    kernel, dilation, stride = ([draw(st.integers(1, most)) for _ in "yx"] for most in (5, 2, 3))
    padding = [(draw(st.integers(0, 5)), draw(st.integers(0, 5))) for _ in "yx"]
    span = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    image = [draw(st.integers(max(1, s - sum(p)), 14)) for s, p in zip(span, padding, strict=True)]
    return {
        "images": (draw(st.integers(1, 3)), groups * each, *image),
        "kernels": (groups * outs, each, *kernel),
        "window": {"stride": tuple(stride), "dilation": tuple(dilation), "groups": groups},
        "padding": padding,
        "seed": draw(st.integers(0, 1 << 20)),
    }


@settings(max_examples=40, deadline=None)
@given(layers(), st.sampled_from(PERFECT), st.booleans(), st.booleans())
def test_a_perfect_bench_is_conv2d(layer: dict[str, Any], bench: Bench, in_torch: bool, double: bool) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(layer["seed"])
    kind = np.float64 if double else np.float32
    images, kernels = (rng.normal(size=layer[name]).astype(kind) for name in ("images", "kernels"))
    (top, bottom), (left, right) = layer["padding"]
    dark = torch.nn.functional.pad(torch.from_numpy(images), (left, right, top, bottom))
    expected = torch.nn.functional.conv2d(dark, torch.from_numpy(kernels), **layer["window"]).numpy()
    both = (torch.from_numpy(images), torch.from_numpy(kernels)) if in_torch else (images, kernels)
    found = np.asarray(convolve(*both, bench=bench, padding=layer["padding"], **layer["window"]))
    assert found.shape == expected.shape
    assert found.dtype == kind
    largest = max(np.abs(expected).max(), np.abs(images).max() * np.abs(kernels).max())  # where only padding is read, zero is expected
    assert np.abs(found - expected).max() <= 1e-5 * largest


def layer(*, seed: int = 0, batch: int = 1, signed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    images = rng.random((batch, 4, 12, 12), dtype=np.float32)
    return 2 * images - 1 if signed else images, rng.standard_normal((6, 4, 3, 3), dtype=np.float32)


COARSE = Bench(input_bits=6, mask_bits=6, camera_bits=6)
NOISY = Bench(input_bits=8, mask_bits=8, camera_bits=8, photons=1e3, read_noise_e=2, crosstalk_frac=0.02, misalignment_px=0.3)


@pytest.mark.parametrize("detection", ["coherent", "intensity"])
def test_samples_do_not_depend_on_their_neighbours(detection: str) -> None:
    bench = Bench(input_bits=5, mask_bits=5, camera_bits=5, detection=detection, crosstalk_frac=0.05, misalignment_px=0.5)
    images, kernels = layer(batch=3)
    together = convolve(images, kernels, bench=bench)
    louder = np.concatenate([images[:1], 100 * images[1:]])
    assert np.allclose(together[:1], convolve(images[:1], kernels, bench=bench), rtol=1e-5, atol=1e-5)
    assert np.allclose(together[:1], convolve(louder, kernels, bench=bench)[:1], rtol=1e-5, atol=1e-5)


def test_noise_follows_its_seed() -> None:
    images, kernels = layer()
    first, again, other = (convolve(images, kernels, bench=NOISY, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_masks_can_be_kept() -> None:
    images, kernels = layer()
    kept = program(kernels, (12, 12), bench=NOISY, padding=1)
    assert np.array_equal(convolve(images, kept, bench=NOISY, padding=1), convolve(images, kernels, bench=NOISY, padding=1))


def test_numpy_and_torch_agree() -> None:
    torch = pytest.importorskip("torch")
    images, kernels = layer()
    found = convolve(torch.from_numpy(images), torch.from_numpy(kernels), bench=COARSE).numpy()
    # A rounding may fall to the other side.
    assert relative_rms(found, convolve(images, kernels, bench=COARSE)) < 0.01


@pytest.mark.parametrize("detection", ["coherent", "intensity"])
@pytest.mark.parametrize("part", ["input_bits", "mask_bits", "camera_bits"])
def test_more_bits_are_less_error(part: str, detection: str) -> None:
    images, kernels = layer()
    exact = ideal(images, kernels)
    errors = [relative_rms(convolve(images, kernels, bench=Bench(detection=detection, **{part: b})), exact) for b in (3, 5, 7, 9, 11)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 8 * errors[-1]


def test_four_times_the_photons_are_half_the_error() -> None:
    images, kernels = layer()
    exact = ideal(images, kernels)
    few, many = (relative_rms(convolve(images, kernels, bench=Bench(photons=n)), exact) for n in (1e5, 4e5))
    assert few / many == pytest.approx(2, rel=0.15)


def test_a_full_well_stops_the_exposure() -> None:
    images, kernels = layer()
    capped, fewer = Bench(photons=1e6, full_well_e=1e4), Bench(photons=1e4)
    assert np.array_equal(convolve(images, kernels, bench=capped), convolve(images, kernels, bench=fewer))


def test_an_intensity_does_not_feel_a_shifted_mask() -> None:
    images, kernels = layer()
    plain, shifted = (convolve(images, kernels, bench=Bench(camera_bits=8, misalignment_px=d, detection="intensity")) for d in (0, 1))
    assert np.array_equal(plain, shifted)
    field = [convolve(images, kernels, bench=Bench(camera_bits=8, misalignment_px=d)) for d in (0, 1)]
    assert 0.01 < relative_rms(field[1], field[0]) < 0.5


def test_dark_frames_stay_dark() -> None:
    images, kernels = layer()
    assert not convolve(0 * images, kernels, bench=NOISY).any()


def test_signs_take_passes() -> None:
    images, kernels = layer(signed=True)
    assert Bench().passes(negative_image=True, negative_kernel=True) == "both"
    assert Bench().passes(negative_image=False, negative_kernel=True) == "kernel"
    assert relative_rms(convolve(images, kernels, bench=Bench(camera_bits=16)), ideal(images, kernels)) < 1e-3


def test_measures() -> None:
    assert float(effective_bits(0.0015791)) == pytest.approx(7.514, abs=1e-3)
    assert float(snr_db(0.01)) == pytest.approx(40)
    assert relative_rms(np.zeros(3), np.zeros(3)) == 0
    assert math.isinf(relative_rms(np.ones(3), np.zeros(3)))


IMAGES, KERNELS = np.ones((1, 2, 4, 4)), np.ones((3, 2, 3, 3))
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"input_bits": 0.5}, "input_bits is 0.5; expected at least 1 bit"),
    ({"mask_bits": 0}, "mask_bits is 0; expected at least 1 bit"),
    ({"camera_bits": math.nan}, "camera_bits is nan; expected at least 1 bit"),
    ({"photons": 0}, "photons is 0; expected more than 0 at the brightest pixel (math.inf: no shot noise)"),
    ({"photons": -5.0}, "photons is -5.0; expected more than 0 at the brightest pixel (math.inf: no shot noise)"),
    ({"read_noise_e": -1}, "read_noise_e is -1; expected 0 or more"),
    ({"crosstalk_frac": 1.0}, "crosstalk_frac is 1.0; expected a share, 0 to below 1"),
    ({"detection": "coherrent"}, "unknown detection 'coherrent'. Did you mean 'coherent'?"),
    ({"signs": "bot"}, "unknown way of showing signs 'bot'. Did you mean 'both'?"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED, ids=[m[:24] for _, m in REFUSED])
def test_a_bench_that_cannot_be(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as found:
        Bench(**fields)
    assert str(found.value) == message


CALLS: list[tuple[dict[str, Any], str]] = [
    (
        {"kernels": np.ones((3, 2, 5, 5))},
        "a kernel of 5x5 with dilation (1, 1) needs 5x5 pixels, found an image of 4x4 with padding ((0, 0), (0, 0)); "
        "pad the image or take a smaller kernel",
    ),
    (
        {"kernels": np.ones((3, 3, 3, 3))},
        "images have 2 channels, kernels are (3, 3, 3, 3) with groups=1; "
        "expected 3 channels and a number of outputs that the groups divide",
    ),
    ({"images": np.ones((2, 4, 4))}, "images (2, 4, 4) and kernels (3, 2, 3, 3); expected (batch, in, rows, columns) and (out, in, ...)"),
    ({"images": IMAGES.astype(int)}, "found numbers of int64; expected float32 or float64"),
    ({"images": IMAGES.astype(np.float32)}, "images are float32 and kernels float64; expected one type"),
    ({"stride": 0}, "found stride (0, 0) and dilation (1, 1); expected at least 1"),
    ({"padding": -1}, "padding is -1; expected 0 or more"),
    ({"padding": (1, 1, 1)}, "padding is (1, 1, 1); expected p, (p, p) or ((before, after), (before, after))"),
    ({"stride": (1, 2, 3)}, "stride is (1, 2, 3); expected a whole number or two of them"),
    (
        {"bench": Bench(frame_px=5)},
        "frame_px is 5; image and kernel together need 6x6 pixels, give at least 6",
    ),
    (
        {"images": -IMAGES, "bench": Bench(signs="kernel")},
        "the image has negative values, which signs='kernel' does not show; use signs='both' or signs='auto'",
    ),
    (
        {"kernels": -KERNELS, "bench": Bench(signs="unsigned")},
        "the kernel has negative values, which signs='unsigned' does not show; use signs='kernel' or signs='auto'",
    ),
]


@pytest.mark.parametrize(("changes", "message"), CALLS, ids=[m[:24] for _, m in CALLS])
def test_a_convolution_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as found:
        convolve(**{"images": IMAGES, "kernels": KERNELS, "bench": Bench(), **changes})
    assert str(found.value) == message


def test_a_bench_comes_from_a_device() -> None:
    _, device = find("lcos", overrides={"camera_bits": 7})
    bench = Bench.of(device, photons=1e4, seed=None)
    assert (bench.camera_bits, bench.photons, bench.input_bits) == (7, 1e4, device.input_bits)
    assert Bench.of(device).photons > 0
    with pytest.raises(UnknownName, match="Did you mean 'photons'"):
        Bench.of(device, photon=3)
    with pytest.raises(InputError, match=r"found 'l4' of the family 'gpu'; expected an optical bench"):
        Bench.of(find("l4")[1])
    with pytest.raises(InputError, match="'camera_bits' is a column of points; expected a single number to simulate"):
        Bench.of(device.with_overrides({"camera_bits": np.array([[6.0], [8.0]])}))


def test_other_arrays_are_refused() -> None:
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(InputError, match="expected numpy or torch to simulate"):
        convolve(strict.asarray(IMAGES), strict.asarray(KERNELS), bench=Bench())
