"""Suites of surrogates on GPUs: weights of relative errors, what readings allow, and bars on the written tables."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.surrogates.training import power_suite
from hwsim.surrogates.training.operators import Measured
from hwsim.targets.gpu.device import GpuDevice

pytest.importorskip("sklearn")


def test_relative_trees_lean_to_the_lower_of_scattered_readings() -> None:
    """Of readings of 1 and 3 in turn, errors relative to the reading are least at 1, of the logarithm anywhere between."""
    from hwsim.surrogates.training.tabular import TreesRecipe, boosted

    x, y = np.zeros((300, 2), dtype=np.float32), np.log(np.tile([1.0, 3.0, 3.0], 100))
    plain = TreesRecipe(trees=20, leaves=4, features_frac=1.0)
    found = [np.exp(boosted(recipe)(x, y, np.ones(300))(x[:1])[0]) for recipe in (plain, relatively(plain))]
    assert found[0] == pytest.approx(3.0, rel=0.05)
    assert found[1] < 2.0


def relatively(recipe: power_suite.TreesRecipe) -> power_suite.TreesRecipe:
    import msgspec

    return msgspec.structs.replace(recipe, relative=True)


def test_the_bound_is_the_mean_error_of_a_perfect_prediction() -> None:
    """Readings with a known normal error of 5 %: what is left when their mean is known."""
    draw, count = np.random.default_rng(0), 3000
    m = np.tile(np.arange(2.0, 17.0), count // 15)
    sizes = {"m": m, "n": np.full(count, 64.0), "k": np.full(count, 64.0), "batch": np.ones(count)}
    noise = 0.05 * draw.normal(size=count)
    kernels = Measured("power", GpuDevice.from_shelf("h200-sxm"), sizes, np.exp(noise), np.repeat(np.arange(count // 15), 15))
    assert power_suite.bound(kernels) == pytest.approx(np.mean(np.abs(np.exp(-noise) - 1)), rel=0.06)
