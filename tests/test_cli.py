"""The command line, in the small world of the null target: what is printed, and the exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from hwsim import cli
from hwsim.cli.group import COMMANDS
from hwsim.cli.status import ExitStatus
from hwsim.errors import DataMissing, HwsimError
from hwsim.report.document import EstimateDocument

HEAVY = ("torch", "onnx", "pandas", "scipy", "plotly", "sklearn")


def _answering() -> list[str]:
    """Surrogates that answer for networks; those of search spaces do not."""
    from hwsim.surrogates import store
    from hwsim.surrogates.samples import FAMILY

    return [name for name in store.names() if store.read(name).config["family"] != FAMILY]


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch, small_world: None) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "HWSIM_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`run("estimate", ...)` -> (status, stdout, stderr)."""

    def call(*args: str) -> tuple[int, str, str]:
        status = cli.main(args)
        out, err = capsys.readouterr()
        return status, out, err

    return call


def stripped(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("estimate-convnet.txt", ["estimate", "convnet", "--on", "null", "--batch", "2"]),
        ("estimate-folded.txt", ["estimate", "transformer", "--on", "null", "--seq-len", "64", "--depth", "2", "--top", "3"]),
        ("estimate-misfit.txt", ["estimate", "mlp", "--on", "null", "--set", "memory_b=20000", "--quiet"]),
        ("estimate-coverage.txt", ["estimate", "broken", "--on", "null", "--allow-unsupported", "-q"]),
        ("compare.txt", ["compare", "convnet", "--on", "null", "--on", "null"]),
        ("targets-list.txt", ["targets", "list"]),
        ("targets-show.txt", ["targets", "show", "null"]),
        ("models-show.txt", ["models", "show", "convnet", "--batch", "4"]),
    ],
)
def test_output_is_as_kept(name: str, args: list[str], run: Any, golden: Callable[[str, str], None]) -> None:
    status, out, _ = run(*args)
    assert status == ExitStatus.OK
    assert max(map(len, out.splitlines())) <= 80, "80 columns"
    assert "\x1b" not in out, "no colours in a pipe"
    golden(name, stripped(out))


def test_models_are_those_of_the_zoo(run: Any) -> None:
    found = json.loads(run("models", "list", "--json")[1])
    assert {"resnet50", "llama3_8b"} <= {m["name"] for m in found["zoo"]}
    assert all(m["summary"] for m in found["zoo"])
    assert "timm:NAME" in run("models", "list")[1]


def test_json_is_the_documented_one(run: Any) -> None:
    status, out, _ = run("estimate", "transformer", "--on", "null", "--json")
    found = msgspec.json.decode(out, type=EstimateDocument)
    assert status == ExitStatus.OK
    assert (found.model.name, found.target.name, found.fits) == ("transformer", "null", True)


def test_compare_json_keeps_the_order(run: Any) -> None:
    _, out, _ = run("compare", "mlp", "--on", "null", "--on", "null", "--json")
    assert [e["target"]["name"] for e in json.loads(out)["estimates"]] == ["null", "null"]


def test_files_are_written(run: Any, tmp_path: Path) -> None:
    html, trace = tmp_path / "r.html", tmp_path / "t.json"
    status, _, err = run("estimate", "mlp", "--on", "null", "--html", str(html), "--trace", str(trace))
    assert status == ExitStatus.OK
    assert err == f"wrote {html}\nwrote {trace}\n"
    assert html.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]


def test_compare_writes_html(run: Any, tmp_path: Path) -> None:
    assert run("compare", "mlp", "--on", "null", "--html", str(tmp_path / "c.html"))[0] == ExitStatus.OK
    assert "<h2>Latency</h2>" in (tmp_path / "c.html").read_text(encoding="utf-8")


def test_overrides_change_the_device(run: Any) -> None:
    documents = [json.loads(run("estimate", "mlp", "--on", "null", "--json", *extra)[1]) for extra in ((), ("--set", "macs_per_s=2e12"))]
    assert documents[1]["latency_s"] < documents[0]["latency_s"]


