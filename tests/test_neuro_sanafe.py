"""Networks for an external simulator: designs, jobs, the process that runs them, the build, and the rows that it made."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from hwsim import shelf
from hwsim.cli import cli
from hwsim.datasets.sanafe import build, compare, export
from hwsim.datasets.sanafe.design import NEURONS, SYNAPSES, designs, size
from hwsim.datasets.sanafe.run import RunFailed, interpreter, run
from hwsim.errors import DataMissing
from hwsim.targets.neuromorphic.device import NeuroDevice

FIRST = list(islice(compare.placed(3), 6))
SAMPLE = shelf.checkout("datasets") / "sanafe" / "networks.csv"


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_designs_come_from_their_seed_and_stay_in_bounds() -> None:
    found = list(islice(designs(3), 30))
    assert [d.name for d in found] == [d.name for d in islice(designs(3), 30)]
    assert len({d.name for d in found}) == 30 and {d.kind for d in found} == {"mlp", "cnn"}
    for design in found:
        assert sum(layer.synapses for layer in design.layers) <= SYNAPSES
        assert size(design.shape) + sum(size(layer.shape_out) for layer in design.layers) <= NEURONS


def test_a_design_is_the_same_network_for_both() -> None:
    for design, cores in FIRST:
        graph, job = design.graph(), export.job(design, cores=cores, chip_path="")
        assert graph.macs == sum(layer.synapses for layer in design.layers)
        assert sum(group["count"] for group in job["groups"]) == sum(
            graph.tensors[n.outputs[0]].size for n in graph.nodes if n.kind == "neuron"
        )
        assert [edge["count"] for edge in job["edges"]] == [layer.weight_count for layer in design.layers]
        used = [core for group in job["groups"] for core, count in group["cores"] if count]
        assert set(used) <= set(range(sum(cores)))
        for group, count in zip(job["groups"], cores, strict=True):
            assert sum(n for _, n in group["cores"]) == group["count"]
            assert len({core for core, _ in group["cores"]}) <= count


def test_the_chip_is_written_with_our_constants() -> None:
    device = NeuroDevice.from_shelf("loihi1")
    found = yaml.safe_load(export.chip(device))["architecture"]
    assert (found["attributes"]["width"], found["attributes"]["height"]) == (8, 4)
    sync = found["attributes"]["latency_sync"]
    assert [float(sync[n]) for n in (1, 2, 3, 4, 28, 29, 32)] == pytest.approx([0.6e-6, 1e-6, 1e-6, 1.4e-6, 1.4e-6, 1.8e-6, 1.8e-6])
    (tile,) = found["tile"]
    assert tile["name"] == "tile[0..31]" and float(tile["attributes"]["energy_north_hop"]) == pytest.approx(4.2e-12)
    (core,) = tile["core"]
    assert core["name"] == "core[0..3]"
    assert {unit["name"]: float(unit["attributes"]["energy_process_spike"]) for unit in core["synapse"]} == pytest.approx(
        {"dense": 35.5e-12, "sparse": 33.6e-12, "conv": 24e-12}
    )
    soma = core["soma"][0]["attributes"]
    assert float(soma["latency_spike_out"]) == pytest.approx(30e-9) and float(soma["energy_update_neuron"]) == pytest.approx(21.6e-12)


def test_a_python_without_the_simulator_is_said_so() -> None:
    with pytest.raises(DataMissing) as found:
        interpreter("no-such-python")
    assert "no SANA-FE in 'no-such-python'" in str(found.value)
    assert "V/bin/pip install sanafe) and name it: HWSIM_SANAFE_PYTHON=V/bin/python" in str(found.value)


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["datasets", "build", "sanafe", "--out", str(tmp_path), "--count", "1", "--python", "no-such-python"])
    assert done.exit_code != 0 and "no SANA-FE in 'no-such-python'" in done.output + str(done.exception)


def test_the_simulator_is_never_imported_here() -> None:
    """Everything but the driver, in an interpreter in which the import would fail loudly."""
    code = (
        "import sys; sys.modules['sanafe'] = None\n"
        "import hwsim.datasets.sanafe.build, hwsim.datasets.sanafe.dvs, hwsim.datasets.sanafe.command\n"
        "import hwsim.datasets.sanafe.driver\n"
        "assert not any(name.startswith('sanafecpp') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_job_that_fails_says_why(tmp_path: Path) -> None:
    """A Python without the simulator fails in the driver, and its last line is handed on."""
    with pytest.raises(RunFailed, match="SANA-FE ended with status 1: ModuleNotFoundError: No module named 'sanafe'"):
        run({"groups": []}, chip="", python=_bare(tmp_path))


def _bare(folder: Path) -> str:
    """An interpreter that cannot see installed packages."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    path.chmod(0o755)
    return str(path)


