"""Generators that measure: the sampled list, timing, resume, and the folder as a data set."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from hwsim.cli import main
from hwsim.cli.status import ExitStatus
from hwsim.datasets.generators import measure, networks, torch_runs
from hwsim.datasets.generators.networks import Run
from hwsim.errors import InputError

TINY = Run("timm:vit_tiny_patch16_224?img_size=32&depth=1&embed_dim=64&num_heads=1", "vit", 2, "fp32", 1, "nchw")


def test_the_list_repeats_without_doubles():
    listed = list(islice(networks.runs(), 200))
    assert [r.key for r in listed[:20]] == [r.key for r in islice(networks.runs(), 20)]
    assert len({r.key for r in listed}) == 200
    assert {"vit", "resnet", "mobilenetv"} <= {r.group for r in listed}
    assert {r.dtype for r in islice(networks.runs(dtypes=("fp32", "bf16")), 20)} == {"fp32", "bf16"}


def test_timing_warms_up_and_repeats():
    calls: list[float] = []
    found = measure.timed(lambda: calls.append(time.sleep(0.001) or 0.0), warm_up=2, repeats=5, enough_s=0.0)
    assert len(calls) == 7 and len(found.seconds) == 5
    assert found.quantile(0.1) <= found.quantile(0.5) <= found.quantile(0.9)
    assert found.quantile(0.5) >= 0.001


def test_power_is_the_mean_of_what_was_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(measure, "POWER_S", 0.02)
    found = measure.powered(lambda: time.sleep(0.001), 0.5, read=lambda: 40.0)
    assert found == {"power_w": "40", "energy_j": "20"}


def made_up(run: Run) -> dict[str, Any]:
    """A row without a measurement; batches of 4 fail."""
    if run.batch == 4:
        raise measure.RunFailed("out of memory")
    about = {"graph": run.graph, "device": "cpu", "group": run.group, "mapping.dtype": run.dtype, "mapping.layout": run.layout}
    told = {"tool": "torch", "version": "2", "runtime": "eager", "batch": run.batch, "threads": run.threads, "processor": "x"}
    return {**about, **{f"protocol.{k}": v for k, v in told.items()}, "flop": 10, "latency_s": 0.5}


def test_a_build_goes_on_where_it_stopped_and_is_a_data_set(tmp_path: Path):
    pytest.importorskip("pyarrow")
    from hwsim.datasets.check import check
    from hwsim.datasets.store import read

    listed, said = list(islice(networks.runs(), 12)), io.StringIO()
    failing = sum(r.batch == 4 for r in listed)
    first = torch_runs.build(listed[:5], out=tmp_path, worker=made_up, stream=said)
    second = torch_runs.build(listed, out=tmp_path, worker=made_up, stream=said)
    assert first[0] + second[0] == 12 - failing and first[1] + second[1] == failing
    assert torch_runs.build(listed, out=tmp_path, worker=made_up, stream=said) == (0, 0)
    found = read(tmp_path)
    assert len(found) == 12 - failing and found.name == "torch-cpu" and "test" in {*found.splits, "test"}
    assert not check(found, bounds=False).bad.any()
    assert "runs/min" in said.getvalue()


def test_jobs_have_cores_of_their_own():
    assert torch_runs.shares(range(8), 3) == [(0, 1), (2, 3), (4, 5)]
    with pytest.raises(InputError, match=r"3 jobs on 2 core\(s\); expected at most one a core"):
        torch_runs.shares((0, 1), 3)


def test_a_network_is_timed(tmp_path: Path):
    pytest.importorskip("hwsim.frontends.torch.timm_models").import_timm()
    found = measure.row(TINY, repeats=2, enough_s=0.0)
    assert set(found) <= set(torch_runs.COLUMNS)
    assert float(found["latency_p10_s"]) <= float(found["latency_s"]) <= float(found["latency_p90_s"])
    assert found["protocol.repeats"] == 2 and found["protocol.threads"] == 1 and found["device"] == "cpu"
    tokens, block, patches, head = 2 * (4 + 1), 12 * 64 * 64, 2 * 4 * 3 * 16 * 16 * 64, 2 * 64 * 1000
    assert found["flop"] == pytest.approx(2 * (tokens * block + patches + head), rel=0.02)


def test_what_cannot_be_run_says_why():
    pytest.importorskip("hwsim.frontends.torch.timm_models").import_timm()
    with pytest.raises(measure.RunFailed, match="unexpected keyword argument 'heads'"):
        measure.row(replace(TINY, graph="timm:resnet18?img_size=32&heads=3"))
    with pytest.raises(measure.RunFailed, match="[Uu]nknown model"):
        measure.row(replace(TINY, graph="timm:resnet17?img_size=32"))


def test_the_commands_refuse_what_they_cannot_do(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    pytest.importorskip("torch")
    assert main(["datasets", "build", "torch-cpu", "--out", str(tmp_path), "--threads", "512"]) == ExitStatus.BAD_INPUT
    assert "--threads 512 with" in capsys.readouterr().err
    import torch

    if not torch.cuda.is_available():
        assert main(["datasets", "build", "torch-cuda", "--out", str(tmp_path)]) == ExitStatus.BAD_INPUT
        assert "finds no CUDA GPU on this machine" in capsys.readouterr().err
