"""`hwsim models`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from hwsim.cli import output
from hwsim.cli.group import LazyGroup

OTHERS = (
    ("timm:NAME", "any architecture of timm (timm:resnet50); needs hwsim[torch]"),
    ("torchvision:NAME", "classifiers, segmentation and video models of torchvision (torchvision:r3d_18); needs hwsim[torch]"),
    ("hf:NAME", "any model of the Hugging Face Hub, or hf:LlamaConfig?hidden_size=2048; needs hwsim[torch]"),
    ("FILE.onnx", "an ONNX file, QONNX included; needs hwsim[onnx]"),
    ("FILE.keras", "a Keras or QKeras model, also .h5 and .json (architecture); needs hwsim[keras] for .h5 and for weights"),
    ("FILE.jsonl", "records of the wa-hls4ml benchmark, also .json"),
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
    from hwsim import zoo

    rows = [{"name": m.name, "family": m.family, "summary": m.summary} for m in map(zoo.info, zoo.names())]
    if as_json:
        return output.show_json({"zoo": rows, "others": dict(OTHERS)})
    from hwsim.report.tables import listing

    output.show(listing(("Zoo", "Family", ""), [tuple(r.values()) for r in rows]), "", listing(("Also", ""), OTHERS))
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

    facts = _facts(api.load(name, batch=batch, seq_len=seq_len), *_zoo_entry(name))
    if as_json:
        return output.show_json(facts)
    from hwsim.report.tables import listing

    rows = [(key, f"{value:,}" if isinstance(value, int) else _text(value)) for key, value in facts.items() if value not in (None, {}, [])]
    output.show(listing(("", name), rows))
    return None


def _facts(graph: Any, options: Mapping[str, Any], summary: str | None) -> dict[str, Any]:
    from hwsim.report.json import json_value

    attrs = dict(graph.attrs)
    return json_value(
        {
            "name": graph.name,
            "summary": summary,
            "source": attrs.pop("source", None),
            "parameters": graph.parameters,
            "macs": graph.macs,
            "nodes": len(graph.nodes),
            "weight_b": graph.weight_b,
            "inputs": {n: f"{graph.tensors[n].shape} {graph.tensors[n].dtype}" for n in graph.inputs},
            "outputs": {n: f"{graph.tensors[n].shape} {graph.tensors[n].dtype}" for n in graph.outputs},
            "facts": attrs,
            "options": options,
        }
    )


def _zoo_entry(name: str) -> tuple[dict[str, Any], str | None]:
    """Options and summary of a network of the zoo; nothing for others."""
    from hwsim import zoo

    plain = name.removeprefix("zoo:").partition("?")[0]
    if plain not in zoo.names():
        return {}, None
    found = zoo.info(plain)
    return found.options, f"{found.summary} ({found.source})"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return f"{value:,.0f}" if isinstance(value, float) else str(value)
