"""The command `hwsim`: a lazy click group, one file a command."""

from __future__ import annotations

from hwsim.cli.group import cli
from hwsim.cli.run import main

__all__ = ["cli", "main"]
