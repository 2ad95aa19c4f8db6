"""Where results go: the terminal, standard output as JSON, files."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwsim.errors import InputError

if TYPE_CHECKING:
    from hwsim.estimate import Estimate


def show(*renderables: Any) -> None:
    """Print for people: colours on a terminal only, 80 columns where the width is unknown, `?` for what the encoding lacks."""
    from rich.console import Console

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False)
    for item in renderables:
        console.print(item)


def show_json(value: Any) -> None:
    """Print strict JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def write(path: Path, text: str, *, quiet: bool = False) -> None:
    """Write a file and say so on stderr.

    Raises:
        InputError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror}") from None
    if not quiet:
        click.echo(f"wrote {path}", err=True)


def misfit(estimates: Sequence[Estimate]) -> str:
    """Why the networks do not fit, one sentence an estimate; empty where all fit."""
    from hwsim.report.text import misfits

    return "; ".join(f"{e.model} does not fit on {e.target}: {'; '.join(misfits(e))}" for e in estimates if misfits(e))


def check_fit(estimates: Sequence[Estimate]) -> None:
    """What `--must-fit` asks for.

    Raises:
        DoesNotFit: one of them does not.
    """
    from hwsim.errors import DoesNotFit

    if reason := misfit(estimates):
        raise DoesNotFit(reason)
