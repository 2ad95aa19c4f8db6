"""YAML as people expect it: 1.2 numbers, no surprises, no code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from hwsim.errors import InputError

MOST_BYTES = 4_000_000
MOST_LEVELS = 100
"""Nesting that is accepted; PyYAML's C composer overruns the stack on very deep documents."""
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):
    """Safe loader with the core schema of YAML 1.2 (`312e12` is a number, `no` a text), unique keys and no aliases."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own protocol


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int | float):
            raise yaml.MarkedYAMLError(problem=f"the key {key!r} is not a text", problem_mark=key_node.start_mark)
        if key in found:
            raise yaml.MarkedYAMLError(problem=f"the key {key!r} stands twice", problem_mark=key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?[0-9]+\Z"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"),
    list("-+0123456789."),
)
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))
_Loader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: float(re.sub(r"\.(?=[iInN])", "", node.value)))


def loads(text: str, *, where: str = "YAML text") -> Any:
    """Plain data from YAML text.

    >>> loads("{peak: 312e12, half: 1e-9, accepted: no}")
    {'peak': 312000000000000.0, 'half': 1e-09, 'accepted': 'no'}

    Raises:
        InputError: not YAML, too long, too deep, repeated keys, aliases or tags; says where.
    """
    if len(text) > MOST_BYTES:
        raise InputError(f"{where}: {len(text):,} characters; expected at most {MOST_BYTES:,}")
    try:
        _refuse(text)
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{where}{line}: {error.problem or 'not YAML'}") from None
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise InputError(f"{where}: not YAML ({type(error).__name__}: {str(error)[:120]})") from None


def _refuse(text: str) -> None:
    """Complain about aliases, tags and depth while nothing is built yet."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if problem := _problem(event, depth):
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)


def _problem(event: yaml.Event, depth: int) -> str | None:
    if isinstance(event, yaml.AliasEvent):
        return f"aliases (*{event.anchor}) are not accepted; write the value out"
    if tag := getattr(event, "tag", None):
        return f"the tag {tag!r} is not accepted; expected plain texts, numbers, lists and mappings"
    return f"more than {MOST_LEVELS} levels of nesting" if depth > MOST_LEVELS else None


def load(path: Path) -> Any:
    """Plain data from a YAML file.

    Raises:
        InputError: as `loads`, or the file cannot be read as text.
    """
    try:
        return loads(path.read_text(encoding="utf-8"), where=str(path))
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file; expected YAML in UTF-8") from None
