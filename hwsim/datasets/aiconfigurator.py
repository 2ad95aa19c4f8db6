"""Single operators on data-centre GPUs, from AIConfigurator (one backend version a device; versions are never mixed)."""

from __future__ import annotations

from typing import Any

from hwsim.datasets.locate import data_path, pandas

BACKENDS = {
    "a100-sxm-80gb": ("a100_sxm", "trtllm-1.0.0"),
    "h100-sxm-80gb": ("h100_sxm", "trtllm-1.3.0rc20"),
    "h200-sxm": ("h200_sxm", "trtllm-1.3.0rc20"),
    "b200-sxm": ("b200_sxm", "trtllm-1.3.0rc15"),
    "l40s": ("l40s", "trtllm-1.3.0rc20"),
}
"""Device to (folder, backend version)."""
WIDE = {**BACKENDS, "b200-sxm": ("b200_sxm", "vllm-0.22.0")}
"""The same, with the backend of B200 whose matrix products are not limited to narrow results."""
POWER = {"h200-sxm": ("h200_sxm", "vllm-0.22.0"), "b200-sxm": ("b200_sxm", "vllm-0.22.0")}
"""Devices with measured power."""


def frame(operator: str, folder: tuple[str, str]) -> Any:
    """One measured table as it is, latency in ms.

    Raises:
        DataMissing: the file is not there.
    """
    return pandas().read_parquet(data_path("gpu", "aiconfigurator", *folder, f"{operator}_perf.parquet"))


def gemms(device: str, *, dtype: str = "bfloat16", rows: int | None = None, folders: dict[str, tuple[str, str]] | None = None) -> Any:
    """Matrix products of one device in one format; `rows` draws a fixed sample."""
    found = frame("gemm", (folders or WIDE)[device])
    found = found[found.gemm_dtype == dtype]
    return found if rows is None or rows >= len(found) else found.sample(rows, random_state=0)
