"""Pages of docs/ that are made of the code, and the examples on them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import click
import msgspec
import pytest

from hwsim.cli import cli, main
from hwsim.cli.status import ExitStatus
from hwsim.report import document

DOCS = Path(__file__).parent.parent / "docs"


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, groups before their members."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            member = command.get_command(context, name)
            assert member is not None
            yield from commands(member, f"{path} {name}")


def help_text(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name, terminal_width=100, max_content_width=100, help_option_names=["-h", "--help"])
    return command.get_help(context)


def test_cli_page_is_current(generated: Callable[[str, str, str], None]) -> None:
    rows = "".join(f"| {int(s)} | `{s.name}` | {s.meaning} |\n" for s in ExitStatus)
    generated("cli.md", "statuses", f"| Status | Name | Meaning |\n|---:|---|---|\n{rows}")
    texts = (f"## {name}\n\n```text\n{help_text(name, command)}\n```\n" for name, command in commands(cli, "hwsim"))
    generated("cli.md", "commands", "\n".join(texts))


@pytest.mark.parametrize(("name", "command"), list(commands(cli, "hwsim"))[1:], ids=lambda x: x if isinstance(x, str) else "")
def test_every_command_has_examples(name: str, command: click.Command) -> None:
    assert isinstance(command, click.Group) or name in (command.help or ""), "a command shows how it is called"


def struct_rows(struct: type[msgspec.Struct]) -> Iterator[str]:
    hints = get_type_hints(struct, include_extras=True)
    for name in struct.__struct_fields__:
        kind = struct.__annotations__[name].removeprefix("Annotated[").partition(", _field(")[0]
        yield f"| `{name}` | {shown(kind)} | {get_args(hints[name])[1].description} |\n"


def shown(kind: str) -> str:
    kind = kind.replace("None", "null").replace("Any", "any").replace("|", "or").replace("str", "text").replace("float", "number")
    kind = kind.replace("bool", "true/false").replace("int", "integer")
    kind = re.sub(r"dict\[text, (.*)\]", r"\1 by name", kind)
    kind = re.sub(r"list\[(.*)\]", r"list of \1", kind)
    return re.sub(r"(\w+)Document", lambda m: f"[{m[1].lower()}](#{m[1].lower()})", kind)


def test_json_page_is_current(generated: Callable[[str, str, str], None]) -> None:
    structs = [s for s in vars(document).values() if isinstance(s, type) and issubclass(s, msgspec.Struct)]
    parts = []
    for struct in sorted(structs, key=lambda s: s is not document.EstimateDocument):
        title = struct.__name__.removesuffix("Document").lower()
        parts.append(f"## {title}\n\n{struct.__doc__}\n\n| Field | Type | Meaning |\n|---|---|---|\n{''.join(struct_rows(struct))}")
    generated("json.md", "fields", "\n".join(parts))


def test_json_schema_is_current(request: pytest.FixtureRequest) -> None:
    path, text = DOCS / "estimate.schema.json", json.dumps(document.schema(), indent=2) + "\n"
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, "docs/estimate.schema.json is not current; run pytest --update-golden"


def yaml_blocks(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)


def test_device_of_extending_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my-gpu.yaml"
    path.write_text(yaml_blocks("extending.md")[0], encoding="utf-8")
    assert main(["targets", "check", str(path), "--json"]) == ExitStatus.OK
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["name"], found["family"]) == ("my-gpu", "gpu")
    assert {"sm_count", "dram_b_per_s"} <= set(found["assumed"])
    assert found["quantities"]["dram_b_per_s"]["value"] == 600e9
