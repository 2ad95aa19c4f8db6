"""Axes from text: what is read, and what is said of texts that cannot be."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import InputError, UnknownName
from hwsim.sweep.axes import Choices, Interval, Steps
from hwsim.sweep.build import space
from hwsim.sweep.constraints import constraints
from hwsim.sweep.names import Names
from hwsim.sweep.reading import Kind, read, shown

GPU, FPGA = "a100-sxm-80gb", "xcu250"
COUNT = Kind("device.sm_count", integer=True)
RATE = Kind("device.dram_b_per_s", unit="B/s")


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("64:256:8", COUNT, [64 + 8 * i for i in range(25)]),
        ("64:70:8", COUNT, [64]),
        ("8,16,32", COUNT, [8, 16, 32]),
        ("64..256 x3 log", COUNT, [64, 128, 256]),
        ("1TB/s..8TB/s x4 log", RATE, [1e12, 2e12, 4e12, 8e12]),
        ("1 TB/s .. 2 TB/s x 3", RATE, [1e12, 1.5e12, 2e12]),
        ("1TB/s:2TB/s:500GB/s", RATE, [1e12, 1.5e12, 2e12]),
        ([1e12, "2 TB/s"], RATE, [1e12, 2e12]),
        (np.array([64, 72]), COUNT, [64, 72]),
        ({"low": "1 TB/s", "high": "4 TB/s", "count": 3, "log": True}, RATE, [1e12, 2e12, 4e12]),
        ({"start": 1, "stop": 9, "step": 4}, COUNT, [1, 5, 9]),
        ("2,5 ns", Kind("mapping.clock_period_s", unit="s", scale=1e-9), [2e-9, 5e-9]),
        (7, COUNT, [7]),
    ],
)
def test_numbers_are_read_with_both_ends(text: Any, kind: Kind, values: list[float]) -> None:
    found = read(text, kind)
    np.testing.assert_allclose(found.take(np.arange(len(found))).astype(float), values, rtol=1e-12)


def test_texts_are_split_outside_of_brackets() -> None:
    kind = Kind("mapping.precision", numeric=False, outer=True)
    assert read("ap_fixed<16,6>, ap_fixed<8,3>", kind) == Choices(("ap_fixed<16,6>", "ap_fixed<8,3>"))
    assert read("(64,32,32),(16,16)", kind) == Choices(((64, 32, 32), (16, 16)))
    assert read("true,false", kind) == Choices((True, False))


def test_a_range_without_steps_is_for_samples() -> None:
    found = read("64..66", COUNT)
    assert found == Interval(64, 66, integer=True)
    np.testing.assert_array_equal(found.at(np.array([0.0, 0.34, 0.99])), [64, 65, 66])
    with pytest.raises(InputError, match="has no steps"):
        found.take(np.array([0]))


@pytest.mark.parametrize("values", [Choices((1.0, 4.0)), Steps(1.0, 9.0, 5), Steps(1.0, 8.0, 4, log=True), Interval(1.0, 8.0, log=True)])
def test_what_a_file_says_is_read_back(values: Any) -> None:
    assert read(shown(values, "B/s"), RATE) == values


SAYS = "expected device.sm_count=64:256:8, device.sm_count='64..256 x32 log' or device.sm_count=64,128"
LIKE = "such as device.sm_count=64:256:8, device.sm_count='64..256 x32 log' or device.sm_count=64,128"
BAD_AXES = {
    "reversed": (
        "device.sm_count",
        "256:64:8",
        f"axis 'device.sm_count': the range '256:64:8' runs backwards; expected the smaller end first, {LIKE}",
    ),
    "empty range": ("device.sm_count", "64..64 x8", f"axis 'device.sm_count': the range '64..64 x8' is empty: both ends are 64.0; {SAYS}"),
    "no values": ("device.sm_count", "", f"axis 'device.sm_count': has no values; {SAYS}"),
    "no step": ("device.sm_count", "64:128", f"axis 'device.sm_count': found '64:128'; expected start:stop:step, {LIKE}"),
    "zero step": ("device.sm_count", "64:256:0", "axis 'device.sm_count': found '64:256:0' with the step 0; expected a step above 0"),
    "one step": ("device.sm_count", "64..256 x1", "axis 'device.sm_count': found '64..256 x1'; expected at least 2 values, such as x32"),
    "part": ("device.sm_count", "64.5,70", "axis 'device.sm_count': found '64.5'; expected a whole number"),
    "twice": ("device.sm_count", "64,64", "axis 'device.sm_count': 64 is given twice"),
    "no number": ("device.sm_count", "a,b", "axis 'device.sm_count': found 'a'; expected a number with the unit (none), such as '80'"),
    "not positive": ("device.sm_count", "0:64:8", "axis 'device.sm_count': quantity 'sm_count': found 0.0; expected more than 0"),
    "infinite": ("device.sm_count", [float("inf")], "axis 'device.sm_count': found inf; expected a finite number"),
    "log of 0": (
        "device.idle_power_w",
        "0W..9W x3 log",
        "axis 'device.idle_power_w': found '0W..9W x3 log'; a logarithmic range starts above 0",
    ),
    "unit": (
        "device.dram_b_per_s",
        "1TB..8TB x4",
        "axis 'device.dram_b_per_s': found '1TB' with the unit 'TB'; expected B/s, such as '1.555 TB/s'",
    ),
    "prefix": (
        "device.dram_b_per_s",
        "1..8 x4",
        "axis 'device.dram_b_per_s': quantity 'dram_b_per_s': found 1 B/s; expected at least 1e+06 B/s; is its prefix missing?",
    ),
    "options": ("device.sm_count", "64,128 log", f"axis 'device.sm_count': found '64,128 log'; 'x' and 'log' go with a range, {LIKE}"),
    "no steps": (
        "device.sm_count",
        "64..256",
        "axis 'device.sm_count': 64..256 has no steps; a grid needs their number (64..256 x32), or take a sample "
        "(--sample sobol --points 10000)",
    ),
    "value": ("mapping.dtype", "fp16,fp99", "axis 'mapping.dtype': unknown dtype 'fp99'. Did you mean 'fp64' or 'fp32' or 'fp16'?"),
    "key": ("device.sm_count", {"low": 1, "high": 2, "cont": 3}, "axis 'device.sm_count': unknown key 'cont'. Did you mean 'count'?"),
    "outer range": (
        "batch",
        "1..64",
        "axis 'batch': found '1..64'; every value makes a program of its own, so say how many: 1..64 x8, or list them",
    ),
    "misspelt": (
        "device.sm_cont",
        "64,128",
        "unknown axis 'device.sm_cont'. Did you mean 'device.sm_count' or 'device.dram_b' or 'device.l2_b'?",
    ),
    "misspelt short": ("sm_cont", "64,128", "unknown axis 'sm_cont'. Did you mean 'sm_count' or 'device.sm_count'?"),
    "pattern": (
        "device.sm_count[x]",
        "64,128",
        "axis 'device.sm_count[x]': a pattern of layers goes with a mapping choice, such as mapping.reuse_factor[fc*]",
    ),
}


@pytest.mark.parametrize("name", BAD_AXES)
def test_bad_axes_are_refused_before_the_work(name: str) -> None:
    axis, text, message = BAD_AXES[name]
    with pytest.raises(InputError) as caught:
        space("resnet50", GPU, vary={axis: text})
    assert str(caught.value) == message


BAD_SPACES: dict[str, tuple[dict[str, Any], str]] = {
    "families": (
        {"devices": [GPU, FPGA], "vary": {"dtype": "fp16,int8"}},
        "axis 'mapping.dtype': the fpga family has no choice 'dtype'; sweep devices of different families apart",
    ),
    "given and varied": (
        {"vary": {"dtype": "fp16,int8"}, "mapping": {"dtype": "fp16"}},
        "mapping.dtype is given a value, and varies too; drop one of them",
    ),
    "twice": ({"vary": {"sm_count": "1,2", "device.sm_count": "3,4"}}, "axis 'device.sm_count' is given twice"),
    "no points": ({"vary": {"sm_count": "1,2"}, "sample": "lhs"}, "a lhs sample needs a number of points, such as --points 10000"),
    "points of a grid": (
        {"vary": {"sm_count": "1,2"}, "points": 5},
        "5 points of a grid, which has 2; a number of points goes with --sample random, lhs or sobol",
    ),
    "sampling": ({"vary": {"sm_count": "1,2"}, "sample": "sobl", "points": 5}, "unknown sampling 'sobl'. Did you mean 'sobol'?"),
    "builder": ({"vary": {}, "model_axes": {"widht": "1,2"}}, "unknown axis 'model.widht'. Did you mean 'model.width' or"),
    "device": ({"devices": "a100-sxm-80g", "vary": {}}, "unknown device 'a100-sxm-80g'."),
    "programs": ({"vary": {"batch": "1:2000:1", "seq_len": "1:2000:1"}}, "4,000,000 programs to lower (2000 batch x 2000 seq_len)"),
}


@pytest.mark.parametrize("name", BAD_SPACES)
def test_bad_spaces_are_refused_before_the_work(name: str) -> None:
    given, message = BAD_SPACES[name]
    with pytest.raises(InputError) as caught:
        space("vit_b16" if "model_axes" in given else "resnet50", given.pop("devices", GPU) if "devices" in given else GPU, **given)
    assert str(caught.value).startswith(message)


def test_short_names_are_completed() -> None:
    names = Names.of(["vit_b16"], [GPU])
    assert [names.kind(n).name for n in ("sm_count", "dtype", "width", "mapping.batch")] == [
        "device.sm_count",
        "mapping.dtype",
        "model.width",
        "batch",
    ]
    assert not names.kind("sm_count").outer
    assert names.kind("dtype").outer


def test_a_short_name_that_means_two_things_is_refused() -> None:
    def build(sm_count: int = 1) -> Any: ...

    with pytest.raises(InputError, match=r"axis 'sm_count' may mean device.sm_count or model.sm_count; write one of them"):
        Names.of([build], [GPU]).kind("sm_count")


def test_a_clock_period_is_in_nanoseconds_where_nothing_else_is_said() -> None:
    made = space("jet_tagger", FPGA, vary={"clock_period": "2,5ns,4"})
    assert made.axes[0].name == "mapping.clock_period_s"
    np.testing.assert_allclose(made.columns(0, 3)["mapping.clock_period_s"], [2e-9, 5e-9, 4e-9])


def test_unknown_layers_are_named() -> None:
    from hwsim.sweep.plan import plan

    with pytest.raises(UnknownName) as caught:
        plan(space("jet_tagger", FPGA, vary={"reuse_factor[fx*]": "1,2"}))
    assert str(caught.value) == "unknown layer in axis 'mapping.reuse_factor[fx*]': 'fx*'. Known: fc1, fc2, fc3, output."


def test_a_graph_has_its_sizes() -> None:
    import hwsim

    with pytest.raises(InputError) as caught:
        space(hwsim.load("resnet18"), GPU, vary={"batch": "1,2"})
    assert str(caught.value) == (
        "batch varies, but the model is a graph, which has its sizes; expected what it is loaded from, or a function"
    )


def test_options_of_a_builder_that_does_not_tell_them() -> None:
    made = space("hf:LlamaConfig?num_hidden_layers=2", GPU, vary={}, model_axes={"hidden_size": "256:512:128", "hidden_act": "silu,gelu"})
    assert made.block(3).base.model == "hf:LlamaConfig?num_hidden_layers=2&hidden_size=384&hidden_act=gelu"


LETTERS = "0123456789.:,x logTB/sekn-+eE[]()<>'\" "
KINDS = (COUNT, RATE, Kind("m", numeric=False, outer=True), Kind("o", integer=True, outer=True))
WORDS = [
    *("latency", "fits", "lut", "dtype", "<", ">=", "==", "and", "or", "not", "(", ")", "2us", "3", "1e400", "'a'", "+", "-"),
    *("*", "/", "0", "%", "50%", "in", "[", "]", ".", "abs(", "**", "if", "else", "lambda:", "#", "\\", "2", "GB"),
]


@settings(max_examples=300, deadline=None)
@given(text=st.text(LETTERS, max_size=24), kind=st.sampled_from(KINDS))
def test_any_text_is_read_or_refused(text: str, kind: Kind) -> None:
    with contextlib.suppress(InputError):
        values = read(text, kind)
        assert len(values) == 0 or len(values.take(np.arange(1))) == 1


@settings(max_examples=300, deadline=None)
@given(words=st.lists(st.sampled_from(WORDS), max_size=9))
def test_any_condition_is_read_or_refused(words: list[str]) -> None:
    known = {"latency_s": "s", "fits": "bool", "lut": "", "mapping.dtype": "text"}
    values = {"latency_s": np.ones(1), "fits": np.array([True]), "lut": np.ones(1), "mapping.dtype": np.array(["a"], dtype=object)}
    with contextlib.suppress(InputError):
        for condition in constraints(" ".join(words), known=known):
            condition.mask(values)
            condition.excess(values)
