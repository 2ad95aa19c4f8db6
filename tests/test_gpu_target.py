"""GPU family: fusions by runtime, memory, phases, verdicts."""

from __future__ import annotations

import pytest

import hwsim
from hwsim.errors import DoesNotFit, UnknownName
from hwsim.schedule import peak_live_b
from hwsim.targets.gpu import TARGET
from hwsim.targets.gpu.lower import lower

A100 = "a100-sxm-80gb"


def kernels(model: str, runtime: str, **options: object) -> list[tuple[str, ...]]:
    graph = hwsim.load(model, **options)
    kinds = {n.name: n.kind for n in graph.nodes}
    program = lower(graph, TARGET.mapping(runtime=runtime, dtype="native"))
    return [tuple(kinds[n] for n in kernel.nodes) for kernel in program.kernels]


def test_eager_runs_an_operator_a_kernel() -> None:
    assert all(len(k) == 1 for k in kernels("resnet18", "eager"))


def test_compile_fuses_points_and_keeps_library_kernels_apart() -> None:
    found = kernels("resnet18", "compile")
    assert ("norm", "activation") in found
    assert ("norm", "elementwise", "activation") in found
    assert all(len(k) == 1 for k in found if k[0] in ("conv", "linear"))


def test_tensorrt_fuses_epilogues() -> None:
    found = kernels("resnet18", "tensorrt")
    assert ("conv", "norm", "activation") in found
    assert ("conv", "norm", "elementwise", "activation") in found
    assert len(found) == 20 + 1 + 2


@pytest.mark.parametrize("model", ["resnet50", "vit_b16", "bert_base", "llama3_2_1b", "mamba_130m", "mobilenet_v2"])
@pytest.mark.parametrize("runtime", ["eager", "compile", "tensorrt"])
def test_every_node_is_in_one_kernel_or_free(model: str, runtime: str) -> None:
    graph = hwsim.load(model)
    program = lower(graph, TARGET.mapping(runtime=runtime))
    placed = [name for kernel in program.kernels for name in kernel.nodes]
    assert len(placed) == len(set(placed))
    missing = {n.name for n in program.graph.nodes} - set(placed)
    kinds = {n.kind for n in program.graph.nodes if n.name in missing}
    assert kinds <= {"reshape", "split", "slice", "expand", "transpose", "embedding", "cast"}


def test_more_fusion_is_not_slower() -> None:
    eager, tensorrt = (hwsim.estimate("resnet50", A100, batch=64, runtime=r).latency_s for r in ("eager", "tensorrt"))
    assert tensorrt < eager


def test_small_batches_wait_for_the_host_in_eager_mode() -> None:
    estimate = hwsim.estimate("resnet50", "h100-sxm-80gb", runtime="eager")
    assert estimate.latency_s == pytest.approx(float(estimate.cost.extra["host_s"]))


def test_language_models_get_both_phases() -> None:
    estimate = hwsim.estimate("llama3_8b", A100, seq_len=512)
    assert estimate.phase == "prefill"
    assert estimate.decode is not None
    assert estimate.decode.phase == "decode"
    assert estimate.decode.memory.state_b == pytest.approx(32 * 2 * 8 * 128 * 513 * 2)
    assert 7e-3 < estimate.decode.latency_s < 20e-3
    only = hwsim.estimate("llama3_8b", A100, phase="decode", kv_len=512)
    assert only.latency_s == estimate.decode.latency_s
    with pytest.raises(UnknownName, match=r"^unknown phase 'decod'. Did you mean 'decode'\?$"):
        hwsim.estimate("llama3_8b", A100, phase="decod")


def test_longer_caches_take_longer() -> None:
    times = [hwsim.estimate("llama3_8b", A100, phase="decode", kv_len=k).latency_s for k in (128, 4096, 65536)]
    assert times == sorted(times)
    assert times[-1] > times[0]


def test_too_large_a_network_does_not_fit() -> None:
    estimate = hwsim.estimate("llama3_70b", A100, seq_len=16)
    assert not estimate.fits
    assert estimate.reasons[0].startswith("needs 132 GiB of memory, 51.9 GiB more than")
    with pytest.raises(DoesNotFit, match=r"^llama3_70b does not fit on a100-sxm-80gb: it needs 132 GiB of memory, "):
        hwsim.estimate("llama3_70b", A100, seq_len=16, must_fit=True)
    assert hwsim.estimate("llama3_70b", A100, seq_len=16, weights_dtype="int4").fits


def test_weight_only_formats_speed_up_decode() -> None:
    wide, narrow = (hwsim.estimate("llama3_8b", A100, phase="decode", weights_dtype=w).latency_s for w in (None, "int4"))
    assert narrow < 0.6 * wide


def test_overrides_reach_the_cost() -> None:
    plain = hwsim.estimate("resnet50", A100, batch=8)
    faster = hwsim.estimate("resnet50", A100, batch=8, set={"dram_b_per_s": "4 TB/s", "sm_count": 200})
    assert faster.latency_s < plain.latency_s
    assert faster.facts["sm_count"].status == "given"


@pytest.mark.parametrize(
    "option,message",
    [
        ("runtime", "unknown runtime 'x'"),
        ("dtype", "unknown dtype 'x'"),
        ("layout", "unknown layout 'x'"),
        ("speed", "unknown mapping option of a GPU 'speed'"),
    ],
)
def test_wrong_mapping_options(option: str, message: str) -> None:
    with pytest.raises(UnknownName) as error:
        hwsim.estimate("jet_tagger", A100, **{option: "x"})
    assert str(error.value).startswith(message)


def test_peak_of_live_tensors() -> None:
    steps = [(["x"], ["a"]), (["a"], ["b"]), (["a", "b"], ["c"])]
    sizes = {"x": 1.0, "a": 10.0, "b": 100.0, "c": 5.0}
    assert peak_live_b(steps, sizes, ["c"]) == 115.0
    assert peak_live_b(steps, sizes, ["c", "x"]) == 116.0


def test_activations_of_a_chain() -> None:
    b = hwsim.GraphBuilder("chain", dtype="fp16")
    x = b.input("x", (1, 1000))
    for _ in range(5):
        x = b.add("linear", [x, b.weight((1000, 1000))])
    program = lower(b.finish([x]), TARGET.mapping(runtime="eager", dtype="native"))
    assert program.memory.activations_b == 2 * 2000
