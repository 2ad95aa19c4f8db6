"""What a sweep leaves on disk, and how it goes on after it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hwsim.errors import InputError
from hwsim.sweep import store
from hwsim.sweep.build import space
from hwsim.sweep.constraints import Objective, constraints
from hwsim.sweep.run import Sweep, run
from hwsim.sweep.store import Journal, check_disk, decoded, encoded

pq = pytest.importorskip("pyarrow.parquet")
sys.path.insert(0, str(Path(__file__).parent))
from sweep_case import same, swept  # noqa: E402

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import sweep_case as case
if __name__ == "__main__":
    case.swept(Path(sys.argv[2]), keep=sys.argv[3], processes=int(sys.argv[4]), slow=float(sys.argv[5]))
"""


def killed(folder: Path, keep: str, processes: int) -> Path:
    """Starts a sweep in a process, and kills it when some ranges are done."""
    out, script = folder / "sweep.parquet", folder / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(Path(__file__).parent), str(out), keep, str(processes), "0.05"]
    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list(Journal(out).folder.glob("state-*.npz"))) < 5:
        assert process.poll() is None and time.monotonic() < deadline, "the sweep ended before it could be killed"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return out


@pytest.mark.parametrize(("keep", "processes"), [("best", 1), ("all", 1), ("feasible", 2)])
def test_a_killed_sweep_goes_on_to_the_same_result(keep: str, processes: int, tmp_path: Path) -> None:
    out = killed(tmp_path, keep, processes)
    assert not out.exists()
    before = {p.name: p.stat().st_mtime_ns for p in Journal(out).folder.glob("state-*.npz")}
    assert 5 <= len(before) < 24
    seen: list[int] = []
    resumed = swept(out, keep=keep, progress=lambda done, total: seen.append(done))
    assert len(seen) == 24 - len(before)
    whole = swept(tmp_path / "whole.parquet", keep=keep)
    same(resumed, whole)
    assert out.exists() and not Journal(out).folder.exists()
    assert pq.read_table(out).equals(pq.read_table(tmp_path / "whole.parquet"))


def test_the_file_says_units_version_and_target(tmp_path: Path) -> None:
    import hwsim

    found = swept(tmp_path / "a.parquet", keep="all")
    assert found.path == tmp_path / "a.parquet"
    table = pq.read_table(found.path)
    assert table.num_rows == 24_000
    assert sorted(table["point"].to_pylist()) == list(range(24_000))
    assert sum(table["feasible"].to_pylist()) == found.counts.kept
    assert table.schema.field("latency_s").metadata == {b"unit": b"s"}
    assert table.schema.field("mapping.clock_period_s").metadata == {b"unit": b"s"}
    about = {k.decode(): v.decode() for k, v in table.schema.metadata.items()}
    assert about["hwsim.version"] == hwsim.__version__
    assert about["hwsim.device"] == "xcu250"
    assert len(about["hwsim.target"]) == 16
    assert "clock_period" in about["hwsim.sweep"]
    best = pq.read_table(swept(tmp_path / "b.parquet").path)
    assert sorted(best.filter(best["front"])["point"].to_pylist()) == sorted(found.state.front.index.tolist())


def test_a_journal_of_another_sweep_is_not_mixed_in(tmp_path: Path) -> None:
    out = killed(tmp_path, "best", 1)
    with pytest.raises(InputError, match="a part of another sweep; take another --out, or start anew with --no-resume"):
        swept(out, keep="all")
    assert swept(out, keep="all", resume=False).counts.points == 24_000


def test_shards_put_together_are_the_whole(tmp_path: Path) -> None:
    out = tmp_path / "sharded.parquet"
    parts = [swept(out, shard=(i, 3)) for i in (1, 2)]
    assert [p.complete for p in parts] == [False, False]
    assert not out.exists()
    last = swept(out, shard=(3, 3))
    assert last.complete and out.exists()
    same(last, swept(None))
    for wrong in ((0, 3), (4, 3)):
        with pytest.raises(InputError, match="expected i/n with i from 1 to n"):
            swept(out, shard=wrong)
    with pytest.raises(InputError, match="a shard needs a file"):
        swept(None, shard=(1, 3))


def test_a_disk_that_is_too_small_is_found_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"take about 88,[0-9.,]* GB, and .* has .* free; keep the best points only"):
        check_disk(tmp_path / "new" / "a.parquet", rows=10**18, columns=10)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(store.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match="24,000 points"):
        swept(tmp_path / "a.parquet", keep="all")
    assert not Journal(tmp_path / "a.parquet").folder.exists()


def test_states_survive_the_disk(tmp_path: Path) -> None:
    found = swept(None)
    path = tmp_path / "state.npz"
    np.savez(path, **encoded(found.state))  # type: ignore[arg-type]
    with np.load(path, allow_pickle=False) as file:
        again = decoded(file, found.asked)
    same(found, Sweep(found.space, found.asked, again))


def test_tables_of_what_was_found() -> None:
    pytest.importorskip("pandas")
    found = swept(None)
    frame = found.to_pandas()
    assert list(frame.index) == found.state.survivors.tolist()
    assert {"mapping.reuse_factor[fc1]", "latency_s", "lut"} <= set(frame.columns)


def test_families_share_a_file_and_what_one_lacks_is_not_a_number(tmp_path: Path) -> None:
    made = space("pilotnet_sdnn", ["loihi2", "a100-sxm-80gb"], vary={"batch": "1,2"})
    found = run(made, objectives=[Objective("latency_s")], out=tmp_path / "two.parquet", keep="all")
    table = pq.read_table(found.path)
    assert table["device"].to_pylist() == ["loihi2", "loihi2", "a100-sxm-80gb", "a100-sxm-80gb"]
    assert np.isnan(table["cores"].to_numpy()).tolist() == [False, False, True, True]
    assert np.isnan(table["dram_b"].to_numpy()).tolist() == [True, True, False, False]
    only = run(made, objectives=[Objective("cores")])
    assert only.counts.infeasible == {"the gpu family has no cores": 2}
    assert only.counts.kept == 2


def test_a_file_of_no_points(tmp_path: Path) -> None:
    made = space("jet_tagger", "xcu250", vary={"reuse_factor": "1,2"})
    never = constraints("latency < 1 ps", known={"latency_s": "s"})
    for keep in ("best", "feasible"):
        found = run(made, objectives=[Objective("latency_s")], constraints=never, out=tmp_path / f"{keep}.parquet", keep=keep)
        assert pq.read_table(found.path).num_rows == 0
        assert len(found.best()) == len(found.pareto()) == 0


def test_points_that_other_machines_kept_to_themselves_are_missed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 of 5 points are in .*; workers must write to a file system that all see"):
        store.joined([tmp_path / "points-0.parquet"], tmp_path / "a.parquet", expected=5)
    assert not list(tmp_path.iterdir())
