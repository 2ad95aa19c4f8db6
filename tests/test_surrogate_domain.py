"""In-domain score of networks: nearest networks of training, batch-independent, kept as arrays."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from hwsim.surrogates import domain
from hwsim.surrogates.domain import Domain

FEATURES = 6


def networks(count: int, *, kind: float, seed: int) -> SimpleNamespace:
    """Networks of 5 to 20 rows; a kind shifts how two features go together. The last feature is the device's."""
    draw = np.random.default_rng(seed)
    start = np.concatenate([[0], np.cumsum(draw.integers(5, 20, count))])
    owner = np.repeat(np.arange(count), np.diff(start))
    features = draw.normal(size=(start[-1], FEATURES)) + draw.normal(size=(count, FEATURES))[owner]
    features[:, 1] = kind * features[:, 0] + 0.1 * features[:, 1]
    features[:, -1] = (owner % 3).astype(float)
    labels = {"model": np.array([f"net{i // 2}" for i in range(count)])}
    return SimpleNamespace(features=features.astype(np.float32), cost=draw.lognormal(size=start[-1]), start=start, labels=labels)


@pytest.fixture(scope="module")
def trained() -> Domain:
    """Fitted on one kind of network."""
    return Domain.fit(networks(400, kind=1.0, seed=0))


def test_score_tells_another_kind_apart(trained: Domain) -> None:
    """Networks of a kind that was not seen lie farther away, and beyond the limit; known ones mostly below."""
    alike, other = (trained.score(g.features, g.cost, g.start) for g in (networks(100, kind=k, seed=1) for k in (1.0, -1.0)))
    assert np.mean(alike[:, None] < other) > 0.95
    assert np.mean(alike <= trained.limit[0]) > 0.8 > 0.2 > np.mean(other <= trained.limit[0])


def test_score_of_training_is_zero(trained: Domain) -> None:
    """Every network of a small training set is kept."""
    seen = networks(400, kind=1.0, seed=0)
    assert trained.score(seen.features, seen.cost, seen.start) == pytest.approx(0.0, abs=1e-5)


def test_a_score_never_depends_on_neighbours(trained: Domain) -> None:
    """Bit for bit the same alone and in company, and whatever the unit of the cost."""
    asked = networks(20, kind=0.5, seed=2)
    together = trained.score(asked.features, asked.cost, asked.start)
    for i, (a, b) in enumerate(zip(asked.start[:-1], asked.start[1:], strict=True)):
        alone = trained.score(asked.features[a:b], asked.cost[a:b], np.array([0, b - a]))
        assert alone[0] == together[i]
    assert trained.score(asked.features, 1e3 * asked.cost, asked.start) == pytest.approx(together)


def test_what_no_network_varies_in_is_not_looked_at(trained: Domain) -> None:
    """Device and mapping stay out."""
    assert FEATURES - 1 not in trained.chosen


def test_kept_as_arrays(trained: Domain) -> None:
    """A store of float32 gives the same scores; a surrogate without a domain has none."""
    kept = {name: a.astype(np.float32) if a.dtype.kind == "f" else a for name, a in trained.arrays().items()}
    again, asked = Domain.of(kept), networks(20, kind=0.0, seed=3)
    assert again is not None
    assert again.score(asked.features, asked.cost, asked.start) == pytest.approx(
        trained.score(asked.features, asked.cost, asked.start), rel=1e-4
    )
    assert Domain.of({"member0.mean": np.zeros(1)}) is None


def test_many_networks_are_thinned_out() -> None:
    """Kept points spread over all, so none is far from a kept one."""
    points = np.random.default_rng(0).uniform(size=(2000, 2))
    kept = domain._spread_out(points, 50)
    assert len(kept) == 50
    assert domain.nearest(points, kept).max() < 0.25


def test_networks_of_one_row() -> None:
    """All features are looked at where there is nothing to vary within a network."""
    rows = np.random.default_rng(0).normal(size=(30, FEATURES))
    given = SimpleNamespace(features=rows, cost=np.ones((30, 2)), start=np.arange(31), labels={})
    assert len(Domain.fit(given).chosen) == FEATURES


def test_one_model_has_no_limit() -> None:
    """Nothing can be left out, so nothing is beyond the limit."""
    few = networks(2, kind=1.0, seed=0)
    assert np.isinf(Domain.fit(few).limit[0])
    assert domain.shares(np.zeros((3, 2)), np.array([0, 1, 3])) == pytest.approx([1.0, 0.5, 0.5])
