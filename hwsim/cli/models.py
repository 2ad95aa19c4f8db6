"""`hwsim models`."""

from __future__ import annotations

from typing import Any

import click

from hwsim.cli import output
from hwsim.cli.group import LazyGroup

OTHERS = (
    ("timm:NAME", "any architecture of timm (timm:resnet50); needs hwsim[torch]"),
    ("hf:NAME", "any model of the Hugging Face Hub, or hf:LlamaConfig?hidden_size=2048; needs hwsim[torch]"),
    ("FILE.onnx", "an ONNX file; needs hwsim[onnx]"),
    ("FILE.yaml", "a graph written by hand (docs/extending.md)"),
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@click.group(cls=LazyGroup)
def models() -> None:
    """Known networks: list them, show one."""


@models.command("list")
@_JSON
def list_(as_json: bool) -> None:
    """List the networks of the zoo, and what else is read.

    \b
    Examples:
      hwsim models list
    """
    from hwsim import plugins

    names = sorted(plugins.load("hwsim.frontends", "zoo").names())
    if as_json:
        return output.show_json({"zoo": names, "others": dict(OTHERS)})
    from rich.columns import Columns
    from rich.text import Text

    from hwsim.report.tables import listing

    output.show(Columns([Text(n) for n in names], column_first=True, padding=(0, 2)), "", listing(("Also", ""), OTHERS))
    return None


@models.command()
@click.argument("name")
@click.option("--batch", type=click.IntRange(min=1), help="Samples an inference.")
@click.option("--seq-len", type=click.IntRange(min=1), help="Tokens a sample, where the network takes a sequence.")
@_JSON
def show(name: str, as_json: bool, batch: int | None, seq_len: int | None) -> None:
    """Parameters, multiply-accumulates, options and source of a network.

    \b
    Examples:
      hwsim models show resnet50
      hwsim models show net.onnx --batch 1 --json
    """
    from hwsim import api

    facts = _facts(api.load(name, batch=batch, seq_len=seq_len))
    if as_json:
        return output.show_json(facts)
    from hwsim.report.tables import listing

    rows = [(key, f"{value:,}" if isinstance(value, int) else _text(value)) for key, value in facts.items() if value not in (None, {}, [])]
    output.show(listing(("", name), rows))
    return None


def _facts(graph: Any) -> dict[str, Any]:
    from hwsim.report.json import json_value

    attrs = dict(graph.attrs)
    return json_value(
        {
            "name": graph.name,
            "source": attrs.pop("source", None),
            "parameters": graph.parameters,
            "macs": graph.macs,
            "nodes": len(graph.nodes),
            "weight_b": graph.weight_b,
            "inputs": {n: f"{graph.tensors[n].shape} {graph.tensors[n].dtype}" for n in graph.inputs},
            "outputs": {n: f"{graph.tensors[n].shape} {graph.tensors[n].dtype}" for n in graph.outputs},
            "options": attrs,
        }
    )


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return f"{value:,.0f}" if isinstance(value, float) else str(value)
