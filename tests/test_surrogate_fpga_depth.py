"""Surrogates trained on one and two layers, asked for three to twenty: graphs of chains, the split, and what holds."""

from __future__ import annotations

from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from hwsim.datasets.fpga_yosys import chain_recipe
from hwsim.errors import DataMissing
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.networks.recipes import AdditiveRecipe, GinRecipe
from hwsim.surrogates.training import depth_suite, fpga_depth
from hwsim.targets.fpga.calibrate import yosys_networks
from hwsim.targets.fpga.calibrate.yosys_networks import METRICS

TABLE = Path(__file__).parent.parent / "docs" / "accuracy" / "surrogate-fpga-depth.md"


def some(count: int = 40) -> yosys_networks.Networks:
    """Chains whose labels are their closed forms."""
    chains = list(islice(chain_recipe.chains(seed=5), count))
    empty = yosys_networks.of_chains(chains, np.zeros((count, len(METRICS))), family="xcup")
    return yosys_networks.of_chains(chains, yosys_networks.totals(empty, yosys_networks.layer_costs(empty)), family="xcup")


def test_a_layer_is_a_row_with_an_edge_to_the_next():
    found = some()
    graphs = fpga_depth.load(found)
    assert graphs.sizes.tolist() == [len(c.layers) for c in found.chains]
    assert np.array_equal(graphs.edges[1] - graphs.edges[0], np.ones(graphs.edges.shape[1]))
    assert np.array_equal(graphs.owner[graphs.edges[0]], graphs.owner[graphs.edges[1]])
    assert graphs.edges.shape[1] == len(graphs.features) - len(graphs)
    assert np.isfinite(graphs.features).all() and graphs.readout[METRICS.index("interval_cycles")] == "max"


def test_closed_forms_of_graphs_are_those_of_chains():
    found = some()
    graphs = fpga_depth.load(found)
    assert np.allclose(graphs.closed_form - graphs.rest, found.measured)


def test_no_architecture_is_on_both_sides_and_no_deep_chain_is_trained_on():
    graphs = fpga_depth.load(some(120))
    seen: set[str] = set()
    for seed in depth_suite.SEEDS:
        train, held, deep = fpga_depth.split(graphs, seed=seed)
        names = [set(graphs.labels["architecture"][part].tolist()) for part in (train, held)]
        assert not names[0] & names[1]
        assert graphs.sizes[train].max() <= 2 and graphs.sizes[held].max() <= 2 and graphs.sizes[deep].min() >= 3
        assert len(train) + len(held) + len(deep) == len(graphs)
        assert not seen & names[1]
        seen |= names[1]


def test_a_rectified_sign_is_known_to_the_next_layer():
    found = some()
    unsigned = dict(zip(fpga_depth.features(found), fpga_depth.load(found).features.T, strict=True))["unsigned_in"]
    first = found.start[:-1]
    assert not unsigned[first].any()
    behind = np.setdiff1d(np.arange(len(unsigned)), first)
    assert np.array_equal(unsigned[behind], np.asarray(found.columns.relu * found.packed_high)[behind - 1])


def test_scores_are_those_of_the_benchmark():
    measured, found = np.array([[0.0], [10.0]]), np.array([[1.0], [10.0]])
    assert depth_suite.smape(measured, found)[0] == pytest.approx(100 * 1 / 2)
    assert depth_suite.r2(measured, measured)[0] == 1


@pytest.fixture(scope="module")
def graphs() -> Graphs:
    try:
        return fpga_depth.load()
    except DataMissing as error:
        pytest.skip(str(error))


def errors(graphs: Graphs, answer: depth_suite.Answer) -> tuple[np.ndarray, np.ndarray]:
    """SMAPE on shallow chains of architectures left out, and on deep ones, shape `(metrics,)` each."""
    _, held, deep = fpga_depth.split(graphs, seed=0)
    near, far = (depth_suite.smape(g.measured, np.maximum(np.round(answer(g)), 0)) for g in (graphs.take(part) for part in (held, deep)))
    return near, far


def test_sums_hold_where_a_pooled_network_falls_apart(graphs: Graphs):
    pytest.importorskip("torch_geometric")
    train = graphs.take(fpga_depth.split(graphs, seed=0)[0])
    additive = AdditiveRecipe(epochs=40, networks_per_step=32, width=64, dropout=0.2, shrinkage=0.01)
    near, far = errors(graphs, depth_suite.network(additive, train, 0))
    others = np.array(METRICS) != "dsp"
    assert (far <= np.maximum(1.5 * near, 1.0))[others].all()
    assert far[METRICS.index("dsp")] < 2.0
    near, far = errors(graphs, depth_suite.network(GinRecipe(epochs=40, networks_per_step=32, bounded=False), train, 0))
    for metric in ("lut", "ff", "cycles"):
        assert far[METRICS.index(metric)] > 2.5 * near[METRICS.index(metric)]


def test_a_sum_holds_without_a_closed_form(graphs: Graphs):
    pytest.importorskip("torch")
    train = graphs.take(fpga_depth.split(graphs, seed=0)[0])
    recipe = AdditiveRecipe(epochs=60, networks_per_step=32, width=64, shrinkage=0.0)
    near, far = errors(graphs, depth_suite.without_closed_form(recipe, train, 0))
    for metric in ("lut", "ff", "cycles"):
        assert far[METRICS.index(metric)] <= 1.5 * near[METRICS.index(metric)]


@pytest.mark.parametrize("name", ["lightgbm", "extra"])
def test_trees_answer_in_the_range_of_their_labels(graphs: Graphs, name: str):
    pytest.importorskip({"lightgbm": "lightgbm", "extra": "sklearn"}[name])
    part = graphs.take(np.arange(60))
    found = partial(depth_suite.trees, name)(part, 0)(graphs)
    assert found.shape == (len(graphs), len(METRICS))
    assert found[:, METRICS.index("lut")].max() <= 1.05 * part.measured[:, METRICS.index("lut")].max()


def rows(section: str) -> dict[str, list[list[float]]]:
    """Model to [near, far] of each metric, of one section of the table."""
    lines = TABLE.read_text(encoding="utf-8").split(f"## {section}")[1].split("##")[0].splitlines()
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines if "->" in line]
    return {first: [[float(v.replace("< -10", "-99")) for v in c.split("->")] for c in rest] for first, *rest in cells}


def test_the_table_keeps_its_bar():
    errors = rows("SMAPE: one")
    for name in ("additive", "additive GNN"):
        for metric, (near, far) in zip(depth_suite.TITLES, errors[name], strict=True):
            assert far <= (2.0 if metric == "dsp" else 1.5 * near), (name, metric)
    for name in ("pooled GIN", "pooled GATv2", "transformer", "GPS"):
        assert all(far > 2 * near for near, far in errors[name][:2]), name
        assert all(far < 0 for _, far in rows("R2: one")[name][:2]), name
    assert all(far > 0.9 for _, far in rows("R2: one")["additive"])
