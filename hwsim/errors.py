"""The one tree of errors. A message says what was found, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HwsimError(Exception):
    """Base of every error that hwsim raises on purpose."""


class InputError(HwsimError):
    """A model, a YAML file, an option or a value that cannot be used as given."""


class GraphError(InputError):
    """A graph that breaks a rule: undefined tensor, cycle, shape that does not follow from its operator."""


class UnsupportedOp(InputError):
    """Operators without a rule; `.operators` lists `(path, operator)`."""

    def __init__(self, operators: Iterable[tuple[str, str]], *, where: str) -> None:
        self.operators = tuple(operators)
        listing = "\n".join(f"  {path}: {operator}" for path, operator in self.operators)
        super().__init__(
            f"{where}: {len(self.operators)} node(s) use operators without a rule:\n{listing}\n"
            "Add a rule (see docs/extending.md, 'A new operator'), or pass --allow-unsupported "
            "(allow_unsupported=True) to leave them out of the cost and show the coverage."
        )


class UnknownName(InputError):
    """A name that is on no list; the message suggests the nearest ones."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"Known: {', '.join(known) or 'none'}."
        super().__init__(f"unknown {what} {name!r}. {hint}")
        self.name, self.near = name, near


class DoesNotFit(HwsimError):
    """The network needs more than the device has (raised only where the caller insists that it fits)."""


class DataMissing(HwsimError):
    """Measured data that a validation or calibration needs is not present."""


class MissingExtra(HwsimError):
    """An optional library is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"this needs {library!r}, which is not installed. Run: pip install 'hwsim[{extra}]'")


class PluginClash(HwsimError):
    """Two distributions register one name."""
