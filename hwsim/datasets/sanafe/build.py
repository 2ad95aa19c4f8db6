"""The build: one row a network, appended as it is made; a build that was killed goes on where it stopped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from hwsim.datasets.fpga_yosys.build import Progress, Table
from hwsim.datasets.sanafe.compare import QUANTITIES, Labelled, label, placed
from hwsim.datasets.sanafe.design import Design
from hwsim.datasets.sanafe.run import RunFailed

COUNTS = ("spikes", "updates", "synaptic_operations", "packets", "hops")
LABELS = ("energy_j", "synapse_j", "soma_j", "network_j", "time_s")
COLUMNS = (
    "name", "kind", "seed", "timesteps", "input", "layers", "kernels", "strides", "leaks", "split", "neurons_per_core",
    "cores", "tiles", "neurons", "synapses", "weights", "rates", "bursts", *COUNTS, *LABELS, "run_s", "version",
)  # fmt: skip
FAILURES = ("name", "reason")

Job = tuple[Design, tuple[int, ...]]


def row(found: Labelled) -> dict[str, Any]:
    """A row of the table; lists are separated by semicolons, the input population first."""
    design, fired = found.design, found.fired
    sent = {name: sum(sum(step[name].values()) for step in found.out["by_group"]) for name in ("fired", "packets", "hops")}
    counts = (sent["fired"], sum(found.out["updated"]), sum(found.out["spikes"]), sent["packets"], sent["hops"])
    return {
        **{name: getattr(design, name) for name in ("name", "kind", "seed", "timesteps", "split", "neurons_per_core")},
        "input": _shape(design.shape),
        "layers": ";".join(_shape(layer.shape_out) for layer in design.layers),
        **{f"{name}s": ";".join(f"{getattr(layer, name):g}" for layer in design.layers) for name in ("kernel", "stride", "leak")},
        "cores": ";".join(map(str, found.cores)),
        "tiles": -(-sum(found.cores) // 4),
        "neurons": sum(found.sizes),
        "synapses": sum(layer.synapses for layer in design.layers),
        "weights": sum(layer.weight_count for layer in design.layers),
        "rates": _list(np.mean(fired, axis=0)),
        "bursts": _list(np.std(fired, axis=0)),
        **dict(zip(COUNTS, counts, strict=True)),
        **{name: f"{found.measured[quantity]:.9g}" for name, quantity in zip(LABELS, QUANTITIES, strict=True)},
        "version": f"sanafe {found.out['version']}",
    }


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _list(values: np.ndarray) -> str:
    return ";".join(f"{v:.6g}" for v in values)


def jobs(*, count: int, seed: int) -> list[Job]:
    """The first designs of a seed that fit on the chip, with their cores."""
    return list(islice(placed(seed), count))


def build(
    waiting: Iterable[Job],
    *,
    out: Path,
    python: str,
    workers: int = 1,
    stream: TextIO = sys.stderr,
    worker: Callable[..., Labelled] = label,
) -> tuple[int, int]:
    """Label all networks that `out` does not hold yet; returns how many were made and how many failed.

    Args:
        waiting: designs with their cores.
        out: folder of `networks.csv` and `failures.csv`.
        python: interpreter that has the simulator.
        workers: simulations at once.
        stream: for progress.
        worker: what labels one design.
    """
    table, failures = Table(out / "networks.csv", COLUMNS), Table(out / "failures.csv", FAILURES)
    known = {r["name"] for r in [*table.rows(), *failures.rows()]}
    left = [job for job in waiting if job[0].name not in known]
    progress = Progress(len(left), stream, start_s=time.monotonic(), what="networks")

    def one(job: Job) -> tuple[Labelled, float]:
        start_s = time.monotonic()
        return worker(*job, python=python), time.monotonic() - start_s

    with ThreadPoolExecutor(workers) as pool:
        running = [(design, pool.submit(one, (design, cores))) for design, cores in left]
        try:
            for design, future in running:
                try:
                    labelled, run_s = future.result()
                    table.append({**row(labelled), "run_s": f"{run_s:.2f}"})
                except RunFailed as error:
                    progress.failed += 1
                    failures.append({"name": design.name, "reason": str(error)})
                progress.tell(design.name)
        finally:
            for _, future in running:
                future.cancel()
    return progress.done - progress.failed, progress.failed
