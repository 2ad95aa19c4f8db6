"""Conformance of a surrogate."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from hwsim.cost import Cost, Target
from hwsim.testing.graphs import GRAPHS


class SurrogateCase:
    """Subclass this, set `surrogate` and `target`; a surrogate answers as the cost function of its family does."""

    surrogate: ClassVar[Any]
    """The object that the entry point names; has `predict(program, *, device, mapping) -> Cost`."""
    target: ClassVar[Target]
    """The family that it speaks for."""
    device_name: ClassVar[str | None] = None
    """A device to test with; the first one by default."""
    graphs: ClassVar[tuple[str, ...]] = ("mlp",)
    """Networks of `hwsim.testing.graphs` that it can predict."""

    @pytest.fixture
    def costs(self) -> list[tuple[Any, Cost, Cost]]:
        """(program, closed form, prediction) of every network."""
        device, mapping = self.target.device(self.device_name or next(iter(self.target.devices()))), self.target.mapping()
        programs = [self.target.lower(GRAPHS[name](), device=device, mapping=mapping) for name in self.graphs]
        given: dict[str, Any] = {"device": device, "mapping": mapping}
        return [(p, self.target.cost(p, **given), self.surrogate.predict(p, **given)) for p in programs]

    def test_answers_as_the_cost_function_does(self, costs: list[tuple[Any, Cost, Cost]]) -> None:
        for program, closed_form, predicted in costs:
            assert isinstance(predicted, Cost)
            assert np.shape(predicted.latency_s) == np.shape(closed_form.latency_s)
            assert np.shape(predicted.row_latency_s) == (program.row_count,)

    def test_is_positive_and_finite(self, costs: list[tuple[Any, Cost, Cost]]) -> None:
        for _, _, predicted in costs:
            assert np.isfinite(float(predicted.latency_s))
            assert float(predicted.latency_s) > 0
            assert np.all(np.asarray(predicted.row_latency_s) >= 0)

    def test_keeps_the_memory(self, costs: list[tuple[Any, Cost, Cost]]) -> None:
        for _, closed_form, predicted in costs:
            assert float(predicted.memory.total_b) == pytest.approx(float(closed_form.memory.total_b))

    def test_same_question_same_answer(self, costs: list[tuple[Any, Cost, Cost]]) -> None:
        device, mapping = self.target.device(self.device_name or next(iter(self.target.devices()))), self.target.mapping()
        for program, _, predicted in costs:
            again = self.surrogate.predict(program, device=device, mapping=mapping)
            np.testing.assert_array_equal(again.row_latency_s, predicted.row_latency_s)
