"""The commands that build measured sets with PyTorch."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import click

from hwsim.datasets.generators import measure, networks, torch_runs
from hwsim.errors import HwsimError, InputError

TEXT = """{summary}

    Networks of PyTorch Image Models and vision transformers of sampled depth and width, images of sampled size, weights random. Warm-up,
    then timed runs; their median, tenth and ninetieth percentile. Rows are appended to OUT/rows.csv in the schema of data sets, failures to
    OUT/failures.csv; run the same command again and it goes on where it stopped. {more}

    \b
    Examples:
      hwsim datasets build {name} --out mine --count 20
      hwsim datasets check mine
    """
CPU = "Time networks on this machine's processor with PyTorch."
CUDA = "Time networks on this machine's GPU with PyTorch, and its power by NVML."
_COMMON = (
    click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DIR", help="Folder of the data set."),
    click.option("--count", type=click.IntRange(1), default=100, show_default=True, help="Runs in all."),
    click.option("--seed", type=int, default=networks.SEED, show_default=True, help="Of the sampled list."),
    click.option(
        "--dtype", "dtypes", multiple=True, type=click.Choice(["fp32", "bf16", "fp16"]), default=("fp32",), show_default=True,
        help="To draw from; may be repeated.",
    ),
    click.option(
        "--batch", "batches", multiple=True, type=click.IntRange(1), default=(1, 1, 2, 4), show_default=True,
        help="Images at once, to draw from; may be repeated.",
    ),
)  # fmt: skip


def _common(command: Any) -> Any:
    for option in reversed(_COMMON):
        command = option(command)
    return command


@click.command(
    "torch-cpu",
    help=TEXT.format(name="torch-cpu", summary=CPU, more="Each of several jobs has cores of its own."),
)
@_common
@click.option("--threads", multiple=True, type=click.IntRange(1), default=(1,), show_default=True, help="To draw from; may be repeated.")
@click.option("--jobs", "workers", type=click.IntRange(1), default=1, show_default=True, help="Runs at once, each on cores of its own.")
def cpu(
    out: Path, count: int, seed: int, dtypes: tuple[str, ...], batches: tuple[int, ...], threads: tuple[int, ...], workers: int
) -> None:
    """On the processor."""
    each = len(measure.cores()) // workers
    if each and max(threads) > each:
        raise InputError(f"--threads {max(threads)} with {each} core(s) a job; expected {each} at most")
    listed = networks.runs(seed=seed, dtypes=dtypes, batches=batches, threads=threads)
    _build(list(islice(listed, count)), out=out, workers=workers, device="cpu")


@click.command("torch-cuda", help=TEXT.format(name="torch-cuda", summary=CUDA, more="Power needs the package nvidia-ml-py."))
@_common
def cuda(out: Path, count: int, seed: int, dtypes: tuple[str, ...], batches: tuple[int, ...]) -> None:
    """On the GPU."""
    import torch

    if not torch.cuda.is_available():
        raise InputError(f"PyTorch {torch.__version__} finds no CUDA GPU on this machine; expected one (`torch-cpu` runs on the processor)")
    listed = networks.runs(seed=seed, dtypes=dtypes, batches=batches, threads=(0,))
    _build(list(islice(listed, count)), out=out, workers=1, device="cuda")


def _build(listed: list[networks.Run], *, out: Path, workers: int, device: str) -> None:
    try:
        made, failed = torch_runs.build(listed, out=out, workers=workers, device=device)
    except HwsimError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{made} rows added to {out / torch_runs.TABLE}; {failed} failed (see {out / 'failures.csv'})")
