"""The JSON of an estimate, field by field; docs/json.md and docs/estimate.schema.json are made of these declarations.

Everything is in SI units: `_s` seconds, `_j` joules, `_w` watts, `_b` bytes, `_frac` shares from 0 to 1. A number that does
not exist (no capacity, no interval) is null.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

SCHEMA_ID = "https://hwsim.github.io/estimate.schema.json"


def _field(description: str) -> Any:
    return msgspec.Meta(description=description)


class IntervalDocument(msgspec.Struct, forbid_unknown_fields=True):
    """A calibrated range of a metric."""

    validated: Annotated[bool, _field("Whether there is a range; false means: not validated.")]
    low: Annotated[float | None, _field("Lower end.")]
    high: Annotated[float | None, _field("Upper end.")]
    level: Annotated[float, _field("Share of validation rows that such a range covers.")]
    domain: Annotated[str, _field("The validation whose residuals it comes from.")]
    median_ape: Annotated[float | None, _field("Median absolute relative error of that validation.")]


class ModelDocument(msgspec.Struct, forbid_unknown_fields=True):
    """The network as it was costed."""

    name: Annotated[str, _field("Name of the network.")]
    source: Annotated[str | None, _field("Where it came from.")]
    parameters: Annotated[int, _field("Trained numbers, shared ones once.")]
    weight_b: Annotated[float, _field("Bytes of parameters and constants in the formats of this estimate.")]
    macs: Annotated[int, _field("Multiply-accumulates of one inference of the batch.")]
    nodes: Annotated[int, _field("Operator applications.")]
    attrs: Annotated[dict[str, Any], _field("Facts about the network: batch, seq_len, options it was built with.")]


class TargetDocument(msgspec.Struct, forbid_unknown_fields=True):
    """The device."""

    name: Annotated[str, _field("Name of the device.")]
    family: Annotated[str, _field("Family of targets it belongs to.")]


class MemoryDocument(msgspec.Struct, forbid_unknown_fields=True):
    """Bytes needed and available."""

    weights_b: Annotated[float, _field("Parameters and constants.")]
    activations_b: Annotated[float, _field("Peak of live activations.")]
    state_b: Annotated[float, _field("KV cache and recurrent state.")]
    reserved_b: Annotated[float, _field("Runtime, context, allocator.")]
    total_b: Annotated[float, _field("All of it.")]
    capacity_b: Annotated[float | None, _field("What the device has.")]


class ResourceDocument(msgspec.Struct, forbid_unknown_fields=True):
    """One kind of resource."""

    used: Annotated[float, _field("Needed.")]
    available: Annotated[float | None, _field("What the device has.")]
    interval: Annotated[IntervalDocument, _field("Error bar of used.")]


class LayerDocument(msgspec.Struct, forbid_unknown_fields=True):
    """What one kernel costs over all its runs in one inference."""

    name: Annotated[str, _field("Name of the kernel.")]
    path: Annotated[str, _field("Module path in the source model.")]
    kind: Annotated[str, _field("Operator kind of its main node.")]
    nodes: Annotated[list[str], _field("Graph nodes that run in it, the main one first.")]
    latency_s: Annotated[float, _field("Time.")]
    latency_frac: Annotated[float, _field("Share of the summed kernel time.")]
    energy_j: Annotated[float, _field("Energy.")]
    parts_s: Annotated[dict[str, float], _field("Demand on each unit; parts may overlap and need not add up to latency_s.")]
    bound: Annotated[str, _field("What binds it.")]
    macs: Annotated[int, _field("Multiply-accumulates.")]
    ops: Annotated[int, _field("Other arithmetic.")]
    read_b: Annotated[float, _field("Bytes read.")]
    written_b: Annotated[float, _field("Bytes written.")]
    weight_b: Annotated[float, _field("Weights among the bytes read.")]
    resources: Annotated[dict[str, float], _field("What it takes of each resource, where layers have their own.")]
    extra: Annotated[dict[str, float | None], _field("Further facts of the family (FPGA: cycles, reuse_factor, multipliers ...).")]


class SourceDocument(msgspec.Struct, forbid_unknown_fields=True):
    """A constant that matters, and where it comes from."""

    value: Annotated[float | None, _field("In SI units.")]
    unit: Annotated[str, _field("Unit of value.")]
    status: Annotated[str, _field("measured, datasheet, published, fitted, assumed or given.")]
    source: Annotated[str, _field("Where it comes from.")]
    low: Annotated[float | None, _field("Lower end, where known.")]
    high: Annotated[float | None, _field("Upper end, where known.")]
    note: Annotated[str, _field("A remark.")]


class UnsupportedDocument(msgspec.Struct, forbid_unknown_fields=True):
    """An operator that was left out on request."""

    path: Annotated[str, _field("Module path.")]
    operator: Annotated[str, _field("Operator without a rule.")]


class ConventionDocument(msgspec.Struct, forbid_unknown_fields=True):
    """Energy by counting operations under a convention of the literature; no part of the energy of the device."""

    name: Annotated[str, _field("Name of the convention.")]
    summary: Annotated[str, _field("What it counts.")]
    source: Annotated[str, _field("Where it and its energies come from.")]
    constants_j: Annotated[dict[str, float], _field("Energies: multiply, add, mac, memory_per_b.")]
    timesteps: Annotated[int, _field("Timesteps of an inference.")]
    energy_j: Annotated[float, _field("One inference of the batch.")]
    memory_j: Annotated[float, _field("Part of energy_j that is memory.")]
    macs: Annotated[float, _field("Multiply-accumulates that are charged.")]
    acs: Annotated[float, _field("Accumulates on spikes that are charged.")]
    mean_rate: Annotated[float, _field("Firing rate over all operations on spikes.")]
    assumed_layers: Annotated[int, _field("Layers whose firing rate is the default.")]


class EstimateDocument(msgspec.Struct, forbid_unknown_fields=True):
    """Cost of one network on one device under one mapping."""

    schema_version: Annotated[int, _field("Version of this layout; grows with every change that is not an addition.")]
    hwsim_version: Annotated[str, _field("Version of hwsim that wrote it.")]
    model: Annotated[ModelDocument, _field("The network.")]
    target: Annotated[TargetDocument, _field("The device.")]
    mapping: Annotated[dict[str, Any], _field("How the network is run: options of the family.")]
    batch: Annotated[int, _field("Samples an inference.")]
    phase: Annotated[str | None, _field("prefill or decode of a network that generates tokens, else null.")]
    method: Annotated[str, _field("closed-form, or the surrogate that spoke (surrogate:NAME).")]
    latency_s: Annotated[float, _field("One inference of the batch.")]
    latency_interval: Annotated[IntervalDocument, _field("Error bar of latency_s.")]
    interval_s: Annotated[float, _field("Time between two batches in steady state.")]
    throughput_per_s: Annotated[float, _field("Samples a second in steady state.")]
    energy_j: Annotated[float, _field("One inference of the batch.")]
    energy_interval: Annotated[IntervalDocument, _field("Error bar of energy_j.")]
    energy_parts_j: Annotated[dict[str, float], _field("Parts of energy_j; they add up.")]
    power_w: Annotated[float, _field("Mean power over the inference.")]
    memory: Annotated[MemoryDocument, _field("Memory.")]
    resources: Annotated[dict[str, ResourceDocument], _field("Resources by name.")]
    fits: Annotated[bool, _field("Whether memory and every resource suffice.")]
    reasons: Annotated[list[str], _field("Why it does not fit.")]
    coverage_frac: Annotated[float, _field("Share of the nodes that have a rule.")]
    unsupported: Annotated[list[UnsupportedDocument], _field("What was left out.")]
    bound_frac: Annotated[dict[str, float], _field("Share of the summed kernel time by what binds it, largest first.")]
    extra: Annotated[dict[str, float | None], _field("Further totals of the family.")]
    layers: Annotated[list[LayerDocument], _field("Kernels in schedule order.")]
    sources: Annotated[dict[str, SourceDocument], _field("The constants that matter most.")]
    warnings: Annotated[list[str], _field("What to be careful about.")]
    conventions: Annotated[list[ConventionDocument], _field("Operation counts that were asked for, beside the energy of the device.")]
    decode: Annotated[EstimateDocument | None, _field("The decode step that belongs to this prefill.")]


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of an estimate."""
    body = msgspec.json.schema(EstimateDocument)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **body}
