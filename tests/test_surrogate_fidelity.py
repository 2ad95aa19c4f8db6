"""Many cheap labels before few expensive ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwsim.errors import InputError, UnknownName
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.training import fidelity
from hwsim.surrogates.training import recipe as recipes
from hwsim.surrogates.training.fidelity import Cheap, levelled
from hwsim.surrogates.training.left_out import Loop, ensemble

pytest.importorskip("torch")


def designs(count: int, *, seed: int = 0, factor: float = 1.0) -> Graphs:
    """Networks of 2 to 5 rows; measured is the closed form times what a row's feature says, times a factor."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(2, 6, count)
    features = draw.normal(size=(int(sizes.sum()), 3)).astype(np.float32)
    cost = draw.lognormal(5.0, 0.7, (len(features), 1))
    start = np.concatenate([[0], np.cumsum(sizes)])
    true = np.add.reduceat(cost * np.exp(0.8 * np.sin(2 * features[:, :1]) + 0.3 * features[:, 1:2]), start[:-1])
    return Graphs(
        features=features,
        cost=cost,
        floor=np.zeros_like(cost),
        start=start,
        edges=np.zeros((2, 0), dtype=int),
        rest=np.zeros((count, 1)),
        least=np.zeros((count, 1)),
        measured=factor * true,
        feature_names=("a", "b", "c"),
        metrics=("lut",),
        readout=("sum",),
        labels={"name": np.array([f"{seed}-{i}" for i in range(count)])},
    )


def error(members: tuple, held: Graphs) -> float:
    """Mean absolute error of the logarithm."""
    from hwsim.surrogates.networks import predicted

    return float(np.mean(np.abs(np.log((predicted(members, held) + 1) / (held.measured + 1)))))


def test_many_cheap_labels_help_few_expensive_ones() -> None:
    few, many, held = designs(12, factor=3.0), designs(160, seed=1), designs(100, seed=2, factor=3.0)
    recipe = recipes.AdditiveRecipe(width=32, epochs=15, networks_per_step=6)
    before = fidelity.before(Cheap(data="many"), many, few, by="name")
    alone, after = (ensemble(few, recipe, seeds=(0,), loop=Loop(before=b)) for b in (None, before))
    assert error(after, held) < 0.7 * error(alone, held)


def test_cheap_labels_are_brought_to_the_level_of_expensive_ones() -> None:
    many = designs(100)
    few = replace(many, measured=3 * many.measured).take(np.arange(50))
    found = levelled(many, few).measured / many.measured
    assert np.ptp(found) < 0.05 and 2.3 < np.median(found) < 3.7
    unknown = replace(few, measured=np.full_like(few.measured, np.nan))
    assert np.isfinite(levelled(many, unknown).measured).all()


def test_names_that_are_left_out_are_not_learned_from_cheap_labels_either() -> None:
    own = designs(20)
    seen: list[Graphs] = []

    def fit(model: object, graphs: Graphs, **given: object) -> object:
        seen.append(graphs)
        return model

    before = fidelity.before(Cheap(data="same"), designs(20, factor=0.5), own, by="name")
    before.begun(recipes.AdditiveRecipe(), own, unseen=own.labels["name"][:5], seed=0, fit=fit, name="x")
    assert seen[0].labels["name"].tolist() == own.labels["name"][5:].tolist()
    closed = fidelity.before(Cheap(labels="closed-form"), own, own, by="name")
    closed.begun(recipes.AdditiveRecipe(), own, unseen=own.labels["name"][:5], seed=0, fit=fit, name="x")
    assert len(seen[1]) == 20
    np.testing.assert_allclose(seen[1].measured / own.closed_form, np.median(own.measured / own.closed_form), rtol=0.05)


def test_a_recipe_says_what_is_cheap_and_what_is_wrong_with_it(tmp_path: Path) -> None:
    own, many = designs(30), designs(60, seed=1)
    own.save(tmp_path / "own.safetensors")
    many.save(tmp_path / "many.safetensors")
    path = tmp_path / "r.yaml"
    text = f"name: x\nsummary: x\nfamily: gpu\ndata: {tmp_path}/own.safetensors\nleft_out: {{by: name, folds: 2}}\n"
    path.write_text(f"{text}cheap: {{data: {tmp_path}/many.safetensors, epochs: 2}}\n", encoding="utf-8")
    found = recipes.read(path)
    assert found.cheap == Cheap(data=f"{tmp_path}/many.safetensors", epochs=2)
    path.write_text(f"{text}cheap: {{labels: guessed}}\n", encoding="utf-8")
    with pytest.raises(InputError, match="Invalid enum value 'guessed'"):
        recipes.read(path)
    path.write_text(f"{text}cheap: {{labels: closed-form}}\nmodel: {{kind: trees}}\n", encoding="utf-8")
    with pytest.raises(InputError, match="cheap: only networks learn cheap labels first; found a model of kind 'trees'"):
        recipes.read(path)
    with pytest.raises(InputError, match="cheap: found neither `data` nor `labels: closed-form`"):
        fidelity.before(Cheap(), own, own, by="name")
    with pytest.raises(UnknownName, match="unknown metric of the cheap labels 'many': 'lut'. Known: ff"):
        fidelity.before(Cheap(data="many"), replace(many, metrics=("ff",)), own, by="name")
    with pytest.raises(InputError, match="'many' has other features than the training set"):
        fidelity.before(Cheap(data="many"), replace(many, feature_names=("x", "y", "z")), own, by="name")


def test_the_table_of_few_labels_keeps_its_bar() -> None:
    table = Path(__file__).parents[1].joinpath("docs", "accuracy", "surrogate-fidelity.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in table.splitlines() if line.startswith(("| lut |", "| ff |"))]
    found = {(row[1].strip(), int(row[2])): [float(cell.split("±")[0]) for cell in row[3:-1]] for row in rows}
    for metric in ("lut", "ff"):
        closed, _, additive, additive_first, gin, _, gin_first = found[metric, 30]
        assert gin_first < gin < closed and additive_first < closed
        assert found[metric, 10][3] < found[metric, 10][2]
    assert additive_first < additive
