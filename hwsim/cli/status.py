"""Exit statuses of the command `hwsim`."""

from __future__ import annotations

from enum import IntEnum

from hwsim import errors


class ExitStatus(IntEnum):
    """What the shell sees; the table in docs/cli.md is made of `meaning`."""

    OK = 0
    ERROR = 1
    USAGE = 2
    BAD_INPUT = 3
    DOES_NOT_FIT = 4
    UNSUPPORTED = 5
    NO_DATA = 6
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """One line for people."""
        return _MEANING[self]


_MEANING = {
    ExitStatus.OK: "all went well",
    ExitStatus.ERROR: "an unexpected failure, a missing optional library or a clash of plugins",
    ExitStatus.USAGE: "a command, option or argument that does not exist or cannot be read",
    ExitStatus.BAD_INPUT: "a model, device, option value or file that cannot be used as given",
    ExitStatus.DOES_NOT_FIT: "the network does not fit and `--must-fit` was given (the report is printed all the same)",
    ExitStatus.UNSUPPORTED: "the network uses operators without a rule",
    ExitStatus.NO_DATA: "measured data that the command needs is not present",
    ExitStatus.INTERRUPTED: "interrupted from the keyboard",
}
_BY_ERROR: tuple[tuple[type[BaseException], ExitStatus], ...] = (
    (errors.UnsupportedOp, ExitStatus.UNSUPPORTED),
    (errors.InputError, ExitStatus.BAD_INPUT),
    (errors.DoesNotFit, ExitStatus.DOES_NOT_FIT),
    (errors.DataMissing, ExitStatus.NO_DATA),
    (KeyboardInterrupt, ExitStatus.INTERRUPTED),
)


def status_of(error: BaseException) -> ExitStatus:
    """The exit status that an error ends with."""
    return next((status for kind, status in _BY_ERROR if isinstance(error, kind)), ExitStatus.ERROR)
