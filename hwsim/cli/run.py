"""Entry of the console script: run the group, turn errors into a line and an exit status."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from hwsim.cli.group import cli
from hwsim.cli.status import ExitStatus, status_of
from hwsim.errors import HwsimError


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    Errors are a line on stderr; with HWSIM_DEBUG=1 in the environment the traceback is shown, too. A reader that leaves
    (`| head`) is no error: click ends the process quietly.
    """
    try:
        return _status(cli.main(args, prog_name="hwsim", standalone_mode=False))
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", ExitStatus.INTERRUPTED)
    except click.UsageError as error:
        return _fail(_usage(error), ExitStatus.USAGE)
    except click.ClickException as error:
        return _fail(error.format_message(), ExitStatus.BAD_INPUT)
    except HwsimError as error:
        _debug()
        return _fail(str(error), status_of(error))
    except Exception as error:
        _debug()
        return _fail(_unexpected(error), ExitStatus.ERROR)


def _status(returned: object) -> int:
    return int(returned) if isinstance(returned, int) else int(ExitStatus.OK)


def _debug() -> None:
    if os.environ.get("HWSIM_DEBUG", "0") not in ("", "0"):
        import traceback

        traceback.print_exc()


def _fail(message: str, status: ExitStatus) -> int:
    click.echo(f"error: {message}", err=True)
    return int(status)


def _usage(error: click.UsageError) -> str:
    hint = f"\nTry '{error.ctx.command_path} --help'." if error.ctx else ""
    return f"{error.format_message()}{hint}"


def _unexpected(error: Exception) -> str:
    return f"{type(error).__name__}: {error}\nThis is a fault of hwsim; HWSIM_DEBUG=1 shows where it happened."
