"""Conformance of a front end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from hwsim.errors import UnsupportedOp
from hwsim.frontends import Frontend
from hwsim.graph import Graph


class FrontendCase:
    """Subclass this, set `frontend` and override `source`."""

    frontend: ClassVar[Frontend]
    """The object that the entry point names."""
    foreign: ClassVar[Sequence[Any]] = (object(), 3, None, "no-such-model", "no/such/file.xyz")
    """What it must not accept."""
    macs_scale_with_batch: ClassVar[bool] = True
    """Whether twice the batch is twice the multiply-accumulates."""

    @pytest.fixture
    def source(self) -> Any:
        """Something that the front end reads."""
        raise NotImplementedError(f"{type(self).__name__} must override the fixture `source`")

    @pytest.fixture
    def unsupported_source(self) -> Any:
        """A source with an operator that has no rule."""
        pytest.skip("no source with an unsupported operator is given")

    def load(self, source: Any, *, batch: int | None = None, allow_unsupported: bool = False) -> Graph:
        """Load without lengths and dimensions."""
        return self.frontend.load(source, batch=batch, seq_len=None, dims={}, allow_unsupported=allow_unsupported)

    def test_has_a_name(self) -> None:
        assert self.frontend.name

    def test_accepts_its_source(self, source: Any) -> None:
        assert self.frontend.accepts(source) is True

    def test_leaves_others_alone(self) -> None:
        assert not [thing for thing in self.foreign if self.frontend.accepts(thing)]

    def test_builds_a_graph(self, source: Any) -> None:
        graph = self.load(source)
        assert isinstance(graph, Graph)
        assert graph.nodes
        assert graph.attrs.get("source"), "attrs['source'] says where a graph came from"

    def test_batch_is_honoured(self, source: Any) -> None:
        one, two = (self.load(source, batch=b) for b in (1, 2))
        assert (one.attrs["batch"], two.attrs["batch"]) == (1, 2)
        assert two.parameters == one.parameters
        if self.macs_scale_with_batch:
            assert two.macs == 2 * one.macs

    def test_same_source_same_graph(self, source: Any) -> None:
        assert self.load(source) == self.load(source)

    def test_all_unsupported_operators_are_listed(self, unsupported_source: Any) -> None:
        with pytest.raises(UnsupportedOp) as error:
            self.load(unsupported_source)
        graph = self.load(unsupported_source, allow_unsupported=True)
        assert len(graph.unsupported) == len(error.value.operators) > 0
        assert graph.coverage_frac < 1
