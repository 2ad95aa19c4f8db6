"""Sweeps on several processes and on a cluster: the same result, whoever dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hwsim.sweep import parallel

sys.path.insert(0, str(Path(__file__).parent))
from sweep_case import Dying, same, swept


def test_two_processes_find_the_same() -> None:
    same(swept(None, processes=2), swept(None))


def test_a_killed_worker_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(parallel, "do", Dying(tmp_path, 2))
    same(swept(None, processes=2), swept(None))
    assert len(list(tmp_path.iterdir())) == 2


def test_workers_that_always_die_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(parallel, "do", Dying(tmp_path, 1000))
    with pytest.raises(parallel.SweepFailed, match="workers died 4 times over range"):
        swept(None, processes=2)


def test_threads_are_pinned_only_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with parallel._pinned():
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


@pytest.mark.filterwarnings("ignore")
def test_dask_finds_the_same() -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        same(swept(None, scheduler=client), swept(None))
        same(swept(None, scheduler=cluster.scheduler_address), swept(None))
