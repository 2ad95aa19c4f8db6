"""Estimates as JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

import hwsim
from hwsim.estimate import NOT_VALIDATED, SCHEMA_VERSION, Interval, Layer, plain
from hwsim.report import document as doc

if TYPE_CHECKING:
    from hwsim.conventions import OperationEnergy
    from hwsim.cost import Memory, Resource
    from hwsim.estimate import Estimate
    from hwsim.graph import Graph


def estimate_dict(estimate: Estimate) -> dict[str, Any]:
    """The JSON object of an estimate, as docs/json.md describes it."""
    return msgspec.to_builtins(estimate_document(estimate))


def comparison_dict(estimates: Sequence[Estimate]) -> dict[str, Any]:
    """The JSON object of a comparison: `estimates` in the order in which they were asked for."""
    return {"schema_version": SCHEMA_VERSION, "estimates": [estimate_dict(e) for e in estimates]}


def estimate_document(estimate: Estimate) -> doc.EstimateDocument:
    """The declared form of an estimate."""
    e = estimate
    return doc.EstimateDocument(
        schema_version=SCHEMA_VERSION,
        hwsim_version=hwsim.__version__,
        model=_model(e.program.graph),
        target=doc.TargetDocument(e.target, e.program.family),
        mapping=plain(e.mapping),
        batch=e.batch,
        phase=e.phase,
        method=e.method,
        latency_s=e.latency_s,
        latency_interval=_interval(e.latency_interval),
        interval_s=float(e.cost.interval_s),
        throughput_per_s=e.throughput_per_s,
        energy_j=e.energy_j,
        energy_interval=_interval(e.energy_interval),
        energy_parts_j={name: float(value) for name, value in e.cost.energy_j.items()},
        power_w=e.power_w,
        memory=_memory(e.memory),
        resources={n: _resource(r, e.resource_intervals.get(n, NOT_VALIDATED)) for n, r in e.cost.resources.items()},
        fits=e.fits,
        reasons=list(e.reasons),
        coverage_frac=e.coverage_frac,
        unsupported=_unsupported(e.program.graph),
        bound_frac=e.bound_share(),
        extra={name: number(value) for name, value in e.cost.extra.items()},
        layers=_layers(e.layers),
        sources={name: source_document(q) for name, q in e.facts.items()},
        warnings=list(e.warnings),
        conventions=[_convention(c) for c in e.conventions],
        decode=None if e.decode is None else estimate_document(e.decode),
    )


def _convention(c: OperationEnergy) -> doc.ConventionDocument:
    return doc.ConventionDocument(
        name=c.convention.name,
        summary=c.convention.summary,
        source=c.convention.source,
        constants_j=dict(c.convention.constants_j),
        timesteps=c.timesteps,
        energy_j=float(c.energy_j),
        memory_j=float(c.memory_j),
        macs=float(c.macs),
        acs=float(c.acs),
        mean_rate=float(c.mean_rate),
        assumed_layers=c.assumed_count,
    )


def _model(graph: Graph) -> doc.ModelDocument:
    attrs = {name: json_value(value) for name, value in graph.attrs.items()}
    source = attrs.get("source")
    return doc.ModelDocument(
        graph.name, None if source is None else str(source), graph.parameters, graph.weight_b, graph.macs, len(graph.nodes), attrs
    )


def _interval(given: Interval) -> doc.IntervalDocument:
    return doc.IntervalDocument(given.validated, number(given.low), number(given.high), given.level, given.domain, number(given.median_ape))


def _resource(given: Resource, interval: Interval) -> doc.ResourceDocument:
    return doc.ResourceDocument(float(given.used), number(given.available), _interval(interval))


def _memory(m: Memory) -> doc.MemoryDocument:
    return doc.MemoryDocument(
        weights_b=float(m.weights_b),
        activations_b=float(m.activations_b),
        state_b=float(m.state_b),
        reserved_b=float(m.reserved_b),
        total_b=float(m.total_b),
        capacity_b=number(m.capacity_b),
    )


def _layers(layers: Sequence[Layer]) -> list[doc.LayerDocument]:
    total = sum(layer.latency_s for layer in layers) or 1.0
    return [_layer(layer, total) for layer in layers]


def _layer(layer: Layer, total_s: float) -> doc.LayerDocument:
    return doc.LayerDocument(
        name=layer.name,
        path=layer.path,
        kind=layer.kind,
        nodes=list(layer.nodes),
        latency_s=layer.latency_s,
        latency_frac=layer.latency_s / total_s,
        energy_j=layer.energy_j,
        parts_s=dict(layer.parts_s),
        bound=layer.bound,
        macs=int(layer.macs),
        ops=int(layer.ops),
        read_b=float(layer.read_b),
        written_b=float(layer.written_b),
        weight_b=float(layer.weight_b),
        resources=dict(layer.resources),
        extra={name: number(value) for name, value in layer.extra.items()},
    )


def source_document(q: Any) -> doc.SourceDocument:
    """The declared form of a quantity."""
    return doc.SourceDocument(number(q.value), q.unit, q.status, q.source, number(q.low), number(q.high), q.note)


def _unsupported(graph: Graph) -> list[doc.UnsupportedDocument]:
    return [doc.UnsupportedDocument(n.path or n.name, str(n.attrs.get("operator", "?"))) for n in graph.unsupported]


def number(value: Any) -> float | None:
    """`value` as a float; None where it is missing, infinite or no single number."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def json_value(value: Any) -> Any:
    """`value` in JSON's own types; what has none becomes text."""
    if isinstance(value, Mapping):
        return {str(k): json_value(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(v) for v in value]
    if isinstance(value, float):
        return number(value)
    return value if isinstance(value, str | int | bool | type(None)) else str(value)