def _made_up(design: Any, cores: tuple[int, ...], *, python: str) -> compare.Labelled:
    """What the driver writes, without a simulator."""
    if design.name == FIRST[1][0].name:
        raise RunFailed("no room")
    out: dict[str, Any] = {name: [0.0] * design.timesteps for name in ("updated", "spikes", "sim_time")}
    out |= {f"{part}_energy": [1e-6] * design.timesteps for part in ("total", "synapse", "soma", "network")}
    out["by_group"] = [{"fired": {"lif0": 1}, "packets": {"lif0": 2}, "hops": {}}] * design.timesteps
    return compare.Labelled(design, tuple(cores), {**out, "version": "0"})


def test_a_build_goes_on_where_it_stopped(tmp_path: Path) -> None:
    stream = io.StringIO()
    assert build.build(FIRST[:3], out=tmp_path, python="", stream=stream, worker=_made_up) == (2, 1)
    assert "3/3" in stream.getvalue() and "1 failed" in stream.getvalue()
    with (tmp_path / "networks.csv").open("a") as file:
        file.write("half a line")
    assert build.build(FIRST, out=tmp_path, python="", stream=stream, worker=_made_up) == (3, 0)
    rows = table(tmp_path / "networks.csv")
    assert [r["name"] for r in rows] == [FIRST[i][0].name for i in (0, 2, 3, 4, 5)]
    assert tuple(rows[0]) == build.COLUMNS
    assert (tmp_path / "failures.csv").read_text().splitlines()[1] == f"{FIRST[1][0].name},no room"


def test_the_sample_keeps_the_identity_of_its_events() -> None:
    """Energy of soma and synapses from counts alone; a packet is 111 pJ and a hop 3.0 or 4.2 pJ."""
    rows = table(SAMPLE)
    assert len(rows) >= 150 and len({r["name"] for r in rows}) == len(rows)
    for r in rows:
        count = {name: float(r[name]) for name in ("neurons", "timesteps", *build.COUNTS, *build.LABELS)}
        soma = count["neurons"] * count["timesteps"] * 51.2e-12 + count["updates"] * 21.6e-12 + count["spikes"] * 69.3e-12
        assert count["soma_j"] == pytest.approx(soma, rel=1e-6)
        hops = count["network_j"] - count["packets"] * 111e-12
        assert 3.0e-12 * count["hops"] * (1 - 1e-6) - 1e-18 <= hops <= 4.2e-12 * count["hops"] * (1 + 1e-6) + 1e-18
        operations = count["synaptic_operations"]
        assert 24e-12 * operations * (1 - 1e-6) <= count["synapse_j"] <= 35.5e-12 * operations * (1 + 1e-6)
        assert count["energy_j"] == pytest.approx(count["soma_j"] + count["synapse_j"] + count["network_j"], rel=1e-6)


def test_the_sample_is_the_recipe() -> None:
    recipe = yaml.safe_load((SAMPLE.parent / "recipe.yaml").read_text(encoding="utf-8"))["made"]
    rows = table(SAMPLE)
    first = [(d.name, ";".join(map(str, cores))) for d, cores in islice(compare.placed(recipe["seed"]), 5)]
    assert [(r["name"], r["cores"]) for r in rows[:5]] == first
    assert {r["version"] for r in rows} == {recipe["tools"]["sanafe"]}


def test_live_against_the_simulator() -> None:
    """Two small networks through the simulator and the closed form; without it, skipped."""
    try:
        python = interpreter()
    except DataMissing as missing:
        pytest.skip(str(missing))
    small = [job for job in islice(compare.placed(compare.SEED), 30) if sum(layer.synapses for layer in job[0].layers) < 60_000][:2]
    for design, cores in small:
        found = compare.label(design, cores, python=python)
        if np.min(np.mean(found.fired, axis=0)) < compare.QUIET:
            continue
        predicted = found.predicted(compare.chip_of(design))
        errors = {name: abs(predicted[name] / value - 1) for name, value in found.measured.items()}
        assert errors["energy"] < 0.015 and errors["time"] < 0.05, (design.name, errors)


def test_the_accuracy_table_holds_the_bars() -> None:
    """Median of energy within 0.5 %, of simple time within 2 %, by the table that the live run wrote."""
    text = (Path(__file__).parents[1] / "docs" / "accuracy" / "neuro-sanafe.md").read_text(encoding="utf-8")
    cells = {line.split("|")[1].strip(): [c.strip() for c in line.split("|")[2:]] for line in text.splitlines() if line.startswith("|")}
    assert int(cells["energy"][0]) == int(cells["time"][0]) == compare.NETWORKS
    assert float(cells["energy"][1]) <= 0.5
    assert float(cells["time"][1]) <= 2.0
