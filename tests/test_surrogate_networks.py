"""Networks that learn costs from graphs: every kind trains, answers each network for itself, and comes back from arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwsim.errors import InputError, UnknownName
from hwsim.surrogates.graphs import Graphs

pytest.importorskip("torch")

from hwsim.surrogates import networks
from hwsim.surrogates.networks import encodings
from hwsim.surrogates.networks.calibration import kind_factors
from hwsim.surrogates.networks.recipes import (
    AdditiveGnnRecipe,
    AdditiveRecipe,
    Factored,
    GinRecipe,
    GpsRecipe,
    NetworkRecipe,
    TransformerRecipe,
)

NAMES = ("a", "b", "kind_x", "kind_y")
QUICK: dict[str, Any] = {"width": 16, "depth": 2, "epochs": 12, "networks_per_step": 32, "learning_rate": 1e-2}
ALL: tuple[NetworkRecipe, ...] = (
    AdditiveRecipe(**QUICK),
    AdditiveGnnRecipe(**QUICK),
    GinRecipe(**QUICK),
    TransformerRecipe(**QUICK),
    GpsRecipe(**QUICK),
)


def chains(count: int = 200, *, seed: int = 0, rows: tuple[int, int] = (2, 9), two: bool = False) -> Graphs:
    """Chains of rows that take exp(0.5 a) times their closed form, and half as much again behind a row with positive b."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(*rows, count)
    start = np.concatenate([[0], np.cumsum(sizes)])
    total = int(start[-1])
    kind = draw.integers(0, 2, total)
    features = np.column_stack([draw.normal(size=(total, 2)), kind == 0, kind == 1]).astype(np.float32)
    inner = np.setdiff1d(np.arange(total), start[1:] - 1)
    edges = np.stack([inner, inner + 1])
    cost = draw.lognormal(-9, 1, total)
    behind = np.zeros(total)
    behind[edges[1]] = features[edges[0], 1] > 0
    factor = np.exp(0.5 * features[:, 0]) * (1 + 0.5 * behind) * np.where(kind == 0, 1.0, 3.0)
    columns = [cost, cost * 1e8] if two else [cost]
    none, wide = np.zeros((count, len(columns))), np.stack(columns, axis=1)
    true = np.stack([f.reduceat(c * factor, start[:-1]) for f, c in zip((np.add, np.maximum), columns, strict=False)], axis=1)
    return Graphs(
        features=features,
        cost=wide,
        floor=0 * wide,
        start=start,
        edges=edges,
        rest=none,
        least=none,
        measured=true,
        feature_names=NAMES,
        metrics=("latency_s", "interval_cycles")[: len(columns)],
        readout=("sum", "max")[: len(columns)],
        labels={"device": np.array(["a", "b"])[np.arange(count) % 2], "family": np.array([f"f{i % 7}" for i in range(count)])},
    )


def trained(recipe: NetworkRecipe, graphs: Graphs, **options: Any) -> Any:
    """A network after training."""
    from hwsim.surrogates.training.loop import fit

    if networks.kind_of(recipe) not in ("additive", "transformer"):
        pytest.importorskip("torch_geometric")
    return fit(networks.build(recipe, graphs, seed=0), graphs, recipe=recipe, **options).model


def error(found: np.ndarray, graphs: Graphs) -> float:
    """Median relative error over all that was measured."""
    return float(np.nanmedian(np.abs(found / graphs.measured - 1)))


@pytest.fixture(scope="module", params=ALL, ids=networks.kind_of)
def model(request: pytest.FixtureRequest) -> Any:
    return trained(request.param, chains())


def test_training_beats_where_it_starts_from(model: Any) -> None:
    held = chains(100, seed=3)
    before, guess = error(held.closed_form, held), error(np.full_like(held.measured, np.exp(np.log(chains().measured).mean())), held)
    bar = 0.6 * before if isinstance(model.recipe, Factored) else guess
    assert error(networks.predicted(model, held), held) < bar


def test_a_network_is_answered_whatever_its_neighbours(model: Any) -> None:
    held = chains(30, seed=4)
    alone = np.concatenate([networks.predicted(model, held.take(np.array([i]))) for i in range(len(held))])
    np.testing.assert_allclose(networks.predicted(model, held), alone, rtol=2e-5)
    shuffled = np.random.default_rng(0).permutation(len(held))
    np.testing.assert_allclose(networks.predicted(model, held.take(shuffled)), alone[shuffled], rtol=2e-5)


def test_arrays_give_the_network_back(model: Any) -> None:
    held = chains(20, seed=5)
    names = {"feature_names": held.feature_names, "metrics": held.metrics, "readout": held.readout}
    again = networks.restored(model.recipe, networks.arrays(model), **names)
    np.testing.assert_array_equal(networks.predicted(again, held), networks.predicted(model, held))


