"""`hwsim sweep` and `hwsim search`: what is printed, what is written, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hwsim import cli
from hwsim.cli.status import ExitStatus
from hwsim.cli.sweep import Progress

FPGA = ["jet_tagger", "--on", "xcu250", "--strategy", "resource", "-q"]
REUSE = ["--vary", "mapping.reuse_factor[fc*]=1,2,4,8"]


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "HWSIM_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`run("sweep", ...)` -> (status, stdout, stderr)."""

    def call(*args: str) -> tuple[int, str, str]:
        status = cli.main(args)
        out, err = capsys.readouterr()
        return status, out, err

    return call


def stripped(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


Run = Callable[..., tuple[int, str, str]]


def test_a_sweep_prints_counts_best_and_front(run: Run, golden: Callable[[str, str], None]) -> None:
    precision = "mapping.precision=ap_fixed<16,6>,ap_fixed<8,3>"
    where = ["--where", "latency < 150ns", "--pareto", "latency,lut,dsp", "--top", "3"]
    status, out, _ = run("sweep", *FPGA, "--on", "pynq-z2", *REUSE, "--vary", precision, *where)
    assert status == ExitStatus.OK
    golden("sweep.txt", stripped(out))


def test_json(run: Run) -> None:
    status, out, _ = run("sweep", *FPGA, *REUSE, "--pareto", "latency,lut", "--json")
    found = json.loads(out)
    assert status == ExitStatus.OK
    assert found["counts"] == {"points": 4, "kept": 4, "infeasible": {"fits": 0}, "nan": 0}
    assert found["axes"] == [{"name": "mapping.reuse_factor[fc*]", "unit": "", "values": 4}]
    assert [p["axes"]["mapping.reuse_factor[fc*]"] for p in found["pareto"]] == [1, 2, 4, 8]
    assert found["top"][0]["metrics"]["latency_s"] == pytest.approx(75e-9)


def test_a_saved_sweep_runs_again(run: Run) -> None:
    args = [*REUSE, "--where", "lut < 90000", "--pareto", "latency,max:dsp", "--json"]
    _, first, _ = run("sweep", *FPGA, *args, "--save-spec", "sweep.yaml")
    text = Path("sweep.yaml").read_text(encoding="utf-8")
    assert "where: [fits, lut < 90000]" in text
    _, again, _ = run("sweep", "sweep.yaml", "-q", "--json")
    assert json.loads(first) == json.loads(again)
    _, less, _ = run("sweep", "sweep.yaml", "-q", "--json", "--vary", "mapping.reuse_factor[fc*]=8", "--top", "1")
    assert json.loads(less)["counts"]["points"] == 1


def test_points_go_to_parquet(run: Run) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    status, _, _ = run("sweep", *FPGA, *REUSE, "--out", "all.parquet", "--keep", "all")
    assert status == ExitStatus.OK
    assert parquet.read_table("all.parquet").num_rows == 4


def test_shards_are_put_together(run: Run) -> None:
    pytest.importorskip("pyarrow")
    args = ["sweep", *FPGA, *REUSE, "--vary", "io_type=io_parallel,io_stream", "--pareto", "latency,lut", "--out", "parts.parquet"]
    status, out, _ = run(*args, "--shard", "1/2")
    assert (status, out) == (
        ExitStatus.OK,
        "part 1 of 2 is done; when all are, the same command without --shard puts them together\n",
    )
    run(*args, "--shard", "2/2")
    status, whole, err = run(*args, "--json")
    assert status == ExitStatus.OK, err
    status, direct, err = run(*args[:-2], "--json")
    assert status == ExitStatus.OK, err
    assert json.loads(whole) == json.loads(direct)


def test_a_check_says_how_many(run: Run) -> None:
    ranges = ["--vary", "lut=1e5..2e6", "--vary", "dsp=100..9000", "--sample", "sobol", "--points", "1000000"]
    status, out, _ = run("sweep", *FPGA, *ranges, "--check")
    assert (status, out) == (
        ExitStatus.OK,
        "jet_tagger on xcu250: 1,000,000 points; sobol sample, seed 0 over range lut x range dsp; 1 program to lower\n",
    )


BAD = {
    "axis": (["--vary", "reuse_facto=1,2"], ExitStatus.BAD_INPUT, "error: unknown axis 'reuse_facto'. Did you mean 'reuse_factor' or"),
    "reversed": (
        ["--vary", "reuse_factor=4:1:1"],
        ExitStatus.BAD_INPUT,
        "error: axis 'mapping.reuse_factor': the range '4:1:1' runs backwards;",
    ),
    "unit": (
        ["--vary", "clock_period=1us/s..2us/s x2"],
        ExitStatus.BAD_INPUT,
        "error: axis 'mapping.clock_period_s': found '1us/s' with the unit",
    ),
    "condition": (
        [*REUSE, "--where", "latency < 1 GB"],
        ExitStatus.BAD_INPUT,
        "error: constraint 'latency < 1 GB': 'latency < 1 GB' compares s with B; expected the same unit on both sides",
    ),
    "never": (
        [*REUSE, "--where", "lut < 10"],
        ExitStatus.BAD_INPUT,
        "warning: the constraint 'lut < 10' holds at none of 4 points looked at first (lut is ",
    ),
    "twice": (
        ["--vary", "reuse_factor=1", "--vary", "reuse_factor=2"],
        ExitStatus.USAGE,
        "error: Invalid value for --vary: 'reuse_factor' is given twice",
    ),
    "form": (["--vary", "reuse_factor"], ExitStatus.USAGE, "error: Invalid value for --vary: found 'reuse_factor'; expected name=value"),
    "shard": ([*REUSE, "--shard", "1"], ExitStatus.USAGE, "error: Invalid value for --shard: found '1'; expected I/N, such as 1/8"),
    "keep": ([*REUSE, "--keep", "al"], ExitStatus.BAD_INPUT, "error: unknown choice of points to keep 'al'. Did you mean 'all'"),
}


@pytest.mark.parametrize("name", BAD)
def test_refusals(run: Run, name: str) -> None:
    args, status, message = BAD[name]
    found, out, err = run("sweep", *FPGA, *args)
    assert (found, out) == (status, "")
    assert err.startswith(message)


def test_nothing_left_says_who_killed_how_many(run: Run) -> None:
    _, _, err = run("sweep", *FPGA, *REUSE, "--where", "lut < 10", "--where", "latency < 100ns")
    assert err.splitlines()[-1] == (
        "error: no point of 4 satisfies every condition: 'lut < 10' rules out 4, 'latency < 100ns' rules out 3; "
        "relax one of them, or widen an axis"
    )


def test_a_sweep_that_would_not_fit_the_disk_is_refused_first(run: Run) -> None:
    pytest.importorskip("pyarrow")
    ranges = [t for i in ("lut", "dsp", "ff", "bram18") for t in ("--vary", f"{i}=1e3..1e6 x1000")]
    status, _, err = run("sweep", *FPGA, *ranges, "--out", "huge.parquet", "--keep", "all")
    assert status == ExitStatus.BAD_INPUT
    assert "1,000,000,000,000" in err
    assert not Path("huge.parquet").exists()


def test_no_model_no_device(run: Run) -> None:
    assert run("sweep", "--vary", "batch=1,2") == (
        ExitStatus.BAD_INPUT,
        "",
        "error: found no model and no device (--on); expected such as: hwsim sweep resnet50 --on a100-sxm-80gb --vary batch=1,8,32\n",
    )


def test_misfits_are_kept_on_request(run: Run) -> None:
    _, out, _ = run("sweep", *FPGA, *REUSE, "--set", "lut=40000", "--json")
    _, more, _ = run("sweep", *FPGA, *REUSE, "--set", "lut=40000", "--misfits", "--json")
    assert 0 < json.loads(out)["counts"]["kept"] < json.loads(more)["counts"]["kept"] == 4


def test_progress_says_rate_and_time_left() -> None:
    progress = Progress(1000)
    assert progress.line(250, 1000, 2.0) == "250 of 1,000 points, 125/s, 6.0 s left"
    assert progress.line(1000, 1000, 300.0) == "1,000 of 1,000 points, 3.33/s, in 5 min"


def test_a_search_prints_what_it_found(run: Run) -> None:
    pytest.importorskip("optuna")
    Path("own_score.py").write_text("def score(axes):\n    return 0.5 + axes['mapping.reuse_factor'] / 100\n", encoding="utf-8")
    args = ["--vary", "reuse_factor=1..64", "--metric", "accuracy=own_score:score", "--pareto", "max:accuracy,latency"]
    status, out, err = run("search", *FPGA, *args, "--trials", "60", "--top", "1")
    assert (status, err) == (ExitStatus.OK, "")
    assert out.startswith("jet_tagger on xcu250; search over reuse_factor\n60 points, 60 of them satisfy every condition\n")
    status, out, _ = run("search", *FPGA, *args, "--trials", "60", "--json")
    assert json.loads(out)["counts"]["points"] == 60


def test_a_score_that_cannot_be_imported(run: Run) -> None:
    status, _, err = run("search", *FPGA, "--vary", "reuse_factor=1..64", "--metric", "accuracy=nowhere:score")
    assert status == ExitStatus.USAGE
    assert err.startswith("error: Invalid value for --metric: 'nowhere:score' cannot be imported: No module named 'nowhere'")
