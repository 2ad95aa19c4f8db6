"""Reports of estimates on the null target: JSON, trace, HTML, frames, folding."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

import hwsim
from hwsim.cost import Cost, Memory, Resource
from hwsim.estimate import Estimate, Interval
from hwsim.report import svg, text
from hwsim.report.document import EstimateDocument
from hwsim.report.fold import View, default_view, fold, slowest
from hwsim.report.html import comparison_html, estimate_fragment
from hwsim.report.json import comparison_dict, estimate_dict
from hwsim.targets.null import TARGET
from hwsim.testing.graphs import GRAPHS


@pytest.fixture(autouse=True)
def _world(small_world: None) -> None:
    """Null target only."""


def estimate(name: str = "convnet", **options: Any) -> Estimate:
    return hwsim.estimate(GRAPHS[name](**options), TARGET.device("null"))


def generator() -> Estimate:
    """An estimate with a decode step."""
    step = replace(estimate("transformer", seq_len=1), phase="decode")
    return replace(estimate("transformer", seq_len=32), phase="prefill", decode=step)


def with_memory(e: Estimate, memory: Memory, **changes: Any) -> Estimate:
    cost: Cost = replace(e.cost, memory=memory, **changes)
    return replace(e, cost=cost)


def printed(e: Estimate, width: int = 80, **view: Any) -> str:
    from rich.console import Console

    from hwsim.report.terminal import estimate_renderable

    console = Console(width=width, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(estimate_renderable(e, **view))
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def test_json_golden(golden: Callable[[str, str], None]) -> None:
    found = json.dumps(estimate_dict(estimate("mlp")), indent=2, allow_nan=False)
    golden("mlp.json", found.replace(f'"hwsim_version": "{hwsim.__version__}"', '"hwsim_version": "*"') + "\n")


@pytest.mark.parametrize("name", GRAPHS)
def test_json_follows_its_declaration(name: str) -> None:
    document = msgspec.convert(estimate_dict(estimate(name)), EstimateDocument)
    assert sum(layer.latency_s for layer in document.layers) == pytest.approx(document.latency_s)
    assert sum(layer.latency_frac for layer in document.layers) == pytest.approx(1)


def test_json_of_what_does_not_exist_is_null() -> None:
    found = estimate_dict(with_memory(estimate("mlp"), Memory(), resources={"LUT": Resource(3.0)}, extra={"x": float("nan")}))
    assert (found["memory"]["capacity_b"], found["resources"]["LUT"]["available"], found["extra"]["x"]) == (None, None, None)
    json.dumps(found, allow_nan=False)


def test_json_of_a_decode_step_is_an_estimate() -> None:
    found = comparison_dict([generator()])["estimates"][0]
    assert (found["phase"], found["decode"]["phase"], found["decode"]["decode"]) == ("prefill", "decode", None)


def test_trace_is_gapless_and_in_order() -> None:
    e = generator()
    events = [x for x in json.loads(json.dumps(e.to_trace()))["traceEvents"] if x["ph"] == "X"]
    for track, phase in ((1, e), (2, e.decode)):
        assert phase is not None
        mine = [x for x in events if x["tid"] == track]
        ends = [x["ts"] + x["dur"] for x in mine]
        assert [x["ts"] for x in mine][1:] == pytest.approx(ends[:-1])
        assert ends[-1] == pytest.approx(phase.latency_s * 1e6)


def test_terminal_of_a_generator(golden: Callable[[str, str], None]) -> None:
    interval = Interval(4e-6, 6e-6, 0.9, "null-made-up", 0.1)
    golden("generator.txt", printed(replace(generator(), latency_interval=interval, warnings=("sizes [1] are guesses",)), depth=2))


def test_terminal_of_resources_and_misfit(golden: Callable[[str, str], None]) -> None:
    memory = Memory(weights_b=2e9, activations_b=1e9, state_b=5e8, reserved_b=1e8, capacity_b=3e9)
    golden("resources.txt", printed(with_memory(estimate("mlp"), memory, resources={"DSP": Resource(120.0, 100.0)}), quiet=True))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_terminal_keeps_to_its_width(width: int) -> None:
    assert max(map(len, printed(generator(), width).splitlines())) <= width


class Checker(HTMLParser):
    """Tags are balanced, and nothing is fetched."""

    void = ("meta", "input", "br", "rect", "line", "circle", "polyline")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert not {"src", "href"} & {name for name, _ in attrs}
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        assert tag in self.void

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_html(page: str) -> None:
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    assert not re.search(r"https?://|@import|url\(", page), "self-contained"
    assert "nan" not in re.findall(r'(?:cx|cy|x|y|r|width|points)="([^"]*)"', page)


@pytest.mark.parametrize("name", GRAPHS)
def test_html_is_balanced_and_self_contained(name: str) -> None:
    check_html(estimate(name).to_html())
    check_html(estimate_fragment(estimate(name)))
    assert len(estimate(name).to_html()) < 200_000


def test_html_of_a_generator_has_both_phases() -> None:
    page = generator().to_html()
    check_html(page)
    assert [t for t in re.findall("<h2>(.*?)</h2>", page) if "ernels" in t] == ["Prefill: kernels", "Decode: kernels"]


def test_html_compares() -> None:
    page = comparison_html([generator(), generator()])
    check_html(page)
    assert "Time per output token" in page


def test_html_escapes_names() -> None:
    b = hwsim.GraphBuilder("<script>alert(1)</script>", batch=1)
    graph = b.finish([b.add("activation", [b.input("x", (4,))], fn="relu", path='a"<b>&c')])
    page = hwsim.estimate(graph, TARGET.device("null")).to_html()
    check_html(page)
    assert "<script>alert" not in page


def test_roofs_are_drawn_where_they_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "polyline" not in estimate().to_html()
    monkeypatch.setattr(type(TARGET), "roofs", lambda *_: {"compute": 2e12, "memory": 1e12}, raising=False)
    page = estimate().to_html()
    check_html(page)
    assert "compute 2.00 TFLOP/s" in page
    assert "memory 1.00 TB/s" in page


def test_plots_without_data_are_left_out() -> None:
    assert svg.roofline([], {}) == svg.bars([]) == ""


def test_notebook_shows_a_fragment() -> None:
    assert estimate()._repr_html_() == estimate_fragment(estimate())


def test_frames() -> None:
    pytest.importorskip("pandas")
    from hwsim.report.frames import comparison_frame

    frame = estimate("mlp").to_pandas()
    assert float(frame["latency_s"].sum()) == pytest.approx(estimate("mlp").latency_s)
    assert list(frame["name"]) == ["fc1", "act1", "fc2", "act2", "fc3"]
    assert len(comparison_frame([estimate("mlp"), generator()]).columns) == 11


def test_fold_keeps_order_and_sums() -> None:
    layers = estimate().layers
    assert [b.name for b in fold(layers, View(1))] == ["stem", "blocks", "pool", "head"]
    assert [b.name for b in fold(layers, View(2))][3:5] == ["blocks.0", "blocks.1"]
    for depth in (1, 2, 9):
        assert sum(b.latency_s for b in fold(layers, View(depth))) == pytest.approx(sum(x.latency_s for x in layers))


def test_default_view_is_the_deepest_that_is_short() -> None:
    layers = estimate().layers
    assert (default_view(layers), default_view(layers, most=10)) == (View(4), View(2))


def test_default_view_puts_repeated_blocks_together_where_one_row_says_too_little() -> None:
    layers = estimate().layers
    assert default_view(layers, most=7) == View(2)
    assert default_view(layers, most=6) == View(2, together=True)
    names = ["stem.conv", "stem.norm", "stem.act", "blocks.*", "pool", "head"]
    assert [b.name for b in fold(layers, View(2, together=True))] == names


def test_slowest_keeps_the_order_and_the_rest() -> None:
    blocks = fold(estimate().layers, View(9))
    kept, others = slowest(blocks, top=2)
    assert [b.name for b in kept] == ["blocks.0.conv1.conv", "blocks.0.conv2.conv"]
    assert others is not None
    assert others.name == "(17 others)"
    assert sum(b.latency_s for b in [*kept, others]) == pytest.approx(sum(b.latency_s for b in blocks))


@pytest.mark.parametrize(("frac", "shown"), [(0, ""), (1, "████"), (0.5, "██"), (1 / 32, "▏"), (7 / 32, "▉"), (2, "████"), (-1, "")])
def test_bars_in_eighths(frac: float, shown: str) -> None:
    assert text.bar(frac, 4) == shown


def test_words() -> None:
    assert (text.percent(1), text.percent(0.3414), text.ratio(3, 0)) == ("100 %", "34.1 %", "-")
    assert text.interval(Interval(None, None), "s") == "not validated"
    assert text.interval(Interval(1e-3, 2e-3, 0.9, "gpu-conv"), "s") == "1.00 ms to 2.00 ms (90 % of gpu-conv)"
