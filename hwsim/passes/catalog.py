"""Passes by name: `rate-coded`, or `rate-coded?timesteps=32&max_pool=refuse` with options."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from hwsim import plugins, yaml12
from hwsim.errors import InputError, UnknownName
from hwsim.graph import Graph
from hwsim.passes import Pass

GROUP = "hwsim.passes"
"""Entry points: a name to a frozen dataclass whose fields are the options of the pass."""


def find(text: str) -> Pass:
    """The pass that a text names; options stand after a question mark, values are read as YAML.

    Raises:
        UnknownName: no such pass, or no such option.
        InputError: an option without a value, or with one that the pass refuses.

    >>> find("fold-batch-norm")
    FoldBatchNorm()
    """
    name, _, query = text.partition("?")
    points = plugins.available(GROUP)
    if name not in points:
        raise UnknownName("pass", name, points)
    made = plugins.load(GROUP, name)
    try:
        return made(**_options(name, query, [f.name for f in fields(made)]))
    except TypeError as error:
        raise InputError(f"pass {name!r}: {error}; expected options {', '.join(f.name for f in fields(made))}") from None


def _options(name: str, query: str, known: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in filter(None, query.split("&")):
        key, equals, value = item.partition("=")
        if not (equals and value):
            raise InputError(f"pass {name!r}: option {key!r} has no value; expected name=value joined by &")
        if key not in known:
            raise UnknownName(f"option of pass {name!r}:", key, known)
        found[key] = yaml12.loads(value)
    return found


def applied(graph: Graph, passes: Iterable[str | Pass]) -> Graph:
    """`graph` after each pass in order; text is looked up, anything else is called.

    Raises:
        UnknownName: no such pass or option.
        InputError: a pass refuses the network.
    """
    for one in passes:
        graph = (find(one) if isinstance(one, str) else one)(graph)
    return graph
