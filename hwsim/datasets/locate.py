"""Where measured data lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hwsim.errors import DataMissing, MissingExtra


def data_path(*parts: str) -> Path:
    """A file or folder under the data folder (`HWSIM_DATA`, else `../shared/data` beside the checkout).

    Raises:
        DataMissing: it is not there.
    """
    root = Path(os.environ.get("HWSIM_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))
    path = root.joinpath(*parts)
    if not path.exists():
        raise DataMissing(f"no measured data at {str(path)!r}; set HWSIM_DATA to the folder that holds {parts[0]!r}/")
    return path


def pandas() -> Any:
    """The pandas module.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise MissingExtra("pandas", "data") from None
    return pandas