def test_neighbours_tell_more_than_a_row_alone() -> None:
    pytest.importorskip("torch_geometric")
    longer: dict[str, Any] = QUICK | {"epochs": 40}
    held = chains(100, seed=3)
    alone, around = (
        error(networks.predicted(trained(r, chains(400)), held), held) for r in (AdditiveRecipe(**longer), AdditiveGnnRecipe(**longer))
    )
    assert around < 0.7 * alone


def test_factors_stay_a_sum_for_more_rows_than_were_seen() -> None:
    model = trained(AdditiveRecipe(**QUICK), chains())
    held, large = chains(60, seed=3), chains(40, seed=3, rows=(60, 90))
    assert error(networks.predicted(model, large), large) < 1.5 * error(networks.predicted(model, held), held)


def test_pooled_answers_stay_in_the_range_that_was_seen() -> None:
    model, large = trained(TransformerRecipe(**QUICK), chains()), chains(40, seed=3, rows=(200, 250))
    assert networks.predicted(model, large).max() <= chains().measured.max() * (1 + 1e-5)


def test_before_training_factors_are_the_closed_form() -> None:
    given = chains(two=True)
    model = networks.build(AdditiveRecipe(**QUICK), given, seed=0)
    np.testing.assert_allclose(networks.predicted(model, given), given.closed_form, rtol=1e-6)


def test_calibration_finds_the_factor_of_each_kind() -> None:
    given = chains(400, two=True)
    found = np.exp(kind_factors(given, ("kind_x", "kind_y")))
    assert found[1, 0] / found[0, 0] == pytest.approx(3.0, rel=0.15)
    assert found[1, 1] / found[0, 1] == pytest.approx(3.0, rel=0.3)
    model = networks.build(AdditiveRecipe(**QUICK, calibrate=("kind_x", "kind_y")), given, seed=0)
    assert error(networks.predicted(model, given), given) < 0.7 * error(given.closed_form, given)
    with pytest.raises(UnknownName, match="unknown feature 'kind_z'"):
        kind_factors(given, ("kind_z",))


def test_metrics_that_were_not_measured_are_left_out() -> None:
    given = chains(two=True)
    measured = given.measured.copy()
    measured[::2, 1] = np.nan
    model = trained(AdditiveRecipe(**QUICK), replace(given, measured=measured))
    held = chains(100, seed=3, two=True)
    found = networks.predicted(model, held)
    assert np.isfinite(found).all()
    assert all(np.median(np.abs(found[:, m] / held.measured[:, m] - 1)) < 0.35 for m in range(2))


def test_counts_may_be_zero() -> None:
    given = chains()
    counts = replace(given, metrics=("bram18",), cost=np.zeros_like(given.cost), measured=(given.sizes > 4).astype(float)[:, None])
    model = trained(AdditiveRecipe(**QUICK, grain=0.1), counts)
    assert np.isfinite(networks.predicted(model, counts)).all()


def test_no_answer_is_below_physics_or_the_host() -> None:
    given = chains()
    bound = replace(given, floor=100 * given.cost, least=np.full_like(given.least, 1.0))
    assert (networks.predicted(networks.build(AdditiveRecipe(**QUICK), given, seed=0), bound) == 1.0).all()


def test_encodings_say_where_a_row_stands() -> None:
    given = chains(5)
    place = encodings.places(given)[:, 0]
    np.testing.assert_array_equal(place, np.arange(given.start[-1]) - given.start[:-1][given.owner])
    ring = replace(given.take(np.array([0])), edges=np.array([[0, 1], [1, 0]]))
    assert encodings.places(ring).min() == 0
    assert encodings.structure(given).shape == (given.start[-1], 12)
    assert np.isfinite(encodings.structure(given)).all()


def test_a_feature_that_is_hidden_changes_nothing() -> None:
    given = chains()
    model = trained(AdditiveRecipe(**QUICK, hidden_features=("b",)), given)
    changed = given.features.copy()
    changed[:, 1] += 5
    np.testing.assert_allclose(networks.predicted(model, replace(given, features=changed)), networks.predicted(model, given), rtol=1e-5)
    with pytest.raises(UnknownName, match="unknown feature 'c'"):
        networks.build(AdditiveRecipe(hidden_features=("c",)), given, seed=0)


def test_nothing_to_learn_from_is_said() -> None:
    given = chains()
    with pytest.raises(InputError, match="no measurement of latency_s among 200 networks"):
        trained(AdditiveRecipe(**QUICK), replace(given, measured=np.full_like(given.measured, np.nan)))
    with pytest.raises(InputError, match="negative or infinite"):
        trained(AdditiveRecipe(**QUICK), replace(given, measured=-given.measured))
    with pytest.raises(InputError, match="`patience: 3` watches a validation part"):
        trained(AdditiveRecipe(**QUICK, patience=3), given)
