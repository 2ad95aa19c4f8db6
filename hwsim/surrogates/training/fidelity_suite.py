"""What many cheap labels do for few expensive ones: estimates of C synthesis, or closed forms, before logic synthesis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import msgspec
import numpy as np

from hwsim.surrogates.graphs import Graphs, concatenated
from hwsim.surrogates.metrics import offset
from hwsim.surrogates.networks import predicted
from hwsim.surrogates.networks.recipes import AdditiveRecipe, AnyNetwork, GinRecipe
from hwsim.surrogates.residual import summary
from hwsim.surrogates.training import fpga
from hwsim.surrogates.training.fidelity import Before, Cheap, before, levelled
from hwsim.surrogates.training.left_out import Loop, ensemble

SEEDS = (0, 1, 2)
COUNTS = (10, 30, 100, 200)
"""Expensive labels."""
HELD = 0.25
"""Share of the architectures that judge."""
STEPS, EPOCHS = 4, 100
"""Steps an epoch and epochs on expensive labels, however many there are."""
METRICS = ("lut", "ff", "bram18")
RECIPES: dict[str, Callable[[], AnyNetwork]] = {
    "additive": lambda: AdditiveRecipe(width=64, grain=0.1),
    "GIN": lambda: GinRecipe(width=64, depth=2),
}
FIRST = {"C synthesis first": Cheap(data="dense1"), "closed form first": Cheap(labels="closed-form")}
METHODS = ("closed form", "ExtraTrees", "additive", "additive, C synthesis first", "GIN", *(f"GIN, {name}" for name in FIRST))


@cache
def designs() -> tuple[Graphs, Graphs]:
    """(one dense layer after C synthesis, two after logic synthesis), with closed forms of C synthesis.

    Raises:
        DataMissing: the reports are not there.
    """
    one = fpga.graphs(fpga.training_set("dense1").designs)
    two = fpga.graphs([fpga.lowered(replace(d.design, stage="csynth")) for d in fpga.training_set("dense2").designs])
    return one.only(METRICS), two.only(METRICS)


def split(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(designs with expensive labels, designs that judge), which share no architecture."""
    names, draw = designs()[1].labels["architecture"], np.random.default_rng(seed)
    known = draw.permutation(np.unique(names))
    held = np.isin(names, known[: round(HELD * len(known))])
    return draw.permutation(np.flatnonzero(~held))[:count], np.flatnonzero(held)


def first(cheap: Cheap, held: np.ndarray) -> Before:
    """Cheap labels: reports of one layer, or closed forms of both sets without the designs that judge."""
    one, two = designs()
    if cheap.labels == "measured":
        return before(cheap, one, two, by="architecture")
    others = np.setdiff1d(np.arange(len(two)), held)
    return before(cheap, concatenated([one, two.take(others)]), two, by="architecture")


@cache
def errors(method: str, count: int, seed: int) -> tuple[float, ...]:
    """SMAPE in percent of each metric on the designs that judge."""
    two, (some, held) = designs()[1], split(count, seed)
    kept, asked = two.take(some), two.take(held)
    found, y = answered(method, kept, asked, held=held, seed=seed), asked.measured
    return tuple(100 * float(v) for v in np.mean(2 * np.abs(found - y) / (np.abs(found) + np.abs(y) + 1), axis=0))


def answered(method: str, kept: Graphs, asked: Graphs, *, held: np.ndarray, seed: int) -> np.ndarray:
    """Values of designs by a method that learned from the kept ones."""
    if method == "closed form":
        return levelled(replace(asked, measured=asked.closed_form), kept).measured
    if method == "ExtraTrees":
        return _forest(kept, asked)
    name, _, after = method.partition(", ")
    recipe = msgspec.structs.replace(RECIPES[name](), epochs=EPOCHS, networks_per_step=max(2, len(kept) // STEPS))
    loop = Loop(before=first(FIRST[after], held) if after else None)
    return predicted(ensemble(kept, recipe, seeds=(seed,), loop=loop), asked)


def _forest(kept: Graphs, asked: Graphs) -> np.ndarray:
    """Trees over the closed form, on the mean features of the designs and all closed forms."""
    from sklearn.ensemble import ExtraTreesRegressor

    add = np.array([offset(name) for name in kept.metrics])

    def seen(graphs: Graphs) -> np.ndarray:
        return np.concatenate([summary(graphs, graphs.metrics[0]), np.log(graphs.closed_form + add)], axis=1)

    label = np.log((kept.measured + add) / (kept.closed_form + add))
    trees = ExtraTreesRegressor(100, random_state=0).fit(seen(kept), label)
    return (asked.closed_form + add) * np.exp(trees.predict(seen(asked))) - add


def validation_rows() -> dict[str, np.ndarray]:
    """Designs after logic synthesis from thirty, by the additive network that learned C synthesis first; one seed."""
    two, (some, held) = designs()[1], split(30, 0)
    kept, asked = two.take(some), two.take(held)
    found = answered("additive, C synthesis first", kept, asked, held=held, seed=0)
    columns = {"measured": asked.measured.T.ravel(), "predicted": found.T.ravel(), "roofline": asked.closed_form.T.ravel()}
    return {"device": np.full(len(held) * len(METRICS), "xcu250"), "group": np.repeat(np.array(METRICS), len(held)), **columns}


def text() -> str:
    """Table in Markdown.

    Raises:
        DataMissing: the reports are not there.
    """
    return "\n".join(_table())


def _table() -> Iterator[str]:
    yield "## Error by number of expensive labels"
    yield ""
    yield _NOTE
    yield ""
    yield f"| metric | labels | {' | '.join(METHODS)} |"
    yield "|---|---:|" + "---:|" * len(METHODS)
    for at, metric in enumerate(METRICS):
        for count in COUNTS:
            yield f"| {metric} | {count} | {' | '.join(_cell(name, count, at) for name in METHODS)} |"
    yield ""


def _cell(method: str, count: int, at: int) -> str:
    found = [errors(method, count, seed)[at] for seed in SEEDS]
    return f"{np.mean(found):.1f} ± {np.std(found):.1f}"


_NOTE = (
    "SMAPE in percent (one more in the denominator) of two dense layers after logic synthesis, a quarter of the architectures left out; "
    "mean ± standard deviation of three splits and seeds. *C synthesis first*: networks learn 906 reports of one dense layer before; "
    "*closed form first*: the closed forms of these and of all other designs of two layers. The closed form itself is that of C "
    "synthesis, brought to the level of the expensive labels by one factor a metric; *ExtraTrees* learns measured over it, and factors of "
    "the additive network start from it."
)
