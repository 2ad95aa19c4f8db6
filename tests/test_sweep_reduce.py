"""Reductions of sweeps: the same as looking at all points, in whatever pieces and order they come."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import InputError, UnknownName
from hwsim.sweep import engine as engines
from hwsim.sweep import work
from hwsim.sweep.axes import listed
from hwsim.sweep.build import space
from hwsim.sweep.constraints import Objective, constraints
from hwsim.sweep.pareto import Front, significant
from hwsim.sweep.reduce import Histogram, Top
from hwsim.sweep.run import metrics_at, run
from hwsim.sweep.space import Base, Space

AXES = {
    "sm_count": ["20:100:8", "16,40,41,80,160", "108"],
    "clock_hz": ["0.8 GHz..2 GHz x7", "1 GHz,1.41 GHz,1.9 GHz"],
    "dram_b_per_s": ["0.2 TB/s..8 TB/s x6 log", "1 TB/s,2 TB/s"],
    "power_limit_w": ["80 W..500 W x4", "250 W"],
    "dram_b": ["20 MB,1 GB,80 GB"],
}
LAYERS = {f"mapping.reuse_factor[{name}]": ["1,2,4,8", "1,16,256"] for name in ("fc1", "fc2", "fc3")} | {
    "clock_period": ["2 ns,4 ns,10 ns"]
}
KNOWN = {"fits": "bool", "latency_s": "s", "energy_j": "J", "power_w": "W", "lut": "", "device.sm_count": ""}


def brute_front(values: np.ndarray, index: np.ndarray) -> list[int]:
    """By comparing every pair; of equal points the one with the lowest index."""
    kept = []
    for i in range(len(index)):
        as_good = np.all(values <= values[:, i : i + 1], axis=0)
        better = as_good & np.any(values < values[:, i : i + 1], axis=0)
        equal = as_good & ~better & (index < index[i])
        if not better.any() and not equal.any():
            kept.append(int(index[i]))
    return sorted(kept)


@st.composite
def problems(draw: Any) -> dict[str, Any]:
    gpu = draw(st.booleans())
    axes = AXES if gpu else LAYERS
    names = draw(st.lists(st.sampled_from(sorted(axes)), min_size=2, max_size=4, unique=True))
    vary = {name: draw(st.sampled_from(axes[name])) for name in names}
    pool = ["latency_s", "energy_j", "power_w"] if gpu else ["latency_s", "energy_j", "lut"]
    metrics = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3, unique=True))
    where = draw(st.lists(st.sampled_from(["fits", "latency < 1.2 ms" if gpu else "latency < 300 ns"]), unique=True))
    model = "resnet18" if gpu else "jet_tagger"
    base = {"load": {"batch": 4}} if gpu else {"mapping": {"strategy": "resource"}}
    return {"space": space(model, "a100-sxm-80gb" if gpu else "xcu250", vary=vary, **base), "metrics": metrics, "where": where}


@settings(deadline=None, max_examples=50)
@given(problem=problems(), compiled=st.booleans(), task=st.sampled_from([7, 64, 1 << 22]))
def test_front_and_best_are_those_of_all_points(problem: dict[str, Any], compiled: bool, task: int) -> None:
    made, where = problem["space"], constraints(*problem["where"], known=KNOWN)
    objectives = [Objective(m, maximise=m == "power_w") for m in problem["metrics"]]
    threshold = engines.WORTH_COMPILING
    engines.WORTH_COMPILING = 0 if compiled else threshold
    try:
        found = run(made, objectives=objectives, constraints=where, task_points=task)
    finally:
        engines.WORTH_COMPILING = threshold
    everything = metrics_at(made, np.arange(made.count))
    good = (
        np.all([c.mask({**made.at(everything.index), **everything.metrics}) for c in where], axis=0) if where else np.ones(made.count, bool)
    )
    index = everything.index[good]
    values = np.stack([significant((-1 if o.maximise else 1) * everything.metrics[o.metric][good]) for o in objectives])
    assert found.counts.points == made.count
    assert found.counts.kept == len(index)
    assert sorted(found.pareto().index.tolist()) == brute_front(values, index)
    for o, row in zip(objectives, values, strict=True):
        assert found.top(o.metric, 3).index.tolist() == index[np.lexsort((index, row))][:3].tolist()
        assert len(found.best(o.metric)) == min(1, len(index))


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_fronts_merge_in_any_order(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    objectives, count = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 200))
    values = rng.integers(0, data.draw(st.sampled_from([2, 5, 50])), (objectives, count)).astype(float)
    index = rng.permutation(10 * count)[:count]
    parts = []
    for places in np.array_split(rng.permutation(count), data.draw(st.integers(1, 6))):
        front = Front(objectives)
        front.take(values[:, places], lambda at, places=places: index[places][at])
        parts.append(front)
    total = Front(objectives)
    for front in parts:
        total.merge(front)
    assert sorted(total.index.tolist()) == brute_front(values, index)


def test_the_front_of_many_points_is_exact() -> None:
    rng = np.random.default_rng(3)
    for objectives in (2, 3):
        values = rng.lognormal(size=(objectives, 30_000))
        front, whole = Front(objectives), Front(objectives)
        for start in range(0, 30_000, 6_000):
            front.take(values[:, start : start + 6_000], lambda at, start=start: at + start)
        whole.add(values, np.arange(30_000))
        assert np.array_equal(front.index, whole.index)
        beaten = [np.any(np.all(values[:, front.index] <= values[:, i : i + 1], axis=0)) for i in range(0, 30_000, 97)]
        assert all(beaten)


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 8))
def test_the_best_points_are_the_first_of_all_in_order(numbers: list[int], size: int) -> None:
    values, index = np.array(numbers, dtype=float), np.arange(len(numbers))
    top = Top(size)
    for places in np.array_split(index[::-1], 3):
        top.add(values[places], places)
    assert top.index.tolist() == index[np.lexsort((index, values))][:size].tolist()


def test_histograms_count_every_point_once() -> None:
    values = np.random.default_rng(0).lognormal(sigma=3, size=5000)
    whole, parts = Histogram(), Histogram()
    whole.add(np.append(values, [0.0, -1.0]))
    for part in np.array_split(values, 7):
        one = Histogram()
        one.add(part)
        parts.merge(one)
    edges, counts = whole.table()
    assert whole.rest == 2
    assert counts.sum() == 5000
    assert np.array_equal(counts, np.histogram(values, bins=edges)[0])
    assert whole.counts == parts.counts
    assert np.allclose(edges[8:] / edges[:-8], 2.0)


@pytest.mark.parametrize("fast", [(), ("device.clock_hz",)])
@pytest.mark.parametrize(("threshold", "backend"), [(0, "numpy"), (1 << 30, "numpy"), (0, "native")])
def test_bad_points_are_counted_and_kept_apart_with_their_reason(
    threshold: int, backend: str, fast: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "WORTH_COMPILING", threshold)
    monkeypatch.setattr(engines, "WORTH_BUILDING", threshold)
    monkeypatch.setattr(work, "fast_axes", lambda block, wanted: fast)
    if backend == "native" and shutil.which("g++") is None:
        pytest.skip("no compiler")
    axes = (listed("device.sm_count", [0.0, 20.0, 40.0]), listed("device.clock_hz", [1e9, np.nan, 2e9, 3e9]))
    made = Space(Base("resnet18", "a100-sxm-80gb"), axes)
    where = constraints("fits and latency < 1 s", known=KNOWN)
    found = run(made, objectives=[Objective("latency_s")], constraints=where, backend=backend)
    assert found.counts.points == 12
    assert found.counts.nan == 6
    assert found.counts.kept == 6
    assert found.bad("not a number").tolist() == [0, 1, 2, 3, 5, 9]
    with pytest.raises(UnknownName, match="reason"):
        found.bad("nothing")


def test_points_that_do_not_fit_say_what_is_exceeded() -> None:
    made = space("jet_tagger", "pynq-z2", vary={"reuse_factor": "1:64:1"}, mapping={"strategy": "resource"})
    found = run(made, objectives=[Objective("latency_s")], constraints=constraints("fits", known=KNOWN))
    assert found.counts.infeasible["fits"] > 0
    assert {"fits: dsp", "fits: lut"} & set(found.counts.infeasible)
    assert found.counts.kept + found.counts.infeasible["fits"] == 64
    assert np.all(found.space.at(found.bad("fits"))["mapping.reuse_factor"] < 64)


def test_a_block_that_cannot_be_built_is_counted_with_its_reason() -> None:
    axes = (listed("mapping.dtype", ["fp16", "fp17"], outer=True), listed("device.sm_count", [20.0, 40.0, 60.0]))
    found = run(Space(Base("resnet18", "a100-sxm-80gb"), axes), objectives=[Objective("latency_s")])
    (reason,) = found.counts.infeasible
    assert "'fp17'" in reason
    assert found.counts.infeasible[reason] == 3
    assert found.bad(reason).tolist() == [3, 4, 5]
    assert found.best().index.tolist() == [0]


def test_what_was_not_asked_for_is_refused() -> None:
    made = space("jet_tagger", "xcu250", vary={"reuse_factor": "1:64:1"})
    found = run(made, objectives=[Objective("latency_s")], top=5)
    with pytest.raises(UnknownName, match="lut"):
        found.top("lut")
    with pytest.raises(UnknownName, match="histogram"):
        found.histogram("lut")
    with pytest.raises(InputError, match="kept 5"):
        found.top("latency_s", 6)
    with pytest.raises(InputError, match="least first|most first"):
        found.top("latency_s", 1, maximise=True)
    with pytest.raises(UnknownName, match="backend"):
        run(made, objectives=[Objective("latency_s")], backend="fortran")