def test_must_fit_reports_and_fails(run: Any) -> None:
    status, out, err = run("estimate", "mlp", "--on", "null", "--set", "memory_b=20000", "--must-fit", "--json")
    assert status == ExitStatus.DOES_NOT_FIT
    assert json.loads(out)["fits"] is False
    assert err == "error: mlp does not fit on null: needs 23.0 KiB of memory, 3.51 KiB more than the 19.5 KiB of null\n"


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["estimat", "mlp"], 2, "error: no such command 'estimat'. Did you mean 'estimate' or 'simulate'?\nTry 'hwsim --help'.\n"),
        (["targets", "lst"], 2, "error: no such command 'lst'. Did you mean 'list'?\nTry 'hwsim targets --help'.\n"),
        (
            ["zzz"],
            2,
            "error: no such command 'zzz'. Known: estimate, compare, sweep, simulate, search, operations, targets, models, datasets, "
            "train, surrogates, validate, calibrate, completion.\n"
            "Try 'hwsim --help'.\n",
        ),
        (["estimate", "mlp"], 2, "error: Missing option '--on'.\nTry 'hwsim estimate --help'.\n"),
        (
            ["estimate", "mlp", "--on", "null", "--dim", "height=x"],
            2,
            "error: Invalid value for --dim: invalid literal for int() with base 10: 'x'; "
            "expected a whole number, such as --dim height=640\nTry 'hwsim estimate --help'.\n",
        ),
        (
            ["estimate", "mlp", "--on", "null", "--set", "memory_b"],
            2,
            "error: Invalid value for --set: found 'memory_b'; expected name=value, such as --set dram_b_per_s='4.8 TB/s'\n"
            "Try 'hwsim estimate --help'.\n",
        ),
        (
            ["estimate", "mlp", "--on", "null", "--dtype", "fp16", "--map", "dtype=fp32"],
            2,
            "error: Invalid value for --map: 'dtype' is given twice\nTry 'hwsim estimate --help'.\n",
        ),
        (["estimate", "convnett", "--on", "null"], 3, "error: unknown model 'convnett'. Did you mean 'convnet'?\n"),
        (
            ["estimate", "mlp", "--on", "null", "--set", "macs=1"],
            3,
            "error: unknown quantity of a null device 'macs'. Did you mean 'mac_j' or 'macs_per_s'?\n",
        ),
        (["estimate", "mlp", "--on", "null", "--dtype", "fp16"], 3, "error: the null target has no mapping options, found dtype\n"),
        (
            ["estimate", "broken", "--on", "null"],
            5,
            "error: broken: 1 node(s) use operators without a rule:\n  body.bessel: aten.bessel_j0\n"
            "Add a rule (see docs/extending.md, 'A new operator'), or pass --allow-unsupported "
            "(allow_unsupported=True) to leave them out of the cost and show the coverage.\n",
        ),
        (
            ["estimate", "mlp", "--on", "null", "--html", "/no/such/folder/x.html"],
            3,
            "error: cannot write '/no/such/folder/x.html': No such file or directory\n",
        ),
        (
            ["estimate", "mlp", "--on", "null", "--method", "oracle"],
            3,
            f"error: unknown method 'oracle'. Known: auto, closed-form, {', '.join(f'surrogate:{name}' for name in _answering())}.\n",
        ),
        (["validate", "gpu-gem"], 3, "error: unknown validation 'gpu-gem'. Did you mean 'gpu-gemm' or 'gpu-power' or 'gpu-elementwise'?\n"),
        (["calibrate", "tpu"], 3, "error: unknown family with a calibration 'tpu'. Did you mean 'npu' or 'gpu'?\n"),
    ],
)
def test_errors_are_whole_sentences(args: list[str], status: int, message: str, run: Any) -> None:
    assert run(*args) == (status, "", message)


def test_unexpected_errors_have_no_traceback(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwsim.api.estimate", lambda *_, **__: 1 / 0)
    expected = "error: ZeroDivisionError: division by zero\nThis is a fault of hwsim; HWSIM_DEBUG=1 shows where it happened.\n"
    assert run("estimate", "mlp", "--on", "null") == (ExitStatus.ERROR, "", expected)
    monkeypatch.setenv("HWSIM_DEBUG", "1")
    assert "Traceback" in run("estimate", "mlp", "--on", "null")[2]


@pytest.mark.parametrize(
    ("error", "status"), [(DataMissing("x"), 6), (HwsimError("x"), 1), (KeyboardInterrupt(), 130), (click.Abort(), 130)]
)
def test_statuses_of_errors(error: BaseException, status: int, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("hwsim.api.estimate", fail)
    assert run("estimate", "mlp", "--on", "null")[0] == status


def test_validation_and_calibration_are_listed(run: Any) -> None:
    assert "gpu-gemm" in run("validate")[1]
    assert run("calibrate") == (ExitStatus.OK, "fpga\ngpu\nnpu\noptical\nsurrogate\n", "")


def test_validate_says_what_it_skipped(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwsim.validation.run", lambda names, **_: ([], [f"{n}: no data" for n in names]))
    status, _, err = run("validate", "gpu-gemm")
    assert status == ExitStatus.NO_DATA
    assert err == "skipped gpu-gemm: no data\nerror: nothing could be validated: every validation was skipped\n"


def test_validate_prints_tables_and_json(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from hwsim import validation

    columns = {
        "device": ["a", "a", "b"],
        "group": ["g", "h", "h"],
        "measured_s": [1.0, 2.0, 3.0],
        "predicted_s": [1.1, 2.0, 3.3],
        "roofline_s": [0.5, 1, 2],
    }
    made = validation.report(validation.suite("gpu-gemm"), {k: np.asarray(v) for k, v in columns.items()})
    monkeypatch.setattr("hwsim.validation.run", lambda *_, **__: ([made], []))
    assert "gpu-gemm" in run("validate", "gpu-gemm")[1]
    found = json.loads(run("validate", "gpu-gemm", "--json")[1])
    assert found[0]["overall"]["n"] == 3


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, run: Any) -> None:
    status, out, _ = run("completion", shell)
    assert status == ExitStatus.OK
    assert "_HWSIM_COMPLETE" in out


def test_list_of_commands_is_that_of_the_commands(run: Any) -> None:
    assert {name: found.load().get_short_help_str(200) for name, found in COMMANDS.items()} == {n: f.summary for n, f in COMMANDS.items()}


def imported_by(code: str) -> set[str]:
    report = f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_imports_next_to_nothing() -> None:
    found = imported_by("from hwsim.cli import main\nassert main(['--help']) == 0")
    assert not found & {*HEAVY, "numpy", "rich", "networkx", "yaml", "msgspec"}


def test_estimate_imports_no_heavy_library() -> None:
    code = (
        "from hwsim.cli import estimate\nimport hwsim\nfrom hwsim.testing import graphs\nfrom hwsim.targets.null import TARGET\n"
        "from hwsim.report.terminal import estimate_renderable\n"
        "e = hwsim.estimate(graphs.mlp(), TARGET.device('null'))\nestimate_renderable(e)\ne.to_dict()\ne.to_html()"
    )
    assert not imported_by(code) & {*HEAVY, "networkx"}


def test_closed_pipe_is_no_error() -> None:
    code = "import sys\nfrom hwsim.cli import main\nsys.exit(main(['--help']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == b""
    process.wait()
