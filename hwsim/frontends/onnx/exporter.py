"""What PyTorch's exporter left out of a file, as far as its notes in the nodes tell."""

from __future__ import annotations

from typing import Any

_RULES = "pkg.onnxscript.rewriter.rule_name"


def dropped(model: Any, *, parameters: int) -> dict[str, Any]:
    """`source_parameters` and a note for the graph's attributes; empty if nothing was left out.

    The exporter folds batch norms into convolutions and drops biases that are all zeros (as in an untrained network).
    """
    widths = {t.name: list(t.dims) for t in model.graph.initializer}
    norms = biases = lost = 0
    for node in model.graph.node:
        rules = next((e.value for e in node.metadata_props if e.key == _RULES), "")
        width = _width(node, widths)
        biased = len(node.input) > 2 and bool(node.input[2])
        if "FuseBatchNormInto" in rules:
            norms, lost = norms + 1, lost + width * (1 if biased else 2)
        elif "RemoveOptionalBias" in rules and not biased:
            biases, lost = biases + 1, lost + width
    if not lost:
        return {}
    note = f"the exporter folded {norms} batch norm(s) and dropped {biases} zero bias(es): the source model has {lost:,} parameters more"
    return {"source_parameters": parameters + lost, "notes": (note,)}


def _width(node: Any, widths: dict[str, list[int]]) -> int:
    """Channels of the result of a convolution or Gemm."""
    dims = widths.get(node.input[1], []) if len(node.input) > 1 else []
    if len(dims) < 2:
        return 0
    integers = {a.name: a.i for a in node.attribute if a.type == 2}
    if node.op_type == "Gemm":
        return dims[0] if integers.get("transB") else dims[1]
    return dims[1] * integers.get("group", 1) if node.op_type == "ConvTranspose" else dims[0]
