"""Conformance of a target family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from hwsim.cost import Cost, Program, Target
from hwsim.errors import InputError, UnknownName
from hwsim.estimate import Estimate
from hwsim.graph import Graph
from hwsim.quantities import STATUSES
from hwsim.testing.graphs import GRAPHS


class TargetCase:
    """Subclass this and set `target`; every test is a promise that hwsim relies on."""

    target: ClassVar[Target]
    """The object that the entry point names."""
    device_name: ClassVar[str | None] = None
    """A device to test with; the first one by default."""
    options: ClassVar[dict[str, Any]] = {}
    """Mapping options to test with."""
    graphs: ClassVar[Sequence[str]] = tuple(GRAPHS)
    """Networks of `hwsim.testing.graphs` that the family can run."""
    faster_with: ClassVar[Sequence[str]] = ()
    """Device fields of which more is never slower; all of them must accept columns of shape `(points, 1)`."""
    slack: ClassVar[float] = 1e-9
    """Relative rounding that the laws allow."""

    @pytest.fixture
    def device(self) -> Any:
        """The device under test."""
        return self.target.device(self.device_name or next(iter(self.target.devices())))

    @pytest.fixture
    def mapping(self) -> Any:
        """The mapping under test."""
        return self.target.mapping(**self.options)

    @pytest.fixture(params=list(GRAPHS))
    def graph(self, request: pytest.FixtureRequest) -> Graph:
        """Each network that the family can run."""
        if request.param not in self.graphs:
            pytest.skip(f"{type(self).__name__} does not run {request.param}")
        return GRAPHS[request.param]()

    def run(self, graph: Graph, device: Any, mapping: Any) -> tuple[Program, Cost]:
        """Lower and cost."""
        program = self.target.lower(graph, device=device, mapping=mapping)
        return program, self.target.cost(program, device=device, mapping=mapping)

    def test_has_a_name_and_a_summary(self) -> None:
        assert self.target.family.isidentifier()
        assert self.target.summary

    def test_every_listed_device_can_be_had(self) -> None:
        names = list(self.target.devices())
        assert names, "a family needs a device"
        assert [self.target.device(name).name for name in names] == names

    def test_every_quantity_has_a_source(self, device: Any) -> None:
        numbers = [f.name for f in fields(device) if isinstance(getattr(device, f.name), int | float)]
        assert not [name for name in numbers if name not in device.sources], "numbers without a source"
        assert all(q.source and q.status in STATUSES for q in device.sources.values())

    def test_unknown_device_is_refused(self) -> None:
        with pytest.raises(UnknownName):
            self.target.device("no-such-device")

    def test_unknown_field_is_refused(self, device: Any) -> None:
        with pytest.raises(InputError):
            device.with_overrides({"no_such_field": 1.0})

    def test_unknown_option_is_refused(self) -> None:
        with pytest.raises(InputError):
            self.target.mapping(no_such_option=1)

    def test_mapping_is_a_value(self, mapping: Any) -> None:
        assert hash(mapping) == hash(self.target.mapping(**self.options))

    def test_no_node_is_lost_or_counted_twice(self, graph: Graph, device: Any, mapping: Any) -> None:
        program, _ = self.run(graph, device, mapping)
        nodes = [name for kernel in program.kernels for name in kernel.nodes]
        assert len(nodes) == len(set(nodes)), "a node in two kernels"
        heavy = {n.name for n, w in zip(program.graph.nodes, program.graph.work, strict=True) if w.macs}
        assert heavy <= set(nodes), "nodes with work in no kernel"

    def test_kernels_point_to_rows(self, graph: Graph, device: Any, mapping: Any) -> None:
        program, _ = self.run(graph, device, mapping)
        runs = np.zeros(program.row_count)
        for kernel in program.kernels:
            runs[kernel.row] += kernel.count
        counts = np.concatenate([np.asarray(table.count, dtype=float) for table in program.tables])
        np.testing.assert_allclose(runs, counts)

    def test_cost_is_complete(self, graph: Graph, device: Any, mapping: Any) -> None:
        program, cost = self.run(graph, device, mapping)
        rows = (program.row_count,)
        assert np.shape(cost.row_latency_s) == np.shape(cost.row_energy_j) == rows
        assert len(self.target.binding(cost)) == program.row_count
        values = [cost.row_latency_s, cost.row_energy_j, *(v for _, v in cost.energy_j.items()), cost.memory.total_b]
        assert all(np.all(np.isfinite(v)) and np.all(np.asarray(v) >= 0) for v in values), "negative or not finite"
        assert 0 < float(cost.interval_s) <= float(cost.latency_s) * (1 + self.slack)

    def test_same_question_same_answer(self, graph: Graph, device: Any, mapping: Any) -> None:
        first, second = (self.run(graph, device, mapping)[1] for _ in range(2))
        np.testing.assert_array_equal(first.row_latency_s, second.row_latency_s)
        assert float(first.energy_j.total) == float(second.energy_j.total)

    def test_a_column_of_devices_is_a_column_of_costs(self, graph: Graph, device: Any, mapping: Any) -> None:
        program, single = self.run(graph, device, mapping)
        for field in self.faster_with:
            points = replace(device, **{field: np.full((3, 1), float(getattr(device, field)))})
            latency = self.target.cost(program, device=points, mapping=mapping).latency_s
            np.testing.assert_allclose(latency, np.full(3, float(single.latency_s)), rtol=1e-6)

    def test_more_is_never_slower(self, graph: Graph, device: Any, mapping: Any) -> None:
        program, _ = self.run(graph, device, mapping)
        for field in self.faster_with:
            points = replace(device, **{field: float(getattr(device, field)) * np.array([[1.0], [1.1], [2.0], [8.0]])})
            latency = np.asarray(self.target.cost(program, device=points, mapping=mapping).latency_s)
            assert np.all(np.diff(latency) <= self.slack * latency[:-1]), f"more {field} is slower: {latency}"

    def test_a_larger_batch_is_never_faster(self, device: Any, mapping: Any) -> None:
        for name in self.graphs:
            one, two = (self.run(GRAPHS[name](batch=b), device, mapping)[1] for b in (1, 2))
            assert float(one.latency_s) <= float(two.latency_s) * (1 + self.slack), name

    def test_facts_have_sources(self, device: Any, mapping: Any) -> None:
        assert all(q.source for q in self.target.facts(device, mapping).values())

    def test_estimate_is_reported_everywhere(self, graph: Graph, device: Any) -> None:
        import msgspec

        from hwsim.report.document import EstimateDocument

        estimate = self.estimate(graph, device)
        msgspec.convert(estimate.to_dict(), EstimateDocument)
        assert estimate.to_html().startswith("<!doctype html>")
        assert estimate.to_trace()["traceEvents"]

    def estimate(self, graph: Graph, device: Any) -> Estimate:
        """An estimate without the entry points, so that the case runs before the family is registered."""
        mapping = self.target.mapping(**self.options)
        program, cost = self.run(graph, device, mapping)
        bounds = tuple(self.target.binding(cost))
        return Estimate(program, device, mapping, cost, bounds, facts=self.target.facts(device, mapping))
