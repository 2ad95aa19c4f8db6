"""The training loop: killed training goes on bit for bit, early stopping, the log, several processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.errors import InputError
from hwsim.surrogates.graphs import Graphs

pytest.importorskip("torch")

from hwsim.surrogates import networks
from hwsim.surrogates.networks.recipes import AdditiveRecipe
from hwsim.surrogates.training.loop import Trained, fit

RECIPE = AdditiveRecipe(width=12, epochs=6, networks_per_step=8, dropout=0.2)


def chains(count: int = 60, *, seed: int = 0) -> Graphs:
    """Networks whose rows take exp(x) times their closed form."""
    draw = np.random.default_rng(seed)
    start = np.concatenate([[0], np.cumsum(draw.integers(2, 6, count))])
    features = draw.normal(size=(start[-1], 3)).astype(np.float32)
    cost = draw.lognormal(0, 1, (int(start[-1]), 1))
    none = np.zeros((count, 1))
    true = np.add.reduceat(cost * np.exp(features[:, :1]), start[:-1])
    names = {"feature_names": ("x", "y", "z"), "metrics": ("latency_s",), "readout": ("sum",)}
    arrays = {"rest": none, "least": none, "floor": 0 * cost, "edges": np.zeros((2, 0), dtype=np.int64)}
    return Graphs(features=features, cost=cost, start=start, measured=true, **arrays, **names)


def run(folder: Path | None = None, *, recipe: AdditiveRecipe = RECIPE, **options: Any) -> Trained:
    """One training run on the same data."""
    given = chains()
    return fit(networks.build(recipe, given, seed=0), given, recipe=recipe, seed=1, folder=folder, **options)


def same(a: Trained, b: Trained) -> bool:
    """Whether two runs ended with the same bits."""
    pairs = zip(networks.arrays(a.model).values(), networks.arrays(b.model).values(), strict=True)
    return all(x.tobytes() == y.tobytes() for x, y in pairs) and [e["loss"] for e in a.history] == [e["loss"] for e in b.history]


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_surrogate_loop import run
run(Path({folder!r}), tell=lambda line: time.sleep(0.3))
"""


def test_killed_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", code])
    log, until = tmp_path / "log.jsonl", time.monotonic() + 240
    while (not log.is_file() or len(log.read_text().splitlines()) < 2) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = len(log.read_text().splitlines())
    assert 2 <= done < RECIPE.epochs
    lines: list[str] = []
    again = run(tmp_path, tell=lines.append)
    assert len(lines) == RECIPE.epochs - done
    assert same(again, run())


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    lines: list[str] = []
    assert same(run(tmp_path), run(tmp_path, tell=lines.append))
    assert not lines
    assert run(tmp_path, resume=False, tell=lines.append)
    assert len(lines) == RECIPE.epochs


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(InputError, match="is of another run .recipe, seed, data or start differ.; name another folder"):
        run(tmp_path, recipe=AdditiveRecipe(width=12, epochs=7, networks_per_step=8))
    (tmp_path / "checkpoint.safetensors").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"checkpoint\.safetensors: no checkpoint .*; remove it to start anew"):
        run(tmp_path)


def test_the_log_has_a_line_an_epoch(tmp_path: Path) -> None:
    lines: list[str] = []
    run(tmp_path, validation=chains(20, seed=5), tell=lines.append)
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [e["epoch"] for e in entries] == list(range(RECIPE.epochs))
    assert set(entries[0]) == {"epoch", "loss", "validation", "learning_rate", "seconds", "graphs_per_s"}
    assert entries[-1]["validation"] < entries[0]["validation"]
    assert lines[0].startswith("epoch 1 of 6: loss ")


def test_patience_ends_training_with_the_best_weights() -> None:
    recipe = AdditiveRecipe(width=64, epochs=200, networks_per_step=8, learning_rate=3e-2, patience=3, weight_decay=0.0)
    held = chains(20, seed=5)
    found = run(recipe=recipe, validation=held)
    errors = [e["validation"] for e in found.history]
    assert len(errors) < recipe.epochs
    assert found.best_epoch == int(np.argmin(errors)) == len(errors) - 1 - recipe.patience


def test_patience_goes_on_after_a_stop_as_without_one(tmp_path: Path) -> None:
    recipe, held = AdditiveRecipe(width=12, epochs=8, networks_per_step=8, patience=2), chains(20, seed=5)
    whole = run(recipe=recipe, validation=held)

    def stop(line: str) -> None:
        if line.startswith("epoch 3"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, recipe=recipe, validation=held, tell=stop)
    again = run(tmp_path, recipe=recipe, validation=held)
    assert same(again, whole)
    assert again.best_epoch == whole.best_epoch


def test_two_processes_share_each_step(tmp_path: Path) -> None:
    lines: list[str] = []
    recipe = AdditiveRecipe(width=12, epochs=5, networks_per_step=6, learning_rate=1e-2)
    together, alone = run(tmp_path, recipe=recipe, devices=2, tell=lines.append), run(recipe=recipe)
    assert len(lines) == len((tmp_path / "log.jsonl").read_text().splitlines()) == recipe.epochs
    held = chains(30, seed=5)
    np.testing.assert_allclose(networks.predicted(together.model, held), networks.predicted(alone.model, held), rtol=0.01)
    assert np.abs(networks.predicted(alone.model, held) / held.closed_form - 1).max() > 0.3


def test_more_processes_than_networks_are_refused() -> None:
    with pytest.raises(InputError, match="found 60 networks, 8 a step, for 9 processes"):
        run(devices=9)


def test_tensorboard_reads_the_log(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a log for TensorBoard needs a folder"):
        run(tensorboard=True)
    pytest.importorskip("tensorboard")
    run(tmp_path, tensorboard=True)
    assert list((tmp_path / "tensorboard").glob("events.*"))
