"""Our own families, front ends and a surrogate through the cases that third parties subclass."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hwsim.cost import Cost, Program
from hwsim.targets.null import TARGET as NULL
from hwsim.testing import FrontendCase, SurrogateCase, TargetCase

HERE = Path(__file__).parent
EXTENDING = HERE.parent / "docs" / "extending.md"


def toy() -> Any:
    """The package of tests/plugin, imported from its file."""
    import sys

    spec = importlib.util.spec_from_file_location("hwsim_toy_target", HERE / "plugin" / "hwsim_toy_target" / "__init__.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class TestNullTarget(TargetCase):
    target = NULL
    faster_with = ("macs_per_s", "memory_b_per_s")


class TestToyTarget(TargetCase):
    target = toy().TARGET
    faster_with = ("lane_count", "clock_hz", "dram_b_per_s")


class TestSmallModels(FrontendCase):
    @pytest.fixture(autouse=True)
    def _frontend(self, small_models: Any) -> None:
        type(self).frontend = small_models

    @pytest.fixture
    def source(self) -> str:
        return "convnet"

    @pytest.fixture
    def unsupported_source(self) -> str:
        return "broken"


class Halved:
    """A surrogate that finds everything twice as fast."""

    def predict(self, program: Program, *, device: Any, mapping: Any) -> Cost:
        cost = NULL.cost(program, device=device, mapping=mapping)
        return replace(cost, latency_s=cost.latency_s / 2, interval_s=cost.interval_s / 2, row_latency_s=cost.row_latency_s / 2)


class TestHalved(SurrogateCase):
    surrogate = Halved()
    target = NULL
    graphs: ClassVar[tuple[str, ...]] = ("mlp", "convnet", "transformer")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", EXTENDING.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_examples_of_extending_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The Python of docs/extending.md, from top to bottom; operators that it registers are forgotten afterwards."""
    from hwsim.ops import core

    monkeypatch.setattr(core, "_REGISTRY", dict(core._REGISTRY))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "extending"}
    for block in blocks("python"):
        exec(compile(block, "docs/extending.md", "exec", dont_inherit=True), names)
    assert names["network"].work[0].ops == 8 * 1000


def test_target_of_extending_is_the_template_that_is_tested() -> None:
    assert 'toy = "hwsim_toy_target:TARGET"' in "".join(blocks("toml"))
    assert "tests/plugin" in EXTENDING.read_text(encoding="utf-8")
