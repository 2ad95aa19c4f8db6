"""Ten measurements on a new device: bars against HELP, and what adapting promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwsim.datasets.help_latency import SPACES, block_features, cell_features, read
from hwsim.errors import DataMissing, InputError, UnknownName
from hwsim.surrogates.few_shot import FewShot, tuned
from hwsim.surrogates.training import few_shot as training
from hwsim.zoo.nas_bench import CELL, FBNET_C


def world(*, noise: float = 0.0, seed: int = 0) -> tuple[np.ndarray, list[np.ndarray]]:
    """Features of 300 architectures and costs on eight devices of two kinds, the last device of the second kind."""
    draw = np.random.default_rng(seed)
    features = draw.poisson(3.0, (300, 12)).astype(float)
    kinds = draw.lognormal(0, 0.7, (2, 12))
    weights = [kinds[i % 2] * draw.lognormal(0, 0.1, 12) * 10.0**i for i in range(8)]
    return features, [features @ w * np.exp(noise * draw.normal(size=300)) for w in weights]


def test_ten_samples_find_a_device_of_a_known_kind_in_any_unit() -> None:
    features, costs = world()
    model = FewShot.fit(features, costs[:7])
    found = model.adapt(features[:10], costs[7][:10]).predict(features[10:]).mean
    assert np.median(np.abs(found / costs[7][10:] - 1)) < 0.03
    thousand = model.adapt(features[:10], 1000 * costs[7][:10]).predict(features[10:]).mean
    np.testing.assert_allclose(thousand, 1000 * found, rtol=1e-9)


def test_more_samples_are_better_and_ranges_hold() -> None:
    features, costs = world(noise=0.05)
    model = tuned(features, costs[:7], groups=list("abcdefg"))
    errors, covered = [], []
    for count in (5, 20, 80):
        found = model.adapt(features[:count], costs[7][:count]).predict(features[100:])
        errors.append(np.mean(np.abs(found.mean / costs[7][100:] - 1)))
        covered.append(np.mean((costs[7][100:] >= found.low) & (costs[7][100:] <= found.high)))
    assert errors[0] > errors[-1]
    assert 0.75 <= np.mean(covered) <= 1.0


def test_a_prediction_does_not_depend_on_its_neighbours() -> None:
    features, costs = world()
    device = FewShot.fit(features, costs[:7]).adapt(features[:10], costs[7][:10])
    together, apart = device.predict(features[:5]), [device.predict(features[i : i + 1]) for i in range(5)]
    np.testing.assert_allclose(together.high, [p.high[0] for p in apart], rtol=1e-12)


def test_rows_that_were_not_measured_are_left_out() -> None:
    features, costs = world()
    holes = [np.where(np.arange(300) % 5 == i % 5, np.nan, c) for i, c in enumerate(costs)]
    found = FewShot.fit(features, holes[:7]).adapt(features[:10], costs[7][:10]).predict(features[10:]).mean
    assert np.median(np.abs(found / costs[7][10:] - 1)) < 0.03


def test_wrong_input_is_named() -> None:
    features, costs = world()
    model = FewShot.fit(features, costs[:7])
    wrong: list[tuple[Any, Any, str]] = [
        (features[:2], costs[7][:2], "found 2 samples; expected 3 or more"),
        (features[:4], costs[7][:3], r"found features of shape \(4, 12\) for 3 samples; expected \(3, 12\)"),
        (features[:3], np.array([1.0, 2.0, 0.0]), "sample 2: found a cost of 0.0; expected a positive number"),
    ]
    for rows, values, message in wrong:
        with pytest.raises(InputError, match=message):
            model.adapt(rows, values)
    with pytest.raises(InputError, match="found 2 known devices; expected 3 or more"):
        FewShot.fit(features, costs[:2])
    with pytest.raises(InputError, match="a known device has 0 measured rows; expected 10 or more"):
        FewShot.fit(features, [*costs[:3], np.full(300, np.nan)])
    with pytest.raises(UnknownName, match="unknown search space 'nasbench101'"):
        read("nasbench101")


def test_features_count_what_the_graphs_have() -> None:
    import hwsim

    features, relevance, macs = cell_features([CELL])
    assert features[0, :4].tolist() == [1.0, 0.0, 5.0, 0.0]
    assert relevance[:8].tolist() == [1.0] * 8
    stages = 5 * (16**2 * 32**2 + 32**2 * 16**2 + 64**2 * 8**2)
    assert hwsim.load("nas_bench_201").macs == 7_783_040 + macs[0] * stages
    work = block_features([FBNET_C, "|".join(["skip"] * 22)])[2]
    difference = hwsim.load("fbnet").macs - hwsim.load("fbnet", ops="|".join(["skip"] * 22)).macs
    assert work[0] - work[1] == difference


def test_ranks_share_their_mean() -> None:
    from scipy.stats import spearmanr

    draw = np.random.default_rng(0)
    a, b = draw.integers(0, 9, 100), draw.integers(0, 9, 100)
    assert training.rank_correlation(a, b) == pytest.approx(float(np.asarray(spearmanr(a, b))[0]))


BARS = {"nasbench201": (0.95, 0.94, 0.932), "fbnet": (0.94, 0.93, 0.910)}
"""Mean rank correlation over HELP's devices: every architecture left out, HELP's middle rows, HELP's own figure on these."""


@pytest.mark.parametrize("space", SPACES)
def test_ten_samples_rank_better_than_help(space: str) -> None:
    try:
        found = [training.judge(space, device, draws=8) for device in SPACES[space].test]
    except DataMissing as error:
        pytest.skip(str(error))
    every, middle, published = BARS[space]
    assert np.mean([np.mean(row.spearman) for row in found]) >= every
    assert np.mean([np.mean(row.middle) for row in found]) >= max(middle, published)
    assert np.mean([np.mean(row.median_error) for row in found]) <= 0.06
    assert 0.84 <= np.mean([np.mean(row.covered) for row in found]) <= 0.97
    chosen = [training.judge(space, device, chosen=True) for device in SPACES[space].test]
    assert np.mean([row.middle for row in chosen]) >= every


def test_chosen_samples_are_better_than_random_ones() -> None:
    features, costs = world(noise=0.02)
    model = FewShot.fit(features, costs[:7])

    def error(rows: np.ndarray) -> float:
        found = model.adapt(features[rows], costs[7][rows]).predict(features).mean
        return float(np.mean(np.abs(found / costs[7] - 1)))

    chosen = model.choose(features, count=6)
    assert len(set(chosen)) == 6
    random = [error(np.random.default_rng(seed).choice(300, 6, replace=False)) for seed in range(20)]
    assert error(np.array(chosen)) < np.mean(random)
    with pytest.raises(InputError, match="found 3 candidates for 10 samples; expected as many or more"):
        model.choose(features[:3])
