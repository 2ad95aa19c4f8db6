"""Inference throughput of named timm networks on consumer and workstation GPUs (pytorch-image-models, results/)."""

from __future__ import annotations

from typing import Any

from hwsim.datasets.locate import data_path, pandas

BOARDS = {"rtx3090": "rtx-3090", "rtx4090": "rtx-4090", "4090": "rtx-4090", "pro6000maxq": "rtx-pro-6000-blackwell-maxq"}
"""Board in the data to device on the shelf."""
TORCHES = {113: "1.13", 210: "2.1", 240: "2.4", 291: "2.9"}
"""Version of PyTorch in the data to that of a GPU mapping."""


def runs(*, whole: bool = False) -> Any:
    """Runs on GPUs: device, runtime, dtype, layout, torch_version, model, image_size, batch, measured_s (a batch), parameters_m, protocol.

    `parameters_m` is what was counted in the network as it ran, in millions with two digits: the newest tables merge convolutions first.

    Args:
        whole: also those that the source has no throughput of, or whose board has no name on the shelf (they keep the source's).

    Raises:
        DataMissing: the file is not there.
    """
    found = pandas().read_parquet(data_path("gpu", "timm_infer.parquet"))
    board = found.device.str.extract(r"cu\d+-([a-z0-9]+)")[0]
    found = found.assign(protocol=found.device, device=board.map(BOARDS), runtime=found.device.str.endswith("dynamo"))
    if whole:
        found["device"] = found.device.fillna(found.protocol.where(~found.protocol.str.startswith("cpu-")))
    found = found[found.device.notna() & ((found.infer_samples_per_sec > 0) | whole)]
    return found.assign(
        runtime=found.runtime.map({True: "compile", False: "eager"}),
        dtype=found.precision,
        image_size=found.infer_img_size.astype(int),
        batch=found.infer_batch_size.fillna(0).astype(int),
        torch_version=found.torch.map(TORCHES),
        parameters_m=found.param_count,
        measured_s=found.infer_batch_size / found.infer_samples_per_sec,
    )


def torch_version(digits: int | str) -> str:
    """Version of torch as the names of the source's files spell it.

    >>> torch_version(291), torch_version(113)
    ('2.9.1', '1.13')
    """
    text = str(digits)
    return f"1.{text[1:]}" if text.startswith("1") else ".".join(text)


def family(model: str) -> str:
    """Family of architectures of a model: the first word of its name without numbers."""
    return model.split(".")[0].split("_")[0].rstrip("0123456789")
