"""The one loop that trains every network: one-cycle rate, early stopping, checkpoints, a log, several processes.

A run that is killed goes on from its last epoch and ends, on a CPU, with the same bits as one that was not. Nothing is ever pickled.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hwsim.errors import InputError
from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.networks import parts
from hwsim.surrogates.networks.batch import Batch, Batches
from hwsim.surrogates.networks.recipes import NetworkRecipe
from hwsim.surrogates.training import checkpoint
from hwsim.surrogates.training.checkpoint import State

Tell = Callable[[str], None]
WARM, FIRST, LAST = 0.3, 1 / 25, 1e-4 / 25
"""One-cycle schedule: share of steps with a rising rate; first and last rate over the peak."""
MOMENTUM = (0.95, 0.85)
"""First decay of Adam at the ends and at the peak of the rate."""


@dataclass(frozen=True)
class Trained:
    """A network after training, ready to answer."""

    model: Any
    history: tuple[dict[str, float], ...]
    """One entry an epoch: `epoch`, `loss`, `validation` where there is any, `learning_rate`, `seconds`, `graphs_per_s`."""
    best_epoch: int
    """The epoch whose weights these are, from 0."""


def fit(
    model: Any,
    graphs: Graphs,
    *,
    recipe: NetworkRecipe,
    seed: int = 0,
    validation: Graphs | None = None,
    folder: Path | None = None,
    resume: bool = True,
    devices: int = 1,
    tensorboard: bool = False,
    tell: Tell | None = None,
) -> Trained:
    """Train a network on one thread, or on several processes.

    The loss is the smoothed absolute error of the logarithm over all metrics that were measured, and what the network adds.

    Args:
        model: of `networks.build` or `networks.restored`; it is changed.
        graphs: what it is trained on.
        recipe: how long and how fast; patience needs `validation`.
        seed: of the order of networks and of dropout.
        validation: networks on which the error is measured after each epoch.
        folder: for `checkpoint.safetensors` after each epoch and `log.jsonl`.
        resume: whether a checkpoint of the same run in the folder is taken up.
        devices: processes that share each step: GPUs where there are as many, else this machine's CPU.
        tensorboard: whether the log is written for TensorBoard, too; needs a folder.
        tell: called with a line after each epoch.

    Raises:
        InputError: nothing to train on, a checkpoint of another run in the folder, or an option without what it needs.
    """
    _check(graphs, recipe, validation=validation, folder=folder, devices=devices, tensorboard=tensorboard)
    if devices > 1:
        from hwsim.surrogates.training.shared import fit_shared

        options = {"folder": folder, "resume": resume, "tensorboard": tensorboard}
        return fit_shared(model, graphs, recipe=recipe, seed=seed, validation=validation, devices=devices, tell=tell, **options)
    run = Run(model, graphs, recipe, seed, validation, folder=folder, tensorboard=tensorboard, tell=tell)
    return run.finish(resume=resume)


def _check(
    graphs: Graphs, recipe: NetworkRecipe, *, validation: Graphs | None, folder: Path | None, devices: int, tensorboard: bool
) -> None:
    if not np.isfinite(graphs.measured).any():
        raise InputError(f"found no measurement of {', '.join(graphs.metrics)} among {len(graphs)} networks; expected one or more")
    if np.any(graphs.measured < 0) or np.isinf(graphs.measured).any():
        raise InputError("measurements are negative or infinite; expected positive numbers, or not-a-number where nothing was measured")
    if recipe.patience and (validation is None or not np.isfinite(validation.measured).any()):
        raise InputError(f"`patience: {recipe.patience}` watches a validation part; found none")
    if tensorboard and folder is None:
        raise InputError("a log for TensorBoard needs a folder; name one")
    if devices > min(len(graphs), recipe.networks_per_step):
        raise InputError(
            f"found {len(graphs)} networks, {recipe.networks_per_step} a step, for {devices} processes; expected as many or more"
        )


class Run:
    """One training run in one process.

    Args:
        rank: which of `devices` processes this is; the first writes and speaks.
    """

    def __init__(
        self,
        model: Any,
        graphs: Graphs,
        recipe: NetworkRecipe,
        seed: int,
        validation: Graphs | None,
        *,
        folder: Path | None = None,
        tensorboard: bool = False,
        tell: Tell | None = None,
        rank: int = 0,
        devices: int = 1,
    ) -> None:
        torch.set_num_threads(1)
        self.device = f"cuda:{rank}" if torch.cuda.is_available() and torch.cuda.device_count() >= devices else "cpu"
        self.model, self.recipe, self.rank, self.devices = model.to(self.device), recipe, rank, devices
        self.batches = Batches(graphs, needs=model.needs, device=self.device)
        self.held = Batches(validation, needs=model.needs, device=self.device) if validation is not None and len(validation) else None
        self.steps = max(1, len(graphs) // recipe.networks_per_step)
        self.order = np.random.default_rng(seed)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        self.source, self.folder, self.tell = folder, (folder if rank == 0 else None), (tell if rank == 0 else None)
        self.called = model if devices == 1 else nn.parallel.DistributedDataParallel(model)
        self.state = State(checkpoint.key(model, graphs, recipe, seed, devices))
        self.writer = _writer(self.folder) if tensorboard and self.folder else None
        torch.manual_seed(seed)

    def finish(self, *, resume: bool = True) -> Trained:
        """Train to the end, from the checkpoint in the folder if there is one."""
        if self.source and resume:
            self.state = checkpoint.read(self.source, self.state, self.model, self.optimizer, self.order)
        if self.folder:
            checkpoint.write_log(self.folder, self.state.history)
        while not self.over:
            self.epoch()
            if self.folder:
                checkpoint.write(self.folder, self.state, self.model, self.optimizer, self.order)
                checkpoint.write_log(self.folder, self.state.history)
        if self.writer:
            self.writer.close()
        if self.state.best:
            self.model.load_state_dict(self.state.best)
        best = self.state.best_epoch if self.state.best else len(self.state.history) - 1
        return Trained(self.model.to("cpu").eval(), tuple(self.state.history), best)

    @property
    def over(self) -> bool:
        """Whether all epochs are done, or patience is."""
        done, patience = len(self.state.history), self.recipe.patience
        return done >= self.recipe.epochs or bool(patience and done - 1 - self.state.best_epoch >= patience and self.state.best)

    def epoch(self) -> None:
        """Every network once."""
        self.model.train()
        number, began, total, rate = len(self.state.history), time.perf_counter(), 0.0, 0.0
        for i, chosen in enumerate(np.array_split(self.order.permutation(len(self.batches)), self.steps)):
            rate = self._pace(number * self.steps + i)
            batch = self.batches.of(chosen[self.rank :: self.devices])
            loss = error(self.called(batch), batch, self.recipe.beta) + self.model.penalty
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += float(loss.detach())
        seconds = time.perf_counter() - began
        entry = {"epoch": number, "loss": total / self.steps, "learning_rate": rate, "seconds": round(seconds, 3)}
        entry["graphs_per_s"] = round(len(self.batches) / seconds, 1)
        if self.held is not None:
            entry["validation"] = self._validated(self.held)
            if self.recipe.patience and entry["validation"] < self.state.best_error:
                self.state.best_error, self.state.best_epoch = entry["validation"], number
                self.state.best = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.state.history.append(entry)
        self._said(entry)

    def _pace(self, step: int) -> float:
        """Set the rate and Adam's first decay for a step of the one cycle (Smith and Topin 2018, with cosines)."""
        all_steps = self.recipe.epochs * self.steps
        top = max(WARM * all_steps - 1, 1e-9)
        rising = step <= top
        share = step / top if rising else (step - top) / max(all_steps - 1 - top, 1e-9)
        ends = (FIRST, 1.0, *MOMENTUM) if rising else (1.0, LAST, *MOMENTUM[::-1])
        cosine = (1 + math.cos(math.pi * min(share, 1.0))) / 2
        rate = self.recipe.learning_rate * (ends[1] + (ends[0] - ends[1]) * cosine)
        for group in self.optimizer.param_groups:
            group["lr"], group["betas"] = rate, (ends[3] + (ends[2] - ends[3]) * cosine, group["betas"][1])
        return rate

    def _validated(self, held: Batches) -> float:
        self.model.eval()
        total, count = 0.0, 0
        with torch.inference_mode():
            for part in parts(held.size):
                batch = held.of(part)
                known = int(torch.isfinite(batch.target).sum())
                total += float(error(self.model(batch), batch, self.recipe.beta)) * known
                count += known
        return total / max(count, 1)

    def _said(self, entry: dict[str, float]) -> None:
        if self.tell:
            held = f", validation {entry['validation']:.5f}" if "validation" in entry else ""
            done = f"epoch {entry['epoch'] + 1:.0f} of {self.recipe.epochs}: loss {entry['loss']:.5f}{held}"
            self.tell(f"{done}, {entry['graphs_per_s']:,.0f} graphs/s")
        if self.writer:
            for name in ("loss", "validation", "learning_rate"):
                if name in entry:
                    self.writer.add_scalar(name, entry[name], entry["epoch"])


def error(said: torch.Tensor, batch: Batch, beta: float) -> torch.Tensor:
    """Mean smoothed absolute error of the logarithms that were measured; 0 where none was."""
    known = torch.isfinite(batch.target)
    apart = nn.functional.smooth_l1_loss(said, torch.where(known, batch.target, said.detach()), beta=beta, reduction="sum")
    return apart / known.sum().clamp(min=1)


def _writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("a log for TensorBoard needs the package tensorboard; pip install tensorboard") from None
    return SummaryWriter(str(folder / "tensorboard"))
