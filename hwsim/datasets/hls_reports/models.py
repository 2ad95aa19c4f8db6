"""The networks of hls4ml projects, kept beside the rows of a data set."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from hwsim.errors import InputError

FIRST = ("keras_model.keras", "keras_model.h5", "keras_model.json", "model.onnx")
"""What hls4ml itself writes into a project, and what people put beside it; the first that is there is taken."""
ENDINGS = (".keras", ".h5", ".onnx")
"""Of other files, where a project has exactly one."""


def model_of(project: Path) -> Path | None:
    """The file of a project's network; None where there is none, or more than one."""
    named = next((project / name for name in FIRST if (project / name).is_file()), None)
    if named is not None:
        return named
    found = [path for path in sorted(project.glob("*")) if path.suffix.lower() in ENDINGS and path.is_file()]
    return found[0] if len(found) == 1 else None


def keep(designs: Iterable[str], folder: Path, where: Path) -> dict[str, str]:
    """Copy the networks of designs under `folder` to `where/models`; design to path from `where`, without those that have none.

    Raises:
        InputError: a file cannot be copied.
    """
    kept: dict[str, str] = {}
    for design in dict.fromkeys(designs):
        project = folder / design if (folder / design).is_dir() else folder
        model = model_of(project)
        if model is not None:
            kept[design] = f"models/{re.sub(r'[^A-Za-z0-9.-]+', '_', design)}{model.suffix}"
            try:
                (where / "models").mkdir(parents=True, exist_ok=True)
                shutil.copyfile(model, where / kept[design])
            except OSError as error:
                raise InputError(f"cannot copy {str(model)!r} to {str(where / kept[design])!r}: {error.strerror or error}") from None
    return kept
