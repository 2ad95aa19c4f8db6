"""Conformance of a surrogate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from hwsim.cost import Cost, Program, Target
from hwsim.testing.graphs import GRAPHS


class SurrogateCase:
    """Subclass this, set `surrogate` and `target`; a surrogate answers as the cost function of its family does.

    What it offers beside `predict` is tested where it has it: `interval` or `intervals` (ranges), `stored` (what goes on the shelf).
    """

    surrogate: ClassVar[Any]
    """The object that the entry point names; has `predict(program, *, device, mapping) -> Cost`."""
    target: ClassVar[Target]
    """The family that it speaks for."""
    device_name: ClassVar[str | None] = None
    """A device to test with; the first one by default."""
    graphs: ClassVar[tuple[str, ...]] = ("mlp",)
    """Networks of `hwsim.testing.graphs` that it can predict."""
    options: ClassVar[Mapping[str, Any]] = {}
    """Mapping options to test with."""

    @pytest.fixture
    def given(self) -> dict[str, Any]:
        """Device and mapping under test."""
        name = self.device_name or next(iter(self.target.devices()))
        return {"device": self.target.device(name), "mapping": self.target.mapping(**self.options)}

    @pytest.fixture
    def costs(self, given: dict[str, Any]) -> list[tuple[Program, Cost, Cost]]:
        """(program, closed form, prediction) of every network."""
        programs = [self.target.lower(GRAPHS[name](), **given) for name in self.graphs]
        return [(p, self.target.cost(p, **given), self.surrogate.predict(p, **given)) for p in programs]

    def test_answers_as_the_cost_function_does(self, costs: list[tuple[Program, Cost, Cost]]) -> None:
        for program, closed_form, predicted in costs:
            assert isinstance(predicted, Cost)
            assert np.shape(predicted.latency_s) == np.shape(closed_form.latency_s)
            assert np.shape(predicted.row_latency_s) == (program.row_count,)
            assert set(predicted.resources) == set(closed_form.resources)
            assert set(closed_form.extra) <= set(predicted.extra)

    def test_is_positive_and_finite(self, costs: list[tuple[Program, Cost, Cost]]) -> None:
        for _, _, predicted in costs:
            assert np.isfinite(float(predicted.latency_s))
            assert float(predicted.latency_s) > 0
            assert np.all(np.asarray(predicted.row_latency_s) >= 0)
            values = [*(r.used for r in predicted.resources.values()), *(v for _, v in predicted.energy_j.items())]
            assert all(np.all(np.isfinite(v)) and np.all(np.asarray(v) >= 0) for v in values), "negative or not finite"

    def test_keeps_the_memory(self, costs: list[tuple[Program, Cost, Cost]]) -> None:
        for _, closed_form, predicted in costs:
            assert float(predicted.memory.total_b) == pytest.approx(float(closed_form.memory.total_b))

    def test_is_bounded_by_physics(self, costs: list[tuple[Program, Cost, Cost]], given: dict[str, Any]) -> None:
        """No faster than the arithmetic of the network at the peak of the fastest unit, where the family tells roofs."""
        roofs = getattr(self.target, "roofs", None)
        peak = roofs(given["device"], given["mapping"])["compute"] if roofs else 0.0
        for _, _, predicted in costs:
            if peak > 0 and "flop" in predicted.extra:
                assert float(predicted.latency_s) >= 0.99 * float(predicted.extra["flop"]) / peak

    def test_same_question_same_answer(self, costs: list[tuple[Program, Cost, Cost]], given: dict[str, Any]) -> None:
        for program, _, predicted in costs:
            again = self.surrogate.predict(program, **given)
            np.testing.assert_array_equal(again.row_latency_s, predicted.row_latency_s)

    def test_an_answer_never_depends_on_what_was_asked_before(self, given: dict[str, Any]) -> None:
        programs = [self.target.lower(GRAPHS[name](), **given) for name in self.graphs]
        there = [self.surrogate.predict(p, **given) for p in programs]
        back = [self.surrogate.predict(p, **given) for p in reversed(programs)][::-1]
        for one, other in zip(there, back, strict=True):
            np.testing.assert_array_equal(one.row_latency_s, other.row_latency_s)
            assert float(one.latency_s) == float(other.latency_s)

    def test_every_row_has_a_bound(self, costs: list[tuple[Program, Cost, Cost]]) -> None:
        for program, _, predicted in costs:
            assert len(self.target.binding(predicted)) == program.row_count

    def test_a_range_holds_its_mean(self, costs: list[tuple[Program, Cost, Cost]], given: dict[str, Any]) -> None:
        for program, _, predicted in costs:
            for name, interval in self.ranges(program, predicted, given).items():
                assert 0 <= interval.low <= interval.high, f"range of {name}"
                assert 0 < interval.level < 1
                if name == "latency":
                    assert interval.low <= float(predicted.latency_s) * (1 + 1e-9), "the range lies above its mean"
                    assert interval.high >= float(predicted.latency_s) * (1 - 1e-9), "the range lies below its mean"

    def ranges(self, program: Program, predicted: Cost, given: Mapping[str, Any]) -> dict[str, Any]:
        """Ranges by name, whichever way the surrogate tells them; empty outside of what it knows."""
        if hasattr(self.surrogate, "intervals"):
            return dict(self.surrogate.intervals(program, predicted, **given))
        interval = self.surrogate.interval(program, predicted, **given) if hasattr(self.surrogate, "interval") else None
        return {} if interval is None else {"latency": interval}

    def test_the_shelf_gives_it_back(self, tmp_path: Path, costs: list[tuple[Program, Cost, Cost]], given: dict[str, Any]) -> None:
        """Written and read again it answers the same, to the digits of float32; configuration and metrics are plain JSON."""
        stored = getattr(self.surrogate, "stored", None)
        if stored is None:
            pytest.skip("it is not one of the shelf")
        from hwsim.surrogates import store

        json.dumps([dict(stored.config), dict(stored.metrics)], allow_nan=False)
        again = type(self.surrogate)(store.read(str(store.write(stored, where=tmp_path / stored.name))))
        for program, _, predicted in costs:
            found = again.predict(program, **given)
            np.testing.assert_allclose(float(found.latency_s), float(predicted.latency_s), rtol=1e-4)
            for name, resource in predicted.resources.items():
                np.testing.assert_allclose(float(found.resources[name].used), float(resource.used), rtol=1e-4, err_msg=name)
