"""`hwsim completion`."""

from __future__ import annotations

import click

from hwsim.errors import InputError

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS), default="bash")
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Examples:
      hwsim completion bash > ~/.local/share/bash-completion/completions/hwsim
      hwsim completion zsh > ~/.zfunc/_hwsim
      hwsim completion fish > ~/.config/fish/completions/hwsim.fish
    """
    from click.shell_completion import get_completion_class

    from hwsim.cli.group import cli

    found = get_completion_class(shell)
    if found is None:
        raise InputError(f"click has no completion for {shell!r}; expected one of {', '.join(SHELLS)}")
    click.echo(found(cli, {}, "hwsim", "_HWSIM_COMPLETE").source())
