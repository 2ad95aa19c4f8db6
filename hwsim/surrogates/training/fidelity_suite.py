"""What many cheap labels do for few expensive ones: estimates of C synthesis before logic synthesis, closed forms before measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from hwsim.surrogates.graphs import Graphs
from hwsim.surrogates.metrics import offset
from hwsim.surrogates.networks import predicted
from hwsim.surrogates.networks.recipes import AdditiveRecipe, AnyNetwork, GinRecipe
from hwsim.surrogates.residual import summary
from hwsim.surrogates.training import fpga, run
from hwsim.surrogates.training import recipe as recipes
from hwsim.surrogates.training.fidelity import Before, Cheap, before, levelled
from hwsim.surrogates.training.left_out import Loop, ensemble

SEEDS = (0, 1, 2)
HELD = 0.25
"""Share of the architectures that judge."""
CHEAP_NETWORKS = 200
"""Networks of the GPU whose closed forms are learned."""
STEPS, EPOCHS = 4, 40
"""Steps an epoch and epochs on expensive labels, however many there are."""
SYNTHESIS = ("lut", "ff", "bram18")


@dataclass(frozen=True)
class Task:
    """Few expensive labels, and many cheap ones."""

    title: str
    expensive: Graphs
    cheap: Cheap
    source: Graphs
    """Networks of the cheap labels."""
    counts: tuple[int, ...]
    models: tuple[str, ...]
    note: str
    most: int
    """Cheap labels."""

    def split(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """(networks with expensive labels, networks that judge), which share no architecture."""
        draw = np.random.default_rng(seed)
        names = draw.permutation(np.unique(self.names))
        held = np.isin(self.names, names[: round(HELD * len(names))])
        return draw.permutation(np.flatnonzero(~held))[:count], np.flatnonzero(held)

    @property
    def names(self) -> np.ndarray:
        """Architecture of each network."""
        return self.expensive.labels["architecture"]

    def first(self, count: int, seed: int) -> Before:
        """Cheap labels without any network that judges."""
        _, held = self.split(count, seed)
        found = before(self.cheap, self.source, self.expensive, by="architecture")
        known = np.flatnonzero(~np.isin(self.source.labels["architecture"], self.names[held]))
        known = np.random.default_rng(seed).permutation(known)[: self.most]
        return replace(found, graphs=found.graphs.take(known), names=found.names[known])


@cache
def tasks() -> tuple[Task, ...]:
    """Both.

    Raises:
        DataMissing: the measurements are not there.
    """
    one = fpga.graphs(fpga.training_set("dense1").designs).only(SYNTHESIS)
    two = fpga.graphs([fpga.lowered(replace(d.design, stage="csynth")) for d in fpga.training_set("dense2").designs]).only(SYNTHESIS)
    found = [
        Task("Logic synthesis after C synthesis", two, Cheap(data="dense1"), one, (10, 30, 100, 200), tuple(RECIPES), _SYNTHESIS, len(one))
    ]
    recipe = recipes.Recipe(name="x", summary="", family="gpu", data="timm-networks", left_out=recipes.LeftOut(by="model"))
    data = run.load(recipe)
    chosen = {"device": "rtx-4090", "runtime": "eager", "layout": "nchw"}
    kept = np.flatnonzero(np.all([data.labels[name] == value for name, value in chosen.items()], axis=0))
    board = data.take(kept)
    board = replace(board, labels={**board.labels, "architecture": board.labels["model"]})
    title = "Measurements after closed forms"
    found.append(Task(title, board, Cheap(labels="closed-form"), board, (10, 30, 100), ("GIN",), _CLOSED, CHEAP_NETWORKS))
    return tuple(found)


RECIPES: dict[str, Callable[[], AnyNetwork]] = {
    "additive": lambda: AdditiveRecipe(width=64, grain=0.1, learning_rate=3e-3),
    "GIN": lambda: GinRecipe(width=64, depth=2, learning_rate=3e-3),
}


@cache
def errors(task: int, method: str, count: int, seed: int) -> tuple[float, ...]:
    """Of each metric in percent: SMAPE of counts, the median of absolute errors of times."""
    it = tasks()[task]
    some, held = it.split(count, seed)
    kept, asked = it.expensive.take(some), it.expensive.take(held)
    found = _answered(it, method, kept, asked, count, seed)
    y, add = asked.measured, np.array([offset(name) for name in asked.metrics])
    each = np.where(add > 0, 2 * np.abs(found - y) / (np.abs(found) + np.abs(y) + 1), np.abs(found / np.maximum(y, 1e-12) - 1))
    return tuple(100 * float(np.mean(c) if a else np.median(c)) for c, a in zip(each.T, add, strict=True))


def _answered(it: Task, method: str, kept: Graphs, asked: Graphs, count: int, seed: int) -> np.ndarray:
    if method == "closed form":
        return levelled(replace(asked, measured=asked.closed_form), kept).measured if count else asked.closed_form
    if method == "ExtraTrees":
        return _forest(kept, asked)
    name, _, after = method.partition(", ")
    recipe = replace_steps(RECIPES[name](), count)
    loop = Loop(before=it.first(count, seed) if after else None)
    return predicted(ensemble(kept, recipe, seeds=(seed,), loop=loop), asked)


def replace_steps(recipe: AnyNetwork, count: int) -> AnyNetwork:
    """With as many steps for few labels as for many."""
    import msgspec

    return msgspec.structs.replace(recipe, epochs=EPOCHS, networks_per_step=max(2, count // STEPS))


def _forest(kept: Graphs, asked: Graphs) -> np.ndarray:
    """Trees over the closed form, on the mean features of the networks and all closed forms."""
    from sklearn.ensemble import ExtraTreesRegressor

    add = np.array([offset(name) for name in kept.metrics])

    def seen(graphs: Graphs) -> np.ndarray:
        return np.concatenate([summary(graphs, graphs.metrics[0]), np.log(graphs.closed_form + add + 1e-30)], axis=1)

    label = np.log((kept.measured + add) / (kept.closed_form + add))
    trees = ExtraTreesRegressor(100, random_state=0).fit(seen(kept), label)
    found = np.reshape(trees.predict(seen(asked)), (len(asked), len(add)))
    return (asked.closed_form + add) * np.exp(found) - add


def methods(task: int) -> tuple[str, ...]:
    """Columns of a task."""
    names = [name for model in tasks()[task].models for name in (model, f"{model}, cheap first")]
    return ("closed form", "ExtraTrees", *names)


def validation_rows() -> dict[str, np.ndarray]:
    """Designs after logic synthesis from thirty, by the additive network that learned C synthesis first; one seed."""
    it = tasks()[0]
    some, held = it.split(30, 0)
    kept, asked = it.expensive.take(some), it.expensive.take(held)
    found = _answered(it, "additive, cheap first", kept, asked, 30, 0)
    count = len(held) * len(SYNTHESIS)
    group = np.repeat(np.array(SYNTHESIS), len(held))
    flat = {"measured": asked.measured.T.ravel(), "predicted": found.T.ravel(), "roofline": asked.closed_form.T.ravel()}
    return {"device": np.full(count, "xcu250"), "group": group, **flat}


def text() -> str:
    """Tables in Markdown.

    Raises:
        DataMissing: the measurements are not there.
    """
    return "\n".join(line for task in range(len(tasks())) for line in _table(task))


def _table(task: int) -> Iterator[str]:
    it, names = tasks()[task], methods(task)
    yield f"## {it.title}"
    yield ""
    yield it.note
    yield ""
    yield f"| metric | labels | {' | '.join(names)} |"
    yield "|---|---:|" + "---:|" * len(names)
    for at, metric in enumerate(it.expensive.metrics):
        for count in it.counts:
            yield f"| {metric} | {count} | {' | '.join(_cell(task, name, count, at) for name in names)} |"
    yield ""


def _cell(task: int, method: str, count: int, at: int) -> str:
    found = [errors(task, method, count, seed)[at] for seed in SEEDS]
    return f"{np.mean(found):.1f} ± {np.std(found):.1f}"


_SYNTHESIS = (
    "SMAPE in percent (one more in the denominator) of two dense layers after logic synthesis, a quarter of the architectures left out; "
    "mean ± standard deviation of three splits and seeds. Cheap: 906 C-synthesis reports of one dense layer. The closed form is that of C "
    "synthesis, brought to the level of the expensive labels by one factor a metric; *ExtraTrees* learns measured over it."
)
_CLOSED = (
    "Median error in percent of image networks on an RTX 4090 (eager, nchw), a quarter of the architectures left out; three splits and "
    f"seeds. Cheap: closed forms of {CHEAP_NETWORKS} other networks."
)
