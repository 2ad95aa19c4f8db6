"""Boosted trees as arrays: equal to scikit-learn's, the same through a file, each row for itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsim.surrogates import store
from hwsim.surrogates.trees import CHUNK, LEAF, Trees, exported


@pytest.fixture(scope="module")
def trained() -> tuple[Trees, np.ndarray, np.ndarray]:
    """Trees, features that were not trained on (some equal to thresholds of training) and scikit-learn's answers."""
    ensemble = pytest.importorskip("sklearn.ensemble")
    draw = np.random.default_rng(0)
    x = draw.normal(size=(1500, 6)).astype(np.float32)
    x[:, 3] = np.round(x[:, 3] * 3) / 3
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 3] + 0.1 * draw.normal(size=len(x))
    model = ensemble.HistGradientBoostingRegressor(max_iter=60, max_leaf_nodes=31, loss="absolute_error", early_stopping=False).fit(x, y)
    asked = np.concatenate([x[:400], draw.normal(size=(3000, 6)).astype(np.float32)])
    return exported(model), asked, model.predict(asked)


def test_answers_are_those_of_scikit_learn(trained: tuple[Trees, np.ndarray, np.ndarray]) -> None:
    trees, x, expected = trained
    np.testing.assert_allclose(trees(x), expected, atol=1e-6, rtol=0)


def test_answers_are_the_same_bit_for_bit_whatever_is_asked_beside(trained: tuple[Trees, np.ndarray, np.ndarray]) -> None:
    trees, x, _ = trained
    together = trees(x)
    assert len(x) > CHUNK
    order = np.random.default_rng(1).permutation(len(x))
    np.testing.assert_array_equal(trees(x[order]), together[order])
    np.testing.assert_array_equal([float(trees(row)) for row in x[:40]], together[:40])
    np.testing.assert_array_equal(trees(x[:60].reshape(4, 15, 6)), together[:60].reshape(4, 15))


def test_arrays_survive_a_file(trained: tuple[Trees, np.ndarray, np.ndarray], tmp_path: Path) -> None:
    trees, x, _ = trained
    where = store.write(store.Stored("t", {}, trees.arrays("gemm/a")), where=tmp_path / "t")
    again = Trees.of(store.read(str(where)).weights, "gemm/a")
    assert again.feature.dtype == np.uint8
    assert again.child.dtype == np.uint16
    np.testing.assert_array_equal(again(x), trees(x))


def test_a_threshold_goes_left() -> None:
    values = np.array([0.5, -1.0, 2.0], np.float32)
    trees = Trees(
        np.array([0, LEAF, LEAF], np.uint8), values, np.array([1, 0, 0], np.uint16), np.array([0], np.int32), np.ones(1, np.float32)
    )
    np.testing.assert_array_equal(trees(np.array([[0.5], [0.50001]])), [0.0, 3.0])
