"""Single fp32 kernels called from PyTorch on nine GPUs, from NeuSight."""

from __future__ import annotations

from typing import Any

from hwsim.datasets.locate import data_path, pandas

DEVICES = {
    "Tesla P4": "p4",
    "Tesla P100-PCIE-16GB": "p100-pcie-16gb",
    "Tesla T4": "t4",
    "Tesla V100-PCIE-32GB": "v100-pcie-32gb",
    "NVIDIA A100-PCIE-40GB": "a100-pcie-40gb",
    "NVIDIA A100 80GB PCIe": "a100-pcie-80gb",
    "NVIDIA H100 80GB HBM3": "h100-sxm-80gb",
    "NVIDIA L4": "l4",
}
"""Name in the data to name on the shelf."""


def kernels(operator: str, *, rows: int | None = None) -> Any:
    """Rows of one operator on NVIDIA GPUs, latency in ms, with the column `device`; `rows` a device draws a fixed sample.

    Raises:
        DataMissing: the file is not there.
    """
    found = pandas().read_csv(data_path("gpu", "neusight", f"nvidia_{operator}.csv.gz"))
    found = found[found.Device.isin(list(DEVICES))].assign(device=lambda d: d.Device.map(DEVICES))
    if rows is None:
        return found
    return found.groupby("device", group_keys=False)[found.columns].apply(lambda d: d.sample(min(rows, len(d)), random_state=0))
