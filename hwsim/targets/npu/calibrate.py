"""Fit NPUs and what they share to measured networks (AI Hub); needs torch and pandas.

All constants are fitted at once, as logarithms, to the logarithms of whole networks' times, under the pull of where they start: each
device has rates of its units and times to start, all devices share how their compiler uses them.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import shelf
from hwsim.datasets import ai_hub
from hwsim.surrogates.graphs import runs as positions
from hwsim.targets.npu.constants import NpuConstants
from hwsim.targets.npu.cost import Rates, row_time
from hwsim.targets.npu.device import NpuDevice
from hwsim.targets.npu.lower import NpuColumns, lower
from hwsim.targets.npu.mapping import DTYPES, NpuMapping

FITTED = {
    "int8_op_per_s": 2.4e13,
    "fp16_op_per_s": 7e12,
    "vector_b_per_s": 3e11,
    "dram_b_per_s": 5e10,
    "launch_s": 3e-6,
    "dispatch_s": 2e-4,
}
"""Quantities of a device that are fitted, and where they start; those that its file has from elsewhere (by their `status`) stay."""
STEPS, PEAK_RATE, BETA, PULL = 500, 0.05, 0.1, 1e-3
HELD, STIFF = ("spill", "resident"), 30.0
"""Constants that few networks speak of, and how much more they are pulled to where they start."""
NAMES = tuple(f.name for f in fields(NpuColumns))
CONSTANTS = tuple(f.name for f in fields(NpuConstants) if f.name != "w16")
"""Hardly anything was measured in w16a16."""


@dataclass(frozen=True)
class Runs:
    """Measured networks, each a run of consecutive rows."""

    frame: Any
    """As `ai_hub.on_npu` gives them."""
    columns: np.ndarray
    """Of `NpuColumns`, shape `(rows, columns)`."""
    count: np.ndarray
    """How often each row runs, shape `(rows,)`."""
    start: np.ndarray
    """First row of each network and the end, shape `(networks + 1,)`."""

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, chosen: np.ndarray) -> Runs:
        """Only these networks."""
        sizes = np.diff(self.start)[chosen]
        rows = positions(self.start, chosen)
        start = np.concatenate([[0], np.cumsum(sizes)])
        return Runs(self.frame.iloc[chosen].reset_index(drop=True), self.columns[rows], self.count[rows], start)


def measured(*, tell: Callable[[str], None] = lambda line: None) -> Runs:
    """All runs that the family speaks of.

    Raises:
        DataMissing: the measurements are not there.
    """
    frame = ai_hub.on_npu()
    held = {source: tabled(source, tell=tell) for source in sorted(set(frame.graph))}
    parts = [held[source] for source in frame.graph]
    start = np.concatenate([[0], np.cumsum([len(p) for p in parts])])
    joined = np.concatenate(parts)
    return Runs(frame, joined[:, :-1], joined[:, -1], start)


def tabled(source: str, *, tell: Callable[[str], None] = lambda line: None) -> np.ndarray:
    """Columns of a network's rows and their counts, shape `(rows, columns + 1)`; kept in the cache (`HWSIM_CACHE`)."""
    code = Path(lower.__code__.co_filename).read_text(encoding="utf-8")
    key = hashlib.sha256(f"{source}\n{code}".encode()).hexdigest()[:16]
    path = Path(os.environ.get("HWSIM_CACHE", Path.home() / ".cache" / "hwsim")) / "npu" / f"{key}.npy"
    if not path.is_file():
        from hwsim import api

        tell(f"tracing {source}")
        table = lower(api.load(source), NpuMapping()).tables[0]
        made: Any = table.columns
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.npy")
        np.save(part, np.stack([*(getattr(made, name) for name in NAMES), table.count], axis=1))
        part.replace(path)
    return np.load(path, allow_pickle=False)


