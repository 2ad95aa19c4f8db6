"""One network run by PyTorch on this machine: warm-up, repeats, quantiles; power of a GPU where NVML tells it."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.datasets.generators.networks import Run
from hwsim.errors import HwsimError, InputError

WARM_UP = 3
REPEATS = 10
"""Timed runs at least."""
MOST = 200
ENOUGH_S = 0.5
"""Timed runs together last so long at least, unless there are `MOST`."""
POWER_S = 1.0
"""How long a GPU runs while its power is read."""


class RunFailed(HwsimError):
    """A network could not be run."""


@dataclass(frozen=True)
class Timed:
    """Seconds of single runs."""

    seconds: np.ndarray
    warm_up: int

    def quantile(self, q: float) -> float:
        """Of the seconds."""
        return float(np.quantile(self.seconds, q))


def timed(work: Callable[[], Any], *, warm_up: int = WARM_UP, repeats: int = REPEATS, enough_s: float = ENOUGH_S) -> Timed:
    """Run a function several times; it must not return before its work is done."""
    for _ in range(warm_up):
        work()
    found: list[float] = []
    while len(found) < repeats or (sum(found) < enough_s and len(found) < MOST):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return Timed(np.array(found), warm_up)


def row(run: Run, *, device: str = "cpu", repeats: int = REPEATS, enough_s: float = ENOUGH_S) -> dict[str, Any]:
    """A line of the table: what was run, and what was measured.

    Args:
        run: network, batch, type, threads, layout.
        device: cpu or cuda.
        repeats: timed runs at least.
        enough_s: seconds of timed runs at least.

    Raises:
        RunFailed: PyTorch could not run it; says why.
        MissingExtra: timm is not installed.
    """
    import torch

    if run.threads:
        torch.set_num_threads(run.threads)
    try:
        module, image = _network(run, device)
        with torch.inference_mode():
            work = _call(torch, module, image, device)
            flop = _flop(torch, module, image)
            found = timed(work, repeats=repeats, enough_s=enough_s)
            power = powered(work, found.quantile(0.5)) if device == "cuda" else {}
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise RunFailed(" ".join(str(error).split())[:300] or type(error).__name__) from error
    return {
        "graph": run.graph,
        "device": device_name(device),
        "group": run.group,
        "mapping.dtype": run.dtype,
        "mapping.layout": run.layout,
        **protocol(run, device),
        "protocol.warm_up": found.warm_up,
        "protocol.repeats": len(found.seconds),
        "flop": flop,
        "latency_s": f"{found.quantile(0.5):.6g}",
        "latency_p10_s": f"{found.quantile(0.1):.6g}",
        "latency_p90_s": f"{found.quantile(0.9):.6g}",
        **power,
        "fact.parameters": sum(p.numel() for p in module.parameters()),
    }


def protocol(run: Run, device: str) -> dict[str, Any]:
    """What makes rows comparable: tool, version, threads, batch, processor."""
    import torch

    held: dict[str, Any] = {
        "tool": "torch",
        "version": torch.__version__,
        "runtime": "eager",
        "batch": run.batch,
        "processor": processor(device),
    }
    if device == "cpu":
        held |= {"threads": run.threads, "capability": torch.backends.cpu.get_cpu_capability()}
    else:
        held["cuda"] = torch.version.cuda
    return {f"protocol.{name}": value for name, value in held.items()}


def _network(run: Run, device: str) -> tuple[Any, Any]:
    """The module with random weights, and an image of the size that its name says."""
    import torch

    from hwsim.frontends.torch.load import parse_options
    from hwsim.frontends.torch.timm_models import import_timm

    prefix, _, rest = run.graph.partition(":")
    if prefix != "timm":
        raise InputError(f"{run.graph!r} is no network that can be run here; expected timm:NAME")
    name, _, query = rest.partition("?")
    options = parse_options(query, where=run.graph)
    size = options.pop("img_size", 224)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[run.dtype]
    shape = torch.channels_last if run.layout == "nhwc" else torch.contiguous_format
    torch.manual_seed(0)
    module = _created(import_timm(), name, size, options).eval().to(device=device, dtype=dtype, memory_format=shape)
    image = torch.randn(run.batch, 3, size, size).to(device=device, dtype=dtype, memory_format=shape)
    return module, image


def _created(timm: Any, name: str, size: int, options: dict[str, Any]) -> Any:
    """With `img_size` for models that take it; convolutional networks need none."""
    try:
        return timm.create_model(name, pretrained=False, img_size=size, **options)
    except TypeError:
        return timm.create_model(name, pretrained=False, **options)


def _call(torch: Any, module: Any, image: Any, device: str) -> Callable[[], Any]:
    if device == "cpu":
        return lambda: module(image)

    def work() -> None:
        module(image)
        torch.cuda.synchronize()

    return work


def _flop(torch: Any, module: Any, image: Any) -> int:
    """Arithmetic of products and convolutions, the whole batch, as PyTorch counts it."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        module(image)
    return int(counter.get_total_flops())


def powered(work: Callable[[], Any], second: float, *, read: Callable[[], float] | None = None) -> dict[str, str]:
    """Mean power while a GPU repeats its work, and energy of a run; nothing where NVML is absent.

    Args:
        work: one run.
        second: its median time.
        read: gives the power in W; NVML's reading of the first GPU by default.
    """
    reading = read or _nvml()
    if reading is None:
        return {}
    found, end = [], time.perf_counter() + POWER_S
    while time.perf_counter() < end:
        work()
        found.append(reading())
    power_w = float(np.mean(found[len(found) // 3 :]))
    return {"power_w": f"{power_w:.5g}", "energy_j": f"{power_w * second:.5g}"}


def _nvml() -> Callable[[], float] | None:
    """A reading of power by NVML (package nvidia-ml-py), if it is there and the GPU tells."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        pynvml.nvmlDeviceGetPowerUsage(handle)
    except Exception:  # the package, the driver or the reading is absent, each with an error of its own
        return None
    return lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000


@cache
def device_name(device: str) -> str:
    """The GPU's name on the shelf, where it has one, else what it calls itself; `cpu` of a processor."""
    if device == "cpu":
        return "cpu"
    from hwsim import plugins

    name = processor(device)
    try:
        return plugins.load("hwsim.targets", "gpu").device(name).name
    except HwsimError:
        return name


@cache
def processor(device: str) -> str:
    """What the processor or GPU calls itself."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name(0)
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return named or platform.processor() or platform.machine()


def cores() -> tuple[int, ...]:
    """Processor cores that this process may use."""
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else tuple(range(os.cpu_count() or 1))
