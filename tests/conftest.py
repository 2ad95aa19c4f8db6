"""Options and fixtures of the whole test run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from hwsim import plugins
from hwsim.testing.graphs import GRAPHS

GOLDEN = Path(__file__).parent / "golden"
DOCS = Path(__file__).parent.parent / "docs"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew instead of comparing with it")
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow; run with --slow"))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)`: the text must be that of tests/golden/<name>."""
    update = request.config.getoption("--update-golden")

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if update:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path.name} is missing; run pytest --update-golden and look at the difference"
        assert text == path.read_text(encoding="utf-8"), f"{path.name} differs; run pytest --update-golden and look at the difference"

    return check


@pytest.fixture
def generated(request: pytest.FixtureRequest) -> Callable[[str, str, str], None]:
    """`generated("cli.md", "estimate", text)`: that block of the file in docs/ must be the text."""
    update = request.config.getoption("--update-golden")

    def check(file: str, name: str, text: str) -> None:
        path = DOCS / file
        content = path.read_text(encoding="utf-8")
        pattern = re.compile(rf"(<!-- generated: {re.escape(name)} -->\n)(.*?)(<!-- end -->)", re.DOTALL)
        found = pattern.search(content)
        assert found, f"docs/{file} has no block '<!-- generated: {name} -->' ... '<!-- end -->'"
        if update and found[2] != text:
            path.write_text(content[: found.start(2)] + text + content[found.end(2) :], encoding="utf-8")
            return
        assert found[2] == text, f"docs/{file}, block {name!r} is not current; run pytest --update-golden"

    return check


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with measured data; the test is skipped where it is absent."""
    from hwsim.datasets.locate import data_path
    from hwsim.errors import DataMissing

    try:
        return data_path(".")
    except DataMissing as error:
        pytest.skip(str(error))


class SmallModels:
    """Reads the names of the networks in hwsim.testing.graphs."""

    name = "small"

    def names(self) -> list[str]:
        return [*GRAPHS, "broken"]

    def accepts(self, source: Any) -> bool:
        return source in self.names()

    def load(self, source: Any, *, batch: int | None, seq_len: int | None, dims: Any, allow_unsupported: bool, **options: Any) -> Any:
        if source == "broken":
            return broken(allow_unsupported)
        lengths = {"seq_len": seq_len} if seq_len and source == "transformer" else {}
        return GRAPHS[source](batch=batch or 1, **lengths)


def broken(allow_unsupported: bool) -> Any:
    """A network with an operator without a rule."""
    from hwsim import GraphBuilder, UnsupportedOp

    if not allow_unsupported:
        raise UnsupportedOp([("body.bessel", "aten.bessel_j0")], where="broken")
    b = GraphBuilder("broken", batch=1)
    x = b.add("linear", [b.input("x", (1, 16)), b.weight((64, 16))], path="body.fc")
    y = b.add("unsupported", [x], operator="aten.bessel_j0", shapes=((1, 64),), path="body.bessel")
    return b.finish([y])


SMALL_MODELS = SmallModels()


@pytest.fixture
def small_models() -> SmallModels:
    """The front end of the small networks."""
    return SMALL_MODELS


@pytest.fixture
def clean_plugins() -> Iterator[None]:
    """Entry points are read anew, before the test and after it."""
    plugins.available.cache_clear()
    plugins.load.cache_clear()
    yield
    plugins.available.cache_clear()
    plugins.load.cache_clear()


@pytest.fixture
def small_world(monkeypatch: pytest.MonkeyPatch, clean_plugins: None) -> None:
    """Only the null target and the small networks exist, so that results do not move with calibrations."""
    points = {
        "hwsim.targets": [EntryPoint("null", "hwsim.targets.null:TARGET", "hwsim.targets")],
        "hwsim.frontends": [EntryPoint("zoo", "hwsim.testing:SMALL_MODELS", "hwsim.frontends")],
        "hwsim.surrogates": [EntryPoint("closed-form", "hwsim.surrogates.closed_form:METHOD", "hwsim.surrogates")],
    }
    monkeypatch.setattr(plugins, "entry_points", lambda *, group: points[group])
    monkeypatch.setattr("hwsim.testing.SMALL_MODELS", SMALL_MODELS, raising=False)
