"""Search: Optuna over the axes of a sweep, slimming, and descent."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError, UnknownName
from hwsim.search.descent import Differentiable, descend
from hwsim.search.slimming import slim
from hwsim.sweep.build import space
from hwsim.sweep.pointwise import Evaluator

GPU, FPGA = "a100-sxm-80gb", "xcu250"
VARY = {"reuse_factor[fc1]": "1,2,4,8", "reuse_factor[fc2]": "1,2,4,8,16", "precision": "ap_fixed<16,6>,ap_fixed<8,3>"}


def rows(found: Any) -> set[tuple[float, ...]]:
    front = found.pareto()
    return {tuple(float(f"{v:.9g}") for v in row) for row in zip(front.metrics["latency_s"], front.metrics["lut"], strict=True)}


@pytest.mark.parametrize("sampler", ["nsga2", "nsga3", "tpe"])
def test_a_search_finds_the_front_of_a_small_grid(sampler: str) -> None:
    pytest.importorskip("optuna")
    given = {"vary": VARY, "strategy": "resource", "pareto": "latency,lut", "where": "fits and lut < 60000"}
    whole = hwsim.sweep("jet_tagger", FPGA, **given)
    found = hwsim.search("jet_tagger", FPGA, trials=60 if sampler == "tpe" else 400, run={"sampler": sampler, "seed": 1}, **given)
    assert found.counts.points == (60 if sampler == "tpe" else 400)
    assert found.counts.infeasible["lut < 60000"] > 0
    best = found.best("lut").metrics["lut"]
    assert best <= whole.best("lut").metrics["lut"] * (1.5 if sampler == "tpe" else 1 + 1e-9)
    assert sampler == "tpe" or len(rows(found) & rows(whole)) >= 0.8 * len(rows(whole))


def test_a_design_of_a_search_is_a_single_estimate() -> None:
    pytest.importorskip("optuna")
    found = hwsim.search(
        "resnet18",
        GPU,
        trials=30,
        vary={"sm_count": "64..256", "dram_b_per_s": "1TB/s..8TB/s log", "batch": "1..8"},
        pareto="energy,max:throughput",
    )
    for design in list(found.pareto())[:3]:
        assert design.estimate().throughput_per_s == pytest.approx(design.metrics["throughput_per_s"])
        assert design.axes["batch"] == int(design.axes["batch"])
        assert 64 <= design.axes["device.sm_count"] <= 256


def test_the_callers_own_metric_is_asked_once_and_only_of_what_fits() -> None:
    pytest.importorskip("optuna")
    asked: list[tuple[Any, ...]] = []

    def accuracy(axes: Mapping[str, Any]) -> float:
        asked.append(tuple(axes.values()))
        return sum(axes["model.widths"]) / 1000

    found = hwsim.search(
        "jet_tagger",
        FPGA,
        trials=150,
        vary={"precision": "ap_fixed<16,6>,ap_fixed<8,3>"},
        model_axes={"widths": "(64,32,32),(32,32),(16,16),(8,8)"},
        metrics={"accuracy": accuracy},
        pareto="max:accuracy,lut",
        where="fits and lut < 80000 and accuracy > 0.01",
    )
    assert len(asked) == len(set(asked)) < 8
    assert ((64, 32, 32), "ap_fixed<16,6>") not in asked
    assert found.best("max:accuracy").metrics["accuracy"] == max(sum(a[0]) for a in asked) / 1000
    assert min(found.pareto().metrics["accuracy"]) > 0.01


def test_workers_share_a_study_and_it_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    given: dict[str, Any] = {"vary": {"sm_count": "64..256", "clock_hz": "1GHz..2GHz"}, "pareto": "latency,energy"}
    storage = f"journal:{tmp_path / 'study.log'}"
    for turn in (1, 2):
        found = hwsim.search("resnet18", GPU, trials=20, run={"storage": storage}, **given)
        assert found.counts.points == 20 * turn
    with pytest.raises(InputError, match=r"has 2 other objectives; take another name \(--study\)"):
        hwsim.search("resnet18", GPU, trials=2, run={"storage": storage}, vary=given["vary"])


def test_what_cannot_be_built_is_counted_with_its_reason() -> None:
    pytest.importorskip("optuna")
    found = hwsim.search("vit_ti16", GPU, trials=40, vary={}, model_axes={"width": "192,200", "num_heads": "3,4"})
    assert 0 < sum(found.reasons.values()) < 40
    assert found.counts.kept + sum(found.reasons.values()) == 40
    assert found.counts.nan == 0
    assert {tuple(d.axes.values()) for d in found.top(k=10)} <= {(192, 3), (192, 4), (200, 4)}


def test_bad_searches() -> None:
    pytest.importorskip("optuna")
    vary = {"sm_count": "64..256"}
    with pytest.raises(UnknownName, match=r"unknown sampler 'nsga'. Did you mean 'nsga3' or 'nsga2'\?"):
        hwsim.search("resnet18", GPU, trials=2, vary=vary, run={"sampler": "nsga"})
    with pytest.raises(InputError, match=r"storage 'x'; expected journal:FILE, or the URL of a database such as sqlite:///search.db"):
        hwsim.search("resnet18", GPU, trials=2, vary=vary, run={"storage": "x"})
    with pytest.raises(InputError, match=r"storage 'foo://x' cannot be used: "):
        hwsim.search("resnet18", GPU, trials=2, vary=vary, run={"storage": "foo://x"})
    with pytest.raises(InputError, match=r"nothing varies; expected an axis of two values at least"):
        hwsim.search("resnet18", GPU, trials=2)


def importance(axes: Mapping[str, Any]) -> float:
    return float(axes["model.width"] ** 0.5 * axes["model.num_layers"])


DEPTHS = {"width": "192,288,384,576", "num_layers": "4,6,8,10,12"}


def test_slimming_meets_the_budget_by_the_cheapest_cuts() -> None:
    made = space("vit_s16", "l4", vary={}, model_axes=DEPTHS, load={"batch": 16})
    steps = slim(made, importance, budget=5e-3)
    assert steps[0].axes == {"model.width": 576, "model.num_layers": 12}
    assert steps[-1].cost <= 5e-3 < steps[-2].cost
    for before, after in pairwise(steps):
        assert after.cost < before.cost
        assert after.ratio == pytest.approx((before.importance - after.importance) / (before.cost - after.cost))
        others = [n for n in made.axes if n.name != after.axis and before.axes[n.name] > n.values.items[0]]  # pyright: ignore
        for axis in others:
            place = axis.values.items.index(before.axes[axis.name])  # pyright: ignore
            other = {**before.axes, axis.name: axis.values.items[place - 1]}  # pyright: ignore
            cost = Evaluator(made)({n: np.array([v]) for n, v in other.items()})["latency_s"][0]
            assert after.ratio <= (before.importance - importance(other)) / (before.cost - cost) + 1e-9
    alone = hwsim.estimate(f"vit_s16?width={steps[-1].axes['model.width']}&num_layers={steps[-1].axes['model.num_layers']}", "l4", batch=16)
    assert alone.latency_s == pytest.approx(steps[-1].cost)


def test_slimming_that_cannot_be() -> None:
    made = space("vit_s16", "l4", vary={}, model_axes={"num_layers": "4,6"})
    with pytest.raises(InputError, match=r"the smallest network has a latency_s of .* more than the budget of 1.00 us; add smaller values"):
        slim(made, lambda axes: 1.0, budget=1e-6)
    with pytest.raises(InputError, match=r"slimming cuts from value to value"):
        slim(space("vit_s16", "l4", vary={"sm_count": "32..64"}, free=True), lambda axes: 1.0, budget=1.0)


CASES = {
    "gpu": ("resnet50", GPU, {"dram_b_per_s": "1TB/s..8TB/s", "clock_hz": "1GHz..2GHz", "idle_power_w": "20..90"}, {"batch": 32}, {}),
    "gpu tokens": (
        "llama3_2_1b",
        "h100-sxm-80gb",
        {"dram_b_per_s": "1TB/s..8TB/s", "clock_hz": "1GHz..2GHz"},
        {"seq_len": 512, "phase": "prefill"},
        {},
    ),
    "fpga": ("jet_tagger", FPGA, {"clock_period": "6ns..10ns", "static_power_w": "1..9"}, {}, {"strategy": "resource", "reuse_factor": 4}),
    "optical": ("resnet18", "fatnet", {"exposure_s": "1us..1ms", "laser_w": "0.1..10"}, {}, {}),
    "neuromorphic": ("pilotnet_sdnn", "loihi2", {"firing_rate": "0.01..0.3", "static_w": "0.1..2"}, {}, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    pytest.importorskip("torch")
    model, device, vary, load, mapping = CASES[name]
    made = space(model, device, vary=vary, load=load, mapping=mapping, free=True)
    differentiable, evaluator = Differentiable(made), Evaluator(made)
    at = {a.name: a.values.low * 0.4189 + a.values.high * 0.5811 for a in made.axes}  # pyright: ignore
    for metric in ("latency_s", "energy_j", "power_w"):
        found = differentiable.gradient(metric, at)
        for axis in at:
            step = 1e-6 * at[axis]
            ends = np.array([at[axis] - step, at[axis] + step])
            values = evaluator({n: ends if n == axis else np.full(2, v) for n, v in at.items()})[metric]
            middle = evaluator({n: np.array([v]) for n, v in at.items()})[metric][0]
            assert found[axis] == pytest.approx((values[1] - values[0]) / (2 * step), rel=1e-4, abs=1e-9 * middle / at[axis]), (
                metric,
                axis,
            )


def test_descent_finds_the_balance() -> None:
    """Time falls with bandwidth, whose price grows: the best bandwidth is where a grid has it."""
    torch = pytest.importorskip("torch")
    made = space("resnet50", GPU, vary={"dram_b_per_s": "0.2TB/s..8TB/s"}, load={"batch": 64}, free=True)

    def price(found: Mapping[str, Any]) -> Any:
        return torch.log(found["latency_s"]) + 0.3 * torch.log(found["device.dram_b_per_s"])

    found = descend(made, price, steps=150)
    grid = np.geomspace(0.2e12, 8e12, 2001)
    values = np.log(Evaluator(made)({"device.dram_b_per_s": grid})["latency_s"]) + 0.3 * np.log(grid)
    assert found.value == pytest.approx(values.min(), abs=2e-3)
    assert found.history[0] > found.value == found.history.min()
    assert found.metrics["latency_s"] == pytest.approx(np.exp(found.value - 0.3 * np.log(found.axes["device.dram_b_per_s"])))


def test_descent_needs_ranges() -> None:
    pytest.importorskip("torch")
    with pytest.raises(InputError) as caught:
        descend(space("resnet18", GPU, vary={"batch": [1, 2]}), "latency_s")
    assert str(caught.value) == "axis 'batch': a descent needs ranges of numbers within one program, such as 1TB/s..8TB/s"
