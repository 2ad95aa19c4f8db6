"""The spiking part of the zoo against what papers and their public code state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hwsim
from hwsim.errors import InputError

PUBLISHED_MILLIONS = {
    "spikformer_8_384": 16.81,  # arXiv:2209.15425
    "spikformer_8_512": 29.68,
    "spikformer_8_768": 66.34,
    "spikformer_4_384_cifar": 9.32,
    "spikingformer_8_384": 16.81,  # arXiv:2304.11954
    "spikingformer_8_512": 29.68,
    "spikingformer_8_768": 66.34,
    "spikingformer_4_256_cifar": 4.15,
    "spikingformer_2_384_cifar": 5.76,
    "spikingformer_4_384_cifar": 9.32,
    "spike_driven_8_384": 16.81,  # arXiv:2307.01694
    "spike_driven_6_512": 23.37,
    "spike_driven_8_512": 29.68,
    "spike_driven_10_512": 36.01,
    "spike_driven_8_768": 66.34,
    "spike_driven_2_512_cifar?num_classes=100": 10.28,
    "meta_spikeformer_8_256": 15.112,  # arXiv:2404.03663
    "meta_spikeformer_8_384": 31.334,
    "meta_spikeformer_8_512": 55.350,
    "spike_yolo_m": 47.84,  # its public code says 13.2 M, 23.1 M (both cut), 47.8 M, 68.5 M; the paper 48.1 M and 68.8 M (arXiv:2407.20708)
    "spike_yolo_l": 68.48,
}


@pytest.mark.parametrize("name", PUBLISHED_MILLIONS)
def test_parameters_are_the_published_ones(name: str) -> None:
    assert hwsim.load(name).parameters / 1e6 == pytest.approx(PUBLISHED_MILLIONS[name], rel=1e-3)


@pytest.mark.parametrize(
    "name", ["spike_driven_8_384", "spike_driven_6_512", "spike_driven_8_512", "spike_driven_10_512", "spike_driven_8_768"]
)
def test_spike_driven_has_the_operations_of_its_code(name: str, data_dir: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.read_csv(data_dir / "neuro" / "spiking_transformers" / "sdt_v1_configs.csv").set_index("model")
    row = table.loc[name.replace("spike_driven_", "SDT-").replace("_", "-")]
    graph = hwsim.load(name)
    work = {n.path: graph.work_of(n).macs / 1e9 for n in graph.nodes}
    first = work["patch_embed.proj_conv"]
    assert first == pytest.approx(row.first_layer_GMAC_per_ts, rel=1e-6)
    assert sum(work.values()) - first == pytest.approx(row.rest_GMAC_per_ts, rel=5e-3)
    assert graph.parameters / 1e6 == pytest.approx(row.params_M, rel=1e-3)


def test_neurons_stand_where_the_authors_have_them() -> None:
    """Neurons of the first convolution fire over the whole image, before the pool; the fourth pools first in Spike-driven Transformer."""
    shapes = {}
    for name in ("spikformer_8_512", "spikingformer_8_512", "spike_driven_8_512"):
        graph = hwsim.load(name)
        shapes[name] = {
            n.path: graph.tensors[n.outputs[0]].shape[-1]
            for n in graph.nodes
            if n.kind == "neuron" and len(graph.tensors[n.outputs[0]].shape) == 4
        }
    assert {s["patch_embed.proj_lif"] for s in shapes.values()} == {224}
    assert [s["patch_embed.proj_lif3"] for s in shapes.values()] == [28, 28, 14]


def test_the_head_of_spike_driven_sees_spikes() -> None:
    graph = hwsim.load("spike_driven_8_512")
    head = next(n for n in graph.nodes if n.path == "head")
    assert graph.producer[head.inputs[0]].kind == "neuron"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timesteps": 0}, "spikformer_8_512, option 'timesteps': found 0; expected 1 or more"),
        ({"timesteps": "often"}, "spikformer_8_512, option 'timesteps': found 'often'; expected a value like 4"),
        ({"width": 100}, "spikformer_8_512: width 100 and 8 heads; expected a width that 8 and the heads divide"),
        ({"pools": "1,1"}, "spikformer_8_512: pools is (1, 1); expected four of 0 and 1, one a convolution"),
        ({"attention": "sdsa2"}, "unknown attention of spikformer_8_512: 'sdsa2'. Did you mean 'sdsa1'"),
    ],
)
def test_wrong_options_say_so(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as found:
        hwsim.load("spikformer_8_512", **options)
    assert str(found.value).startswith(message)


@pytest.mark.parametrize(("name", "digits"), [("spike_yolo_n", "13.2"), ("spike_yolo_s", "23.1")])
def test_small_detectors_have_the_published_digits(name: str, digits: str) -> None:
    assert f"{hwsim.load(name).parameters / 1e6:.3f}".startswith(digits)


def test_a_backbone_alone() -> None:
    graph = hwsim.load("spike_yolo_s", backbone=True)
    assert [graph.tensors[t].shape for t in graph.outputs] == [(1, 128, 80, 80), (1, 256, 40, 40), (1, 512, 20, 20)]
