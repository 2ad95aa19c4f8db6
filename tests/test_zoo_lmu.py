"""LMUFormer: parameters and operations of its public code, the memory in both modes, one sample at a time."""

from __future__ import annotations

import pytest

import hwsim
from hwsim import ops
from hwsim.conventions import convention, operation_energy
from hwsim.dtypes import dtype
from hwsim.errors import GraphError, UnknownName
from hwsim.ops import Operand


@pytest.mark.parametrize(
    ("name", "parameters", "macs"), [("lmuformer", 1_621_796, 206_700_544), ("spiking_lmuformer", 1_689_894, 215_089_152)]
)
def test_published_sizes(name: str, parameters: int, macs: int) -> None:
    """1.62 and 1.69 M parameters, 0.207 and 0.215 G multiply-accumulates without the transforms (arXiv:2402.04882 and its code)."""
    graph = hwsim.load(name)
    assert (graph.parameters, graph.macs) == (parameters, macs)


def test_memory_costs_as_its_formulas_say() -> None:
    signal, made = Operand((2, 3, 8), dtype("fp32")), Operand((2, 12, 8), dtype("fp32"))
    op = ops.get("lmu_memory")
    sequential = op.work([signal], [made], op.complete({"size": 4, "mode": "sequential"}))
    assert (sequential.macs, sequential.state_b) == (8 * 2 * 3 * (4 * 4 + 4), 2 * 12 * 4)
    parallel = op.work([signal], [made], op.complete({"size": 4}))
    assert (parallel.macs, parallel.ops) == (0, int(2.5 * 4 * 16 * (6 + 24)) + 6 * 24 * 9)


def test_wrong_memories_are_refused() -> None:
    op = ops.get("lmu_memory")
    with pytest.raises(UnknownName, match="mode of lmu_memory: 'serial'"):
        op.shapes([(1, 1, 8)], op.complete({"size": 4, "mode": "serial"}))
    with pytest.raises(GraphError, match=r"lmu_memory: input \(1, 8\); expected \(batch, signals, samples\)"):
        op.shapes([(1, 8)], op.complete({"size": 4}))
    with pytest.raises(UnknownName, match="memory of lmuformer: 'serial'"):
        hwsim.load("lmuformer", memory="serial")


def test_a_stream_costs_one_sample() -> None:
    whole, sample = hwsim.load("lmuformer", memory="sequential"), hwsim.load("lmuformer", seq_len=1)
    assert next(n for n in sample.nodes if n.kind == "lmu_memory").attrs["mode"] == "sequential"
    assert whole.macs == 128 * sample.macs
    found = hwsim.estimate("lmuformer", "a100-sxm-80gb")
    assert found.decode is not None
    assert 0 < found.decode.latency_s <= found.latency_s


@pytest.mark.parametrize("memory", ["parallel", "sequential"])
def test_the_memory_is_never_free_on_a_gpu(memory: str) -> None:
    found = hwsim.estimate("lmuformer", "a100-sxm-80gb", batch=64) if memory == "parallel" else None
    found = found or hwsim.estimate(hwsim.load("lmuformer", memory=memory, batch=64), "a100-sxm-80gb")
    assert sum(layer.latency_s for layer in found.layers if layer.kind == "lmu_memory") > 1e-6


def test_only_the_memory_and_the_first_layer_multiply_in_the_spiking_network() -> None:
    found = operation_energy(hwsim.load("spiking_lmuformer"), convention=convention("strict-binary"))
    assert {layer.path for layer in found.layers if layer.macs} == {"patch_embed.proj_conv", "block.0.attn.lmu.memory"}
