"""Graphs of rows, edges between rows of programs, graph surrogates that answer like cost functions, and their PyG view."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim import api
from hwsim.errors import InputError, UnknownName
from hwsim.surrogates.edges import row_edges
from hwsim.surrogates.graphs import Graphs, concatenated
from hwsim.surrogates.programs import of_program


def some(count: int = 6, *, seed: int = 0) -> Graphs:
    """Networks of two metrics, some not measured."""
    draw = np.random.default_rng(seed)
    start = np.concatenate([[0], np.cumsum(draw.integers(1, 5, count))])
    rows, inner = int(start[-1]), np.setdiff1d(np.arange(start[-1]), start[1:] - 1)
    by_row, by_network = (draw.lognormal(size=(n, 2)) for n in (rows, count))
    measured = draw.lognormal(size=(count, 2))
    measured[::3, 1] = np.nan
    return Graphs(
        features=draw.normal(size=(rows, 3)).astype(np.float32),
        cost=by_row,
        floor=0.1 * by_row,
        start=start,
        edges=np.stack([inner, inner + 1]),
        rest=0.1 * by_network,
        least=0 * by_network,
        measured=measured,
        feature_names=("a", "b", "c"),
        metrics=("lut", "interval_cycles"),
        readout=("sum", "max"),
        labels={"family": np.array([f"f{i % 2}" for i in range(count)])},
    )


def same(a: Graphs, b: Graphs) -> bool:
    """Whether two hold the same."""
    arrays = ("features", "cost", "floor", "start", "edges", "rest", "least", "measured")
    equal = all(np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True) for n in arrays)
    return equal and all((a.labels[n] == b.labels[n]).all() for n in a.labels) and a.metrics == b.metrics and a.readout == b.readout


def test_rows_make_networks_by_sum_and_by_maximum() -> None:
    given = some()
    for i, (first, end) in enumerate(itertools.pairwise(given.start)):
        rows = given.cost[first:end]
        np.testing.assert_allclose(given.closed_form[i], [rows[:, 0].sum() + given.rest[i, 0], rows[:, 1].max() + given.rest[i, 1]])


def test_parts_put_together_are_the_whole() -> None:
    given = some()
    parts = [given.take(np.array([i])) for i in range(len(given))]
    assert all(part.edges.size == 0 or part.edges.max() < len(part.features) for part in parts)
    assert same(concatenated(parts), given)
    twice = given.take(np.array([2, 0, 2]))
    assert same(twice.take(np.array([1])), given.take(np.array([0])))
    np.testing.assert_array_equal(twice.closed_form, given.closed_form[[2, 0, 2]])


def test_a_metric_keeps_the_networks_that_were_measured() -> None:
    one = some().metric("interval_cycles")
    assert (one.metrics, one.readout, len(one)) == (("interval_cycles",), ("max",), 4)
    assert np.isfinite(one.measured).all()
    with pytest.raises(UnknownName, match="unknown metric 'luts'. Did you mean 'lut'"):
        some().metric("luts")


def test_a_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    some().save(path)
    assert same(Graphs.read(path), some())
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]
    path.write_bytes(b"something else")
    with pytest.raises(InputError, match="a.safetensors: cannot be read as graphs"):
        Graphs.read(path)
    with pytest.raises(InputError, match="none.safetensors: cannot be read as graphs"):
        Graphs.read(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rest": np.zeros((1, 2))}, r"rest has shape \(1, 2\); expected \(6, 2\)"),
        ({"readout": ("sum", "mean")}, "unknown readout 'mean'"),
        ({"labels": {"family": np.array(["x"])}}, "labels of 6 networks"),
        ({"start": np.array([0, 0, 1, 2, 3, 4, 5])}, "must rise from 0 to"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises((InputError, UnknownName), match=message):
        replace(some(), **change)


def test_parts_of_other_features_are_not_put_together() -> None:
    with pytest.raises(InputError, match="differ in their feature_names"):
        concatenated([some(), replace(some(), feature_names=("a", "b", "d"))])
    with pytest.raises(InputError, match="found no graphs"):
        concatenated([])


def lowered(model: str, device: str, **options: Any) -> tuple[Any, Any, Any, Any]:
    """(family, program, device, mapping)."""
    family, found = api.find(device)
    mapping = family.mapping(**options)
    return family, family.lower(api.load(model), device=found, mapping=mapping), found, mapping


def test_edges_of_a_chain_are_its_order() -> None:
    _, program, *_ = lowered("jet_tagger", "xcu250")
    order = [kernel.row for kernel in program.kernels]
    assert sorted(map(tuple, row_edges(program).T.tolist())) == sorted(itertools.pairwise(order))


def test_edges_pass_views_and_meet_at_sums() -> None:
    _, program, *_ = lowered("resnet50", "rtx-4090")
    edges = row_edges(program)
    assert edges.max() < program.row_count
    assert len(set(map(tuple, edges.T.tolist()))) == edges.shape[1]
    assert (edges[0] != edges[1]).all()
    assert set(edges.ravel().tolist()) == set(range(program.row_count))


def test_rows_of_a_program_make_its_closed_form() -> None:
    family, program, device, mapping = lowered("jet_tagger", "xcu250")
    graphs = of_program(family, program, device=device, mapping=mapping)
    cost = family.cost(program, device=device, mapping=mapping)
    assert graphs.closed_form[0, graphs.metrics.index("lut")] == pytest.approx(float(cost.resources["LUT"].used))
    assert graphs.closed_form[0, graphs.metrics.index("cycles")] == pytest.approx(float(cost.extra["latency_cycles"]))


def tiny(kind: str, graphs: Graphs, family: str) -> Any:
    """A surrogate after a little training."""
    pytest.importorskip("torch")
    pytest.importorskip("torch_geometric")
    import msgspec

    from hwsim.surrogates.networks.recipes import AnyNetwork
    from hwsim.surrogates.training.recipe import LeftOut, Recipe
    from hwsim.surrogates.training.run import train

    model = msgspec.convert({"kind": kind, "width": 8, "depth": 1, "epochs": 3, "networks_per_step": 8, "patience": 3}, AnyNetwork)
    parts: dict[str, Any] = {"left_out": LeftOut(by="graph", folds=2), "model": model, "seeds": (0, 1), "groups": ("device",)}
    return train(Recipe("tiny", "of a test", family, "none.safetensors", **parts), data=graphs)


def designs() -> tuple[Graphs, tuple[Any, Any, Any, Any]]:
    """Some circuits that take half as much again as their closed form, and the last of them."""
    found, parts = lowered("jet_tagger", "xcu250"), []
    for reuse in (1, 2, 4, 8, 16, 32):
        family, device, mapping = found[0], found[2], found[0].mapping(reuse_factor=reuse)
        program = family.lower(api.load("jet_tagger"), device=device, mapping=mapping)
        one = of_program(family, program, device=device, mapping=mapping)
        labels = {"device": np.array(["xcu250"]), "graph": np.array([f"g{reuse}"])}
        parts.append(replace(one, measured=1.5 * one.closed_form, labels=labels))
        found = (family, program, device, mapping)
    return concatenated(parts * 4), found


@pytest.mark.parametrize("kind", ["additive", "additive-gnn", "gin"])
def test_a_graph_surrogate_answers_like_a_cost_function(kind: str, tmp_path: Path) -> None:
    from hwsim.surrogates import store
    from hwsim.surrogates.graph_model import GraphSurrogate

    graphs, (family, program, device, mapping) = designs()
    stored = tiny(kind, graphs, "fpga")
    where = store.write(stored, where=tmp_path / "tiny")
    surrogate = GraphSurrogate(store.read(str(where)))
    cost = surrogate.predict(program, device=device, mapping=mapping)
    said = dict(zip(graphs.metrics, surrogate.predict_graphs(graphs.take(np.array([5])))[0], strict=True))
    assert float(cost.resources["LUT"].used) == pytest.approx(said["lut"], rel=1e-4)
    assert float(cost.extra["latency_cycles"]) == pytest.approx(said["cycles"], rel=0.02)
    alone = np.concatenate([surrogate.predict_graphs(graphs.take(np.array([i]))) for i in range(6)])
    np.testing.assert_allclose(surrogate.predict_graphs(graphs)[:6], alone, rtol=1e-5)
    found = hwsim.estimate("jet_tagger", "xcu250", method=f"surrogate:{where}")
    assert found.method == f"surrogate:{where}"
    with pytest.raises(InputError, match="trained on other metrics"):
        surrogate.predict_graphs(graphs.only(("lut",)))
    family, other = api.find("l4")
    gpu = family.lower(api.load("resnet50"), device=other, mapping=family.mapping())
    with pytest.raises(InputError, match="surrogate 'tiny' speaks for fpga"):
        surrogate.predict(gpu, device=other, mapping=family.mapping())


def test_a_graph_surrogate_speaks_for_gpus_too() -> None:
    from hwsim.surrogates.graph_model import GraphSurrogate

    programs = [lowered(model, "rtx-4090") for model in ("resnet18", "resnet50", "mobilenet_v2")]
    graphs = concatenated([of_program(family, program, device=device, mapping=mapping) for family, program, device, mapping in programs])
    labels = {"device": np.array(["rtx-4090"] * 3), "graph": np.array(["a", "b", "c"])}
    graphs = replace(graphs, measured=graphs.closed_form * [[1.2], [1.3], [1.4]], labels=labels)
    surrogate = GraphSurrogate(tiny("additive-gnn", concatenated([graphs, graphs]), "gpu"))
    _, program, device, mapping = programs[0]
    cost = surrogate.predict(program, device=device, mapping=mapping)
    assert float(cost.latency_s) == pytest.approx(float(surrogate.predict_graphs(graphs)[0, 0]), rel=0.05)


def test_a_data_set_is_lowered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("pyarrow")
    from hwsim.surrogates.training import run
    from hwsim.surrogates.training.recipe import LeftOut, Recipe

    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(run, "CACHED", 2)
    file = tmp_path / "runs.csv"
    file.write_text("graph,device,latency_s\nresnet18,l4,0.001\nresnet50,l4,0.002\nresnet19,l4,0.002\n")
    recipe = Recipe("a", "of a test", "gpu", str(file), LeftOut("graph"))
    told: list[str] = []
    first = run.load(recipe, tell=told.append)
    monkeypatch.setattr(run, "from_dataset", lambda *args, **given: pytest.fail("lowered again"))
    again: list[str] = []
    assert same(run.load(recipe, tell=again.append), first)
    assert len(again) == 1
    assert again[0] in told
    assert "row 3, column graph: unknown model 'resnet19'" in again[0]
    file.write_text("graph,device,latency_s\nresnet18,l4,0.003\nresnet50,l4,0.002\nresnet19,l4,0.002\n")
    with pytest.raises(pytest.fail.Exception, match="lowered again"):
        run.load(recipe)


def test_pyg_loads_batches_of_graphs() -> None:
    pytest.importorskip("torch_geometric")
    from torch_geometric.loader import DataLoader

    from hwsim.surrogates.pyg import GraphsDataset

    given = some()
    held: Any = GraphsDataset(given)
    assert len(held) == 6
    assert held[2].validate()
    assert held[2].family == "f0"
    batch = next(iter(DataLoader(held, batch_size=6)))
    np.testing.assert_array_equal(batch.edge_index.numpy(), given.edges)
    np.testing.assert_array_equal(batch.x.numpy(), given.features)
    np.testing.assert_allclose(batch.y.numpy(), given.measured.astype(np.float32))
    np.testing.assert_array_equal(batch.batch.numpy(), given.owner)
    assert [d.num_nodes for d in held[held.indices()[:2]]] == given.sizes[:2].tolist()
