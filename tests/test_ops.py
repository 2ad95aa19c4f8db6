"""Operators: shapes and work against definitions and against torch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import GraphBuilder, ops
from hwsim.dtypes import dtype, names
from hwsim.errors import GraphError, HwsimError, InputError, UnknownName
from hwsim.ops.core import broadcast
from hwsim.ops.dense import attended_frac
from hwsim.ops.pointwise import FUNCTIONS


def work(kind: str, *shapes: tuple[int, ...], fmt: str = "fp32", **attrs):
    b = GraphBuilder("g", dtype=fmt)
    operands = [b.input(f"x{i}", shape) for i, shape in enumerate(shapes)]
    out = b.add(kind, operands, **attrs)
    graph = b.finish([out])
    return graph.work[0], graph.tensors[out].shape


def test_registering_twice_is_an_error() -> None:
    with pytest.raises(HwsimError) as error:
        ops.register(ops.get("linear"))
    assert str(error.value) == "operator kind 'linear' is registered twice; pick another name"


def test_every_kind_has_a_summary() -> None:
    assert all(ops.get(kind).summary for kind in ops.kinds())


@given(lq=st.integers(1, 12), extra=st.integers(0, 8), causal=st.booleans(), window=st.none() | st.integers(1, 30))
def test_attended_share_equals_the_mask(lq: int, extra: int, causal: bool, window: int | None) -> None:
    keys = lq + extra
    q, k = np.arange(lq)[:, None] + extra, np.arange(keys)[None, :]
    mask = np.ones((lq, keys), bool)
    if causal:
        mask &= k <= q
        if window:
            mask &= k > q - window
        assert attended_frac(lq, keys, causal=causal, window=window) == pytest.approx(mask.mean())
    else:
        if window:
            mask &= abs(k - q) < window
        assert attended_frac(lq, keys, causal=causal, window=window) >= mask.mean() - 1e-12


@given(st.lists(st.lists(st.sampled_from([1, 3]), max_size=4).map(tuple), min_size=1, max_size=3))
def test_broadcasting_is_numpys(shapes: list[tuple[int, ...]]) -> None:
    assert broadcast(shapes) == np.broadcast_shapes(*shapes)


def test_broadcast_error_names_the_shapes() -> None:
    with pytest.raises(GraphError, match=r"^shapes \(2, 3\), \(4,\) do not broadcast$"):
        broadcast([(2, 3), (4,)])


@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("transposed", [False, True])
def test_conv_shapes_are_torchs(kernel: int, stride: int, padding: int, transposed: bool) -> None:
    torch = pytest.importorskip("torch")
    make = torch.nn.ConvTranspose2d if transposed else torch.nn.Conv2d
    layer = make(4, 6, kernel, stride=stride, padding=padding, groups=2, device="meta")
    x = torch.empty(2, 4, 9, 11, device="meta")
    done, shape = work("conv", tuple(x.shape), tuple(layer.weight.shape), stride=stride, padding=padding, groups=2, transposed=transposed)
    assert shape == tuple(layer(x).shape)
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        layer(x)
    assert 2 * done.macs == counter.get_total_flops()


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("size", [7, 8, 9])
@pytest.mark.parametrize("kernel,stride,padding", [(2, 2, 0), (3, 2, 1), (3, 2, 0), (3, 3, 1)])
def test_pool_shapes_are_torchs(ceil: bool, size: int, kernel: int, stride: int, padding: int) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)
    _, shape = work("pool", (1, 2, size, size), kernel=kernel, stride=stride, padding=padding, ceil=ceil)
    assert shape == tuple(layer(torch.zeros(1, 2, size, size)).shape)


def test_attention_with_a_cache_reads_and_keeps_it() -> None:
    done, _ = work("attention", (2, 8, 1, 64), (2, 2, 1, 64), (2, 2, 1, 64), fmt="fp16", kv_len=99)
    assert done.macs == 2 * 8 * 100 * 128
    assert done.state_b == 2 * 2 * 100 * 128 * 2
    assert done.read_b == 2 * 8 * 64 * 2 + 2 * 2 * 100 * 128 * 2


@pytest.mark.parametrize("kind", ["reshape", "slice", "expand"])
def test_views_are_free(kind: str) -> None:
    done, _ = work(kind, (4, 4), shape=(4, 4))
    assert done.read_b == done.written_b == done.macs == 0


def test_copies_cost_bytes() -> None:
    done, shape = work("transpose", (4, 8), perm=(1, 0))
    assert shape == (8, 4)
    assert done.read_b == done.written_b == 4 * 8 * 4


def test_int4_weights_take_half_a_byte() -> None:
    b = GraphBuilder("g", dtype="fp16")
    out = b.add("linear", [b.input("x", (1, 64)), b.weight((32, 64), "int4")])
    assert b.finish([out]).weight_b == 32 * 64 / 2


def test_scan_formulas() -> None:
    done, _ = work("selective_scan", (1, 8, 10), (1, 8, 10), (8, 16), (1, 16, 10), (1, 16, 10))
    assert (done.macs, done.special, done.state_b) == (8 * 10 * 16, 8 * 10 * 16, 8 * 16 * 4)
    done, shape = work("fft", (4, 1024), real=True)
    assert shape == (4, 513)
    assert done.ops == 2.5 * 4 * 1024 * 10


def test_every_function_has_a_cost() -> None:
    assert all(simple >= 1 and special >= 0 for simple, special in FUNCTIONS.values())


@pytest.mark.parametrize("name,bits", [("float16", 16), ("e4m3", 8), ("int4", 4), ("ternary", 2), ("binary", 1), ("tf32", 32)])
def test_dtypes_by_alias(name: str, bits: int) -> None:
    assert dtype(name).bits == bits


def test_fixed_point() -> None:
    fixed = dtype("ap_fixed<16, 6>")
    assert (fixed.bits, fixed.integer_bits, fixed.family, str(fixed)) == (16, 6, "fixed", "ap_fixed<16,6>")
    with pytest.raises(InputError, match=r"^fixed-point width 0 in 'ap_fixed<0,1>'; expected 1 to 1024 bits$"):
        dtype("ap_fixed<0,1>")


def test_unknown_dtype_suggests() -> None:
    with pytest.raises(UnknownName) as error:
        dtype("fp17")
    assert str(error.value).startswith("unknown dtype 'fp17'. Did you mean 'fp")
    assert "fp16" in names()
