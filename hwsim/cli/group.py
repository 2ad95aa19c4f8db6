"""The group `hwsim`; a command's module is imported when the command runs, not before."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True)
class Lazy:
    """Where a command stands, and its line in the list of commands (a test holds it to the command's own)."""

    reference: str
    """`module:object`."""
    summary: str

    def load(self) -> click.Command:
        """Import the module."""
        module, _, name = self.reference.partition(":")
        return getattr(importlib.import_module(module), name)


class LazyGroup(click.Group):
    """A group whose commands are imported when they are needed; a misspelt one is answered with the nearest."""

    def __init__(self, *args: object, lazy: Mapping[str, Lazy] | None = None, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # pyright: ignore[reportArgumentType]
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order of the table."""
        return [*self.lazy, *sorted(self.commands)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported, or None."""
        found = self.lazy.get(cmd_name)
        return found.load() if found else super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click, with a hint where there is no such command."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            ctx.fail(no_such_command(args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without an import."""
        rows = [(name, found.summary) for name, found in self.lazy.items()]
        rows += [(name, command.get_short_help_str(100)) for name, command in sorted(self.commands.items())]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def no_such_command(name: str, known: list[str]) -> str:
    """What to tell someone who typed `name`."""
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"Known: {', '.join(known)}."
    return f"no such command {name!r}. {hint}"


COMMANDS = {
    "estimate": Lazy("hwsim.cli.estimate:estimate", "Latency, energy and memory of one network on one device."),
    "compare": Lazy("hwsim.cli.compare:compare", "One network on several devices, side by side."),
    "sweep": Lazy("hwsim.cli.sweep:sweep", "Many design points: the best, the Pareto front, and why the others fail."),
    "simulate": Lazy("hwsim.cli.simulate:simulate", "Error of each convolution of a network on an optical bench."),
    "search": Lazy("hwsim.cli.search:search", "Good designs where a grid is too large, or where networks are built or trained."),
    "operations": Lazy("hwsim.cli.operations:operations", "Energy by counting operations, under the conventions of papers."),
    "targets": Lazy("hwsim.cli.targets:targets", "Known devices: list them, show one, check a device file."),
    "models": Lazy("hwsim.cli.models:models", "Known networks: list them, show one."),
    "datasets": Lazy("hwsim.cli.datasets:datasets", "Data sets: list, show, check and build them."),
    "train": Lazy("hwsim.cli.train:train", "Train a surrogate from a recipe, or from measurements alone."),
    "surrogates": Lazy("hwsim.cli.surrogates:surrogates", "Trained surrogates: list them, show, evaluate and export one."),
    "validate": Lazy("hwsim.cli.validate:validate", "Recompute the error tables from measured data."),
    "calibrate": Lazy("hwsim.cli.calibrate:calibrate", "Fit the constants of a family anew."),
    "completion": Lazy("hwsim.cli.completion:completion", "Print the completion script of a shell."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="hwsim", message="hwsim %(version)s")
def cli() -> None:
    """What will this network cost on that hardware?

    \b
    Examples:
      hwsim estimate resnet50 --on a100-sxm-80gb --batch 8
      hwsim compare resnet50 --on a100-sxm-80gb --on l4
      hwsim targets list
    """
