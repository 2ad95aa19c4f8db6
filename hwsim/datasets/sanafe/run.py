"""The simulator in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hwsim.errors import DataMissing, HwsimError

VARIABLE = "HWSIM_SANAFE_PYTHON"
LIMIT_S = 900
DRIVER = Path(__file__).with_name("driver.py")


class RunFailed(HwsimError):
    """The simulator ended with an error, or did not end."""


@cache
def interpreter(given: str | None = None) -> str:
    """A Python that has SANA-FE: `given`, that of HWSIM_SANAFE_PYTHON, or the running one. It is asked, nothing is imported here.

    Raises:
        DataMissing: it has none.
    """
    chosen = given or os.environ.get(VARIABLE) or sys.executable
    try:
        found = subprocess.run([chosen, "-c", "import sanafe"], capture_output=True, text=True, timeout=120, check=False)
        reason = "" if found.returncode == 0 else (found.stderr.strip().splitlines() or ["it ended with an error"])[-1]
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    if reason:
        raise DataMissing(
            f"no SANA-FE in {chosen!r} ({reason}); make an environment of its own (python -m venv V; V/bin/pip install sanafe) "
            f"and name it: {VARIABLE}=V/bin/python"
        )
    return chosen


def run(job: Mapping[str, Any], *, chip: str, python: str, limit_s: float = LIMIT_S) -> dict[str, Any]:
    """What happened in a job, timestep by timestep.

    Args:
        job: as `export.job` makes it; its chip path is filled in here.
        chip: the chip description.
        python: interpreter that has the simulator.
        limit_s: longest time of the process.

    Raises:
        RunFailed: the simulator refused the job, or took too long.
    """
    with tempfile.TemporaryDirectory(prefix="hwsim-sanafe-") as folder:
        place = Path(folder)
        (place / "chip.yaml").write_text(chip, encoding="utf-8")
        (place / "job.json").write_text(json.dumps({**job, "chip": str(place / "chip.yaml")}), encoding="utf-8")
        command = [python, "-I", str(DRIVER), str(place / "job.json"), str(place / "out.json")]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False, cwd=folder)
        except subprocess.TimeoutExpired:
            raise RunFailed(f"SANA-FE did not end within {limit_s:g} s") from None
        if done.returncode:
            lines = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
            raise RunFailed(f"SANA-FE ended with status {done.returncode}: {lines[-1]}")
        return json.loads((place / "out.json").read_text(encoding="utf-8"))