@dataclass(frozen=True)
class Fit:
    """What was fitted."""

    constants: NpuConstants
    devices: dict[str, dict[str, float]]
    """Quantities of each device, by name."""

    def device(self, name: str) -> NpuDevice:
        """The device of the shelf with these quantities."""
        return replace(NpuDevice.from_shelf(name), **self.devices[name])


def fit(runs: Runs, *, steps: int = STEPS) -> Fit:
    """Constants of all devices of the shelf, from these runs; a network weighs as the square root of its runs."""
    import torch

    torch.set_num_threads(1)
    names = sorted(ai_hub.DEVICES.values())
    problem = _Problem(torch, runs, [NpuDevice.from_shelf(name) for name in names])
    free = {
        **{n: torch.zeros(len(names), dtype=torch.float64) for n in FITTED},
        **{n: torch.zeros((), dtype=torch.float64) for n in CONSTANTS},
    }
    free = {name: value.requires_grad_() for name, value in free.items()}
    optimizer = torch.optim.Adam(list(free.values()), lr=PEAK_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
    for _ in range(steps):
        optimizer.zero_grad()
        (problem.error(free) + PULL * _pull(free)).backward()
        optimizer.step()
        schedule.step()
    plain = {name: np.exp(value.detach().numpy()) for name, value in free.items()}
    constants = NpuConstants(**{name: float(getattr(NpuConstants, name) * plain[name]) for name in CONSTANTS})
    board = {n: problem.given[n].numpy() * np.exp(problem.open[n].numpy() * np.log(plain[n])) for n in FITTED}
    return Fit(constants, {d: {n: float(board[n][i]) for n in FITTED} for i, d in enumerate(names)})


def _pull(free: dict[str, Any]) -> Any:
    """Squares of what was changed; of devices, what sets one apart from the others."""
    apart = sum(((free[n] - free[n].mean()) ** 2).sum() for n in FITTED)
    return 0.3 * apart + sum((STIFF if n in HELD else 1.0) * free[n] ** 2 for n in CONSTANTS)


class _Problem:
    """Runs as torch arrays."""

    def __init__(self, torch: Any, runs: Runs, boards: Sequence[NpuDevice]) -> None:
        self.torch, frame, names = torch, runs.frame, [b.name for b in boards]
        sizes = np.diff(runs.start)
        self.columns = NpuColumns(**{name: torch.from_numpy(runs.columns[:, i].copy()) for i, name in enumerate(NAMES)})
        self.count, self.owner = torch.from_numpy(runs.count.copy()), torch.from_numpy(np.repeat(np.arange(len(frame)), sizes))
        self.device = torch.from_numpy(frame.device.map(names.index).to_numpy().copy())
        stays = {n: [b.sources[n].status != "fitted" for b in boards] for n in FITTED}
        starts = {n: [float(getattr(b, n)) if kept else v for b, kept in zip(boards, stays[n], strict=True)] for n, v in FITTED.items()}
        self.given = {n: torch.tensor(values, dtype=torch.float64) for n, values in starts.items()}
        self.open = {n: 1.0 - torch.tensor(kept, dtype=torch.float64) for n, kept in stays.items()}
        self.tcm_b = torch.tensor([float(b.tcm_b) for b in boards], dtype=torch.float64)
        self.dtype = {name: torch.from_numpy((frame.dtype == name).to_numpy(dtype=float)) for name in DTYPES}
        self.onnx = torch.from_numpy(frame.runtime.str.contains("onnx").to_numpy(dtype=float))
        self.target = torch.from_numpy(np.log(frame.measured_s.to_numpy()))
        weight = 1 / np.sqrt(frame.groupby("architecture").measured_s.transform("size").to_numpy())
        self.weight = torch.from_numpy(weight / weight.sum())

    def error(self, free: dict[str, Any]) -> Any:
        """Mean error of the logarithms."""
        constants = NpuConstants(**{name: getattr(NpuConstants, name) * free[name].exp() for name in CONSTANTS})
        board = {name: (self.given[name] * (self.open[name] * free[name]).exp())[self.device] for name in FITTED}
        time = row_time(self.columns, self._rates(board, constants), constants)
        start = board["dispatch_s"] * (1 + (constants.onnx_dispatch - 1) * self.onnx)
        total = start.index_add(0, self.owner, time.latency_s * self.count)
        error = self.torch.nn.functional.smooth_l1_loss(total.log(), self.target, beta=BETA, reduction="none")
        return (error * self.weight).sum()

    def _rates(self, board: dict[str, Any], constants: NpuConstants) -> Rates:
        at = self.dtype
        integer = at["w8a8"] + at["w8a16"] * constants.a16 + at["w16a16"] * constants.a16 * constants.w16
        launch = 1 + (constants.w8a8_launch - 1) * at["w8a8"] + (constants.w8a16_launch - 1) * at["w8a16"]
        launch = launch * (1 + (constants.onnx_launch - 1) * self.onnx)
        bits = [sum(DTYPES[name][i] * at[name] for name in DTYPES) / 8 for i in (0, 1)]
        per_run: tuple[Any, ...] = (
            board["fp16_op_per_s"] * at["fp16"] + board["int8_op_per_s"] * integer,
            board["vector_b_per_s"],
            board["dram_b_per_s"],
            self.tcm_b[self.device],
            board["launch_s"] * launch,
            *bits,
        )
        return Rates(*(value[self.owner] for value in per_run))


def predicted(runs: Runs, found: Fit) -> np.ndarray:
    """Seconds of every network, shape `(networks,)`."""
    from hwsim.targets.npu.cost import dispatch_s, rates

    seconds = np.zeros(len(runs))
    devices = {name: found.device(name) for name in found.devices}
    for i, item in enumerate(runs.frame.itertuples()):
        at = slice(runs.start[i], runs.start[i + 1])
        c = NpuColumns(**{name: runs.columns[at, j] for j, name in enumerate(NAMES)})
        mapping, device = NpuMapping(item.dtype, item.runtime), devices[item.device]
        time = row_time(c, rates(device, mapping, found.constants), found.constants)
        seconds[i] = time.latency_s @ runs.count[at] + dispatch_s(device, mapping, found.constants)
    return seconds


def write(*, tell: Callable[[str], None] = lambda line: None) -> list[str]:
    """Fit on everything; write `targets/npu/fitted/networks.yaml` and the fitted quantities of the devices' files."""
    runs = measured(tell=tell)
    found = fit(runs)
    error = np.abs(predicted(runs, found) / runs.frame.measured_s.to_numpy() - 1)
    where = shelf.checkout("targets") / "npu"
    median, mean = float(np.median(error)), float(error.mean())
    said = (
        f"fitted on {len(runs)} runs of {runs.frame.architecture.nunique()} networks of Qualcomm AI Hub; median error {100 * median:.1f} %"
    )
    lines = [
        "# Written by `hwsim calibrate npu`; do not edit.",
        "name: networks",
        'dataset: "Qualcomm AI Hub, networks whose graphs can be built, every layer on the NPU"',
        f"points: {len(runs)}",
        f"devices: [{', '.join(sorted(found.devices))}]",
        f"error: {{median_ape: {median:.4f}, mean_ape: {mean:.4f}}}",
        "sources:",
        f'  fit: "{said}"',
        "constants:",
        *(f"  {name}: {{value: {getattr(found.constants, name):.5g}, source: fit, status: fitted}}" for name in CONSTANTS),
    ]
    (where / "fitted" / "networks.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, values in found.devices.items():
        path = where / f"{name}.yaml"
        text = path.read_text(encoding="utf-8")
        for key, value in values.items():
            if NpuDevice.from_shelf(name).sources[key].status == "fitted":
                text = re.sub(rf"(?m)^(  {key}: {{value: )[^,]+,", rf"\g<1>{value:.4g},", text)
        path.write_text(text, encoding="utf-8")
    shelf.fitted.cache_clear()
    return [said]
