"""One ONNX model -> one Graph: read, bind, import, tidy, fold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwsim.errors import HwsimError, InputError
from hwsim.frontends.onnx import reading
from hwsim.frontends.onnx.binding import SEQUENCE, Signature, signature
from hwsim.frontends.onnx.context import Importer
from hwsim.frontends.onnx.exporter import dropped
from hwsim.frontends.onnx.patterns import fold
from hwsim.frontends.onnx.quantizers import merged
from hwsim.frontends.onnx.rules import RULES
from hwsim.frontends.onnx.stored import Stored
from hwsim.frontends.onnx.tidy import tidy
from hwsim.graph import Graph


def load(source: Any, *, batch: int | None, seq_len: int | None, dims: Mapping[str, int], allow_unsupported: bool) -> Graph:
    """The graph of a path or ModelProto; see `OnnxFrontend.load`."""
    model, where, directory = _model(source)
    model = _inlined(model, where=where)
    stored = {t.name for t in model.graph.initializer}
    declared = signature([v for v in model.graph.input if v.name not in stored], where=where)
    shapes, symbols = declared.bind(batch=batch, seq_len=seq_len, dims=dims)
    importer = Importer(
        model,
        rules=RULES,
        where=where,
        allow_unsupported=allow_unsupported,
        stored=Stored(directory=directory, where=where, file=None if directory is None else Path(where)),
        name=Path(where).stem or "onnx",
    )
    outputs = importer.run(shapes, symbols)
    importer.builder.attrs = _facts(where, declared, shapes, symbols, seq_len=seq_len)
    tidy(importer.builder, outputs)
    graph = merged(fold(importer.builder.finish(outputs)), scaled=importer.origins.scales)
    attrs = {**graph.attrs, **dropped(model, parameters=graph.parameters), **importer.origins.facts(graph.tensors)}
    return verified(graph.replace(attrs=attrs, values=importer.origins.values(graph.tensors)), where=where)


def verified(graph: Graph, *, where: str) -> Graph:
    """`graph`, after its work was counted.

    Raises:
        InputError: attributes that make no sense show only then.
    """
    for node in graph.nodes:
        try:
            node.op.work(graph.operands(node.inputs), graph.operands(node.outputs), node.attrs)
        except (HwsimError, LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            raise InputError(f"{where}: node {node.name!r} ({node.kind}) has attributes that do not fit: {error}") from None
    return graph


def _model(source: Any) -> tuple[Any, str, Path | None]:
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        return reading.read(path), str(path), path.parent
    where = source.graph.name or "ONNX model"
    reading.check_opset(source, where=where)
    return source, where, None


def _inlined(model: Any, *, where: str) -> Any:
    """The model with its own functions written out."""
    if not model.functions:
        return model
    from onnx import inliner

    try:
        return inliner.inline_local_functions(model)
    except Exception as error:
        raise InputError(f"{where}: its functions cannot be written out ({str(error)[:100]})") from None


def _facts(
    where: str, declared: Signature, shapes: Mapping[str, Any], symbols: Mapping[str, int], *, seq_len: int | None
) -> dict[str, Any]:
    """Source, batch (first axis of the first input) and length, where there is one."""
    facts: dict[str, Any] = {"source": where, "frontend": "onnx"}
    first = next((s for s in shapes.values() if len(s) > 1), next(iter(shapes.values()), ()))
    if first:
        facts["batch"] = first[0]
    named = [v for name, v in symbols.items() if name.lower() in SEQUENCE]
    if seq_len is not None or named:
        facts["seq_len"] = seq_len if seq_len is not None else named[0]
    if symbols:
        facts["dims"] = dict(symbols)
    return facts
