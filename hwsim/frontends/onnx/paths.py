"""Module paths of ONNX nodes."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

_SCOPES, _RULES = "pkg.torch.onnx.name_scopes", "pkg.onnxscript.rewriter.rule_name"


def module_path(node: Any, weights: Sequence[str] = ()) -> str:
    """The module that `node` comes from, as `layer1.0.conv1`.

    From PyTorch's metadata, else from a node name such as `/layer1/layer1.0/conv1/Conv`, else from the name of its weight, else
    the node's name.
    """
    notes = {e.key: e.value for e in node.metadata_props if e.key in (_SCOPES, _RULES)}
    dotted = [name for name in weights if "." in name and not name.startswith("onnx::")]
    if dotted and "FuseBatchNorm" in notes.get(_RULES, ""):
        return dotted[0].rpartition(".")[0]
    if (path := _from_scopes(notes.get(_SCOPES, ""))) is not None:
        return path
    if "/" in node.name:
        return _from_name(node.name)
    return dotted[0].rpartition(".")[0] if dotted else node.name


def _from_scopes(text: str) -> str | None:
    try:
        scopes = ast.literal_eval(text) if len(text) < 10_000 else None
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    if not isinstance(scopes, list) or not all(isinstance(s, str) for s in scopes):
        return None
    return scopes[-2] if len(scopes) > 1 and not scopes[-2].startswith("_empty_nn_module") else ""


def _from_name(name: str) -> str:
    """`/layer1/layer1.0/conv1/Conv` -> `layer1.0.conv1`: a part that repeats the one before it extends it."""
    parts: list[str] = []
    for part in name.strip("/").split("/")[:-1]:
        if parts and part.startswith(f"{parts[-1]}."):
            parts[-1] = part
        elif part:
            parts.append(part)
    return ".".join(parts)
