"""The folder that a generator writes."""

from __future__ import annotations

import shutil
from pathlib import Path

from hwsim import shelf
from hwsim.datasets.recipe import CARD, RECIPE
from hwsim.errors import HwsimError


def describe(out: Path, name: str) -> None:
    """Put the shelf's recipe and card of a generated set beside its rows, so that the folder is a data set."""
    try:
        folder = shelf.checkout("datasets") / name
    except HwsimError:
        return
    for file in (RECIPE, CARD):
        if (folder / file).is_file() and not (out / file).exists():
            out.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / file, out / file)
