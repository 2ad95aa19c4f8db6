"""Training on several processes: each takes its share of every step, gradients are averaged (DistributedDataParallel)."""

from __future__ import annotations

import copy
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from hwsim.errors import InputError
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.networks.recipes import NetworkRecipe
from hwsim.surrogates.training.loop import Run, Tell, Trained


def fit_shared(
    model: Any,
    graphs: Graphs,
    *,
    recipe: NetworkRecipe,
    seed: int,
    validation: Graphs | None,
    devices: int,
    folder: Path | None = None,
    resume: bool = True,
    tensorboard: bool = False,
    tell: Tell | None = None,
) -> Trained:
    """`loop.fit` on `devices` processes of this machine; the first leaves weights and history in a folder.

    Raises:
        InputError: a process failed.
    """
    from safetensors import safe_open

    processes: Any = torch.multiprocessing
    with tempfile.TemporaryDirectory() as scratch:
        given = (devices, scratch, model, graphs, recipe, seed, validation, folder, resume, tensorboard)
        running: Any = processes.spawn(_work, given, nprocs=devices, join=False)
        told, said = 0, Path(scratch) / "said"
        try:
            done = False
            while not done:
                done = running.join(timeout=0.5)
                lines = said.read_text(encoding="utf-8").splitlines() if said.is_file() else []
                for line in lines[told:]:
                    if tell:
                        tell(line)
                told = len(lines)
        except processes.ProcessException as error:
            raise InputError(f"one of {devices} training processes failed: {str(error).strip().splitlines()[-1]}") from None
        with safe_open(str(Path(scratch) / "trained.safetensors"), framework="pt") as file:
            plain = json.loads(file.metadata()["trained"])
            model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    return Trained(model.to("cpu").eval(), tuple(plain["history"]), plain["best_epoch"])


def _work(
    rank: int,
    devices: int,
    scratch: str,
    model: Any,
    graphs: Graphs,
    recipe: NetworkRecipe,
    seed: int,
    validation: Graphs | None,
    folder: Path | None,
    resume: bool,
    tensorboard: bool,
) -> None:
    from safetensors.torch import save_file

    cuda = torch.cuda.is_available() and torch.cuda.device_count() >= devices
    if cuda:
        torch.cuda.set_device(rank)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.distributed.init_process_group("nccl" if cuda else "gloo", init_method=f"file://{scratch}/store", rank=rank, world_size=devices)

    def tell(line: str) -> None:
        with (Path(scratch) / "said").open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    shown = {"folder": folder, "tensorboard": tensorboard, "tell": tell, "rank": rank, "devices": devices}
    own = copy.deepcopy(model)  # what was sent is memory that all processes share
    trained = Run(own, graphs, recipe, seed, validation, **shown).finish(resume=resume)
    if rank == 0:
        plain = json.dumps({"history": trained.history, "best_epoch": trained.best_epoch})
        weights = {name: value.clone().contiguous() for name, value in trained.model.state_dict().items()}
        save_file(weights, Path(scratch) / "trained.safetensors", {"trained": plain})
    torch.distributed.destroy_process_group()
