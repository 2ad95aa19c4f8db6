"""Valid reuse factors: the definition, the nearest one, and the array version of it."""

from __future__ import annotations

import math
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import InputError, UnknownName
from hwsim.targets.fpga.layers import HlsLayer
from hwsim.targets.fpga.reuse import (
    ValidFactors,
    divisors,
    layer_factors,
    nearest_reuse_factor,
    nearest_valid,
    partition_factors,
    valid_reuse_factors,
)

sizes = st.integers(1, 80)
layers = st.lists(st.tuples(sizes, sizes), min_size=1, max_size=6)


def by_definition(n_in: int, n_out: int, factor: int) -> bool:
    """The conditions for the dense template as they are published."""
    limit = math.ceil(n_in * n_out / min(n_in, factor))
    columns = limit % n_out == 0 or factor >= n_in
    rows = factor % n_in == 0 or factor < n_in
    return columns and rows and n_in * n_out % factor == 0


@given(sizes, sizes)
def test_factors_are_those_of_the_definition(n_in: int, n_out: int) -> None:
    expected = tuple(f for f in range(1, n_in * n_out + 1) if by_definition(n_in, n_out, f))
    assert valid_reuse_factors(n_in, n_out) == expected


@given(sizes, sizes)
def test_unrolled_lacks_the_largest(n_in: int, n_out: int) -> None:
    full = valid_reuse_factors(n_in, n_out)
    assert valid_reuse_factors(n_in, n_out, strategy="unrolled") == (full[:-1] or full)


def test_other_strategies() -> None:
    assert valid_reuse_factors(16, 5, strategy="latency") == ()
    assert valid_reuse_factors(16, 5, strategy="distributed_arithmetic") == (1,)


@given(sizes, sizes, st.integers(1, 10_000))
def test_nearest_is_valid_and_no_other_is_nearer(n_in: int, n_out: int, requested: int) -> None:
    valid = valid_reuse_factors(n_in, n_out)
    found = nearest_reuse_factor(valid, requested)
    assert found in valid
    assert abs(found - requested) == min(abs(v - requested) for v in valid)
    assert found == min(v for v in valid if abs(v - requested) == abs(found - requested))


def test_ties_go_to_the_lower() -> None:
    assert [nearest_reuse_factor((2, 4, 8), r) for r in (1, 3, 6, 7, 100)] == [2, 2, 4, 8, 8]


@given(layers, st.lists(st.integers(1, 20_000), min_size=1, max_size=5))
def test_the_array_version_is_the_scalar_one(shapes: list[tuple[int, int]], requested: list[int]) -> None:
    valid = [valid_reuse_factors(*s) if i % 3 else () for i, s in enumerate(shapes)]
    table = ValidFactors.of(valid)
    expected = [[nearest_reuse_factor(v, r) for v in valid] for r in requested]
    column = np.array(requested)[:, None]
    assert nearest_valid(table, column).tolist() == expected
    assert table.nearest(np.repeat(column, len(shapes), axis=1)).tolist() == expected


@given(layers, st.integers(1, 20_000))
def test_one_number_for_all_layers(shapes: list[tuple[int, int]], requested: int) -> None:
    valid = [valid_reuse_factors(*s) for s in shapes]
    assert nearest_valid(ValidFactors.of(valid), requested).tolist() == [nearest_reuse_factor(v, requested) for v in valid]


@given(layers)
def test_more_is_never_fewer(shapes: list[tuple[int, int]]) -> None:
    found = nearest_valid(ValidFactors.of([valid_reuse_factors(*s) for s in shapes]), np.arange(1, 500)[:, None])
    assert np.all(np.diff(found, axis=0) >= 0)


def test_a_million_points_take_no_loop() -> None:
    table = ValidFactors.of([valid_reuse_factors(*s) for s in ((16, 64), (64, 32), (32, 32), (32, 5))])
    started = perf_counter()
    assert nearest_valid(table, np.arange(1, 1_000_001)[:, None]).shape == (1_000_000, 4)
    assert perf_counter() - started < 5


def test_large_products_are_quick() -> None:
    started = perf_counter()
    assert valid_reuse_factors(100_000, 100_003)[-1] == 10_000_300_000
    assert perf_counter() - started < 0.5


@given(st.integers(1, 5000))
def test_divisors(number: int) -> None:
    assert divisors(number) == tuple(d for d in range(1, number + 1) if number % d == 0)
    assert partition_factors(number) == divisors(number)


def test_layers_that_take_any_factor() -> None:
    pool = HlsLayer("p", "Pooling2D", n_in=4, n_out=4, strategy="resource")
    assert layer_factors(pool) == ()
    dense = HlsLayer("d", "Dense", n_in=4, n_out=6, strategy="resource")
    assert layer_factors(dense) == valid_reuse_factors(4, 6)
    depthwise = HlsLayer("w", "DepthwiseConv2D", n_in=9, n_out=3, groups=3, strategy="resource")
    assert layer_factors(depthwise) == valid_reuse_factors(27, 3)


def test_wrong_sizes_and_strategies() -> None:
    with pytest.raises(InputError, match="reuse factors of a product of 0 inputs and 5 outputs; expected at least 1 of each"):
        valid_reuse_factors(0, 5)
    with pytest.raises(UnknownName, match=r"unknown strategy 'resorce'\. Did you mean 'resource'\?"):
        valid_reuse_factors(4, 5, strategy="resorce")
