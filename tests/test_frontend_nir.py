"""The NIR front end: real files, every type of node, recurrence, and what is wrong with a file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError, UnknownName, UnsupportedOp
from hwsim.frontends.nir import FRONTEND
from hwsim.testing import FrontendCase

nir = pytest.importorskip("nir")
h5py = pytest.importorskip("h5py")

SAMPLES = {
    # parameters and multiply-accumulates, by hand from the shapes of the weights
    "braille_noDelay_bias_zero": (38 * 12 + 38 + 38 * 38 + 38 + 7 * 38 + 7, 38 * 12 + 38 * 38 + 7 * 38),
    "braille_noDelay_noBias_subtract": (40 * 12 + 40 * 40 + 7 * 40, 40 * 12 + 40 * 40 + 7 * 40),
    "cnn_sinabs": (39890, 204800 + 589824 + 73728 + 32768 + 2560),
    "lif_norse": (2, 1),
    "lif_rockpool": (1, 1),
    "snntorch_mlp_784_256_10_random": (784 * 256 + 256 + 2560 + 10, 784 * 256 + 2560),
    "two_lif_neurons": (2, 2),
}


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, dtype=np.float32)


def lif(*shape: int) -> Any:
    return nir.LIF(tau=ones(*shape), r=ones(*shape), v_leak=0 * ones(*shape), v_threshold=ones(*shape))


def cuba(*shape: int) -> Any:
    return nir.CubaLIF(tau_syn=ones(*shape), tau_mem=ones(*shape), r=ones(*shape), v_leak=0 * ones(*shape), v_threshold=ones(*shape))


def conv2d(out: int, inner: int, kernel: int, **options: Any) -> Any:
    given = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "input_shape": None, **options}
    return nir.Conv2d(weight=ones(out, inner, kernel, kernel), bias=ones(out), **given)


def chain(shape: tuple[int, ...] | None, *nodes: Any) -> Any:
    """A graph of nodes in a row, unchecked."""
    named: dict[str, Any] = {"input": nir.Input(input_type={"input": None if shape is None else np.array(shape)})}
    named |= {f"n{i}": node for i, node in enumerate(nodes)} | {"output": nir.Output(output_type={"output": np.array([1])})}
    return nir.NIRGraph(named, list(zip(named, list(named)[1:], strict=False)), type_check=False)


def stored(graph: Any, path: Path) -> Path:
    nir.write(path, graph)
    return path


class TestConformance(FrontendCase):
    frontend = FRONTEND

    @pytest.fixture
    def source(self) -> Any:
        return chain(
            (2, 8, 8), conv2d(4, 2, 3), lif(4, 6, 6), nir.Flatten({"input": np.array([4, 6, 6])}, 0, -1), nir.Linear(ones(10, 144))
        )

    @pytest.fixture
    def unsupported_source(self, tmp_path: Path) -> Any:
        path = stored(chain((4,), nir.Linear(ones(4, 4)), lif(4)), tmp_path / "strange.nir")
        with h5py.File(path, "a") as file:
            del file["node/nodes/n1/type"]
            file["node/nodes/n1/type"] = "Izhikevich"
        return path


@pytest.mark.parametrize("name", SAMPLES)
def test_real_files_load_and_are_estimated(name: str, data_dir: Path) -> None:
    graph = hwsim.load(data_dir / "neuro" / "nir_samples" / f"{name}.nir")
    assert (graph.parameters, graph.macs) == SAMPLES[name]
    found = hwsim.estimate(graph, "loihi1", timesteps=10)
    assert found.fits
    assert found.energy_j > 0
    assert [k.path for k in found.program.kernels] == [n.path for n in graph.nodes if n.kind in ("conv", "linear")]


def test_a_recurrent_layer_of_a_file_reads_the_step_before(data_dir: Path) -> None:
    graph = hwsim.load(data_dir / "neuro" / "nir_samples" / "braille_noDelay_bias_zero.nir", timesteps=256)
    assert graph.attrs["timesteps"] == 256
    assert [(n.kind, n.path) for n in graph.nodes if n.path.startswith("lif1")] == [
        ("previous", "lif1.lif.previous"),
        ("linear", "lif1.w_rec"),
        ("elementwise", "lif1.lif.sum"),
        ("neuron", "lif1.lif"),
    ]
    assert graph.nodes[0].attrs["of"] == "lif1.lif"
    columns: Any = hwsim.estimate(graph, "loihi1").program.tables[0].columns
    assert (38 * 38) in list(columns.synapses)


NEURONS: dict[str, Any] = {
    "lif": lif(6),
    "cubalif": cuba(6),
    "cubali": nir.CubaLI(tau_syn=ones(6), tau_mem=ones(6), r=ones(6), v_leak=ones(6)),
    "if": nir.IF(r=ones(6), v_threshold=ones(6)),
    "li": nir.LI(tau=ones(6), r=ones(6), v_leak=ones(6)),
    "i": nir.I(r=ones(6)),
    "threshold": nir.Threshold(threshold=ones(6)),
}


@pytest.mark.parametrize("model", NEURONS)
def test_every_neuron_survives_the_file(model: str, tmp_path: Path) -> None:
    graph = chain((4,), nir.Affine(ones(6, 4), ones(6)), NEURONS[model])
    live, read = hwsim.load(graph), hwsim.load(stored(graph, tmp_path / "n.nir"))
    assert [n.kind for n in live.nodes] == [n.kind for n in read.nodes] == ["linear", "neuron"]
    assert live.nodes[-1].attrs["model"] == read.nodes[-1].attrs["model"] == model
    assert live.parameters == read.parameters == 30
    np.testing.assert_array_equal(read.values["n0.weight"], ones(6, 4))


OTHERS: dict[str, tuple[tuple[int, ...], Any, tuple[int, ...], int]] = {
    # input, node, output, multiply-accumulates
    "conv1d": ((3, 20), nir.Conv1d(None, ones(5, 3, 3), 2, 1, 1, 1, ones(5)), (5, 10), 5 * 10 * 9),
    "conv1d same": ((3, 20), nir.Conv1d(20, ones(5, 3, 4), 1, "same", 1, 1, ones(5)), (5, 20), 5 * 20 * 12),
    "conv2d": ((2, 9, 7), conv2d(4, 2, 3, stride=(2, 1), padding=(1, 0)), (4, 5, 5), 4 * 25 * 18),
    "conv2d grouped": ((4, 8, 8), conv2d(4, 1, 3, groups=4, padding="valid"), (4, 6, 6), 4 * 36 * 9),
    "conv2d dilated": ((1, 9, 9), conv2d(2, 1, 3, dilation=2), (2, 5, 5), 2 * 25 * 9),
    "affine of parts": ((3, 4), nir.Affine(ones(3, 5, 4), ones(3, 5)), (3, 5), 3 * 5 * 4),
    "linear": ((7, 4), nir.Linear(ones(5, 4)), (7, 5), 7 * 5 * 4),
    "linear flattens": ((2, 3, 3), nir.Linear(ones(5, 18)), (5,), 90),
    "scale": ((6,), nir.Scale(ones(6)), (6,), 0),
    "avg": ((3, 8, 8), nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])), (3, 4, 4), 0),
    "sum": ((3, 9, 8), nir.SumPool2d(np.array([3, 2]), np.array([3, 2]), np.array([0, 0])), (3, 3, 4), 0),
    "flatten": ((3, 4, 5), nir.Flatten({"input": np.array([3, 4, 5])}, 1, -1), (3, 20), 0),
    "delay": ((6,), nir.Delay(ones(6)), (6,), 0),
}


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_node_has_its_shape_and_work(name: str, tmp_path: Path) -> None:
    shape, node, expected, macs = OTHERS[name]
    source = chain(shape, node)
    graphs = [hwsim.load(source, batch=2)]
    if getattr(node, "input_shape", 0) is not None:
        graphs.append(hwsim.load(stored(source, tmp_path / "n.nir"), batch=2))
    for graph in graphs:
        assert graph.tensors[graph.outputs[0]].shape == (2, *expected)
        assert graph.macs == 2 * macs


def test_shapes_that_a_file_leaves_open() -> None:
    body = (conv2d(4, 2, 3), nir.IF(r=ones(1), v_threshold=ones(1)))
    message = (
        "NIRGraph, node 'input' (Input): its shape is open and follows from nothing; "
        "give it as --dim input.0=2 --dim input.1=34 (dims in Python), or input_shape=(2, 34, 34)"
    )
    with pytest.raises(InputError) as error:
        hwsim.load(chain(None, *body))
    assert str(error.value) == message
    for options in ({"input_shape": (2, 10, 12)}, {"dims": {"input.0": 2, "input.1": 10, "input.2": 12}}):
        graph = hwsim.load(chain(None, *body), **options)
        assert graph.tensors[graph.outputs[0]].shape == (1, 4, 8, 10)
    assert hwsim.load(chain(None, nir.Linear(ones(3, 7)))).tensors["input"].shape == (1, 7)
    assert hwsim.load(chain(None, conv2d(4, 2, 3, input_shape=(8, 8)))).tensors["input"].shape == (1, 2, 8, 8)
    assert hwsim.load(chain((2, 8, 8), *body), dims={"input.1": 20}).tensors["input"].shape == (1, 2, 20, 8)


def nested(inner: Any) -> Any:
    nodes = {
        "input": nir.Input({"input": np.array([4])}),
        "fc": nir.Linear(ones(6, 4)),
        "block": inner,
        "output": nir.Output({"output": np.array([6])}),
    }
    return nir.NIRGraph(nodes, [("input", "fc"), ("fc", "block"), ("block", "output")], type_check=False)


def test_a_recurrent_graph_inside_a_graph(tmp_path: Path) -> None:
    inside = {
        "input": nir.Input({"input": np.array([6])}),
        "lif": lif(6),
        "back": nir.Linear(ones(6, 6)),
        "output": nir.Output({"output": np.array([6])}),
    }
    edges = [("input", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "output")]
    source = nested(nir.NIRGraph(inside, edges, type_check=False))
    for graph in (hwsim.load(source), hwsim.load(stored(source, tmp_path / "n.nir"))):
        assert [n.path for n in graph.nodes] == ["block.lif.previous", "block.back", "fc", "block.lif.sum", "block.lif"]
        assert graph.macs == 24 + 36
        assert hwsim.estimate(graph, "loihi1", timesteps=3).fits


def test_the_way_back_of_a_loop_over_two_layers_is_cut() -> None:
    nodes = {
        "input": nir.Input({"input": np.array([4])}),
        "a": lif(4),
        "up": nir.Linear(ones(3, 4)),
        "b": lif(3),
        "down": nir.Linear(ones(4, 3)),
    }
    nodes["output"] = nir.Output({"output": np.array([3])})
    edges = [("input", "a"), ("a", "up"), ("up", "b"), ("b", "down"), ("down", "a"), ("b", "output")]
    graph = hwsim.load(nir.NIRGraph(nodes, edges, type_check=False))
    assert [n.attrs["of"] for n in graph.nodes if n.kind == "previous"] == ["b"]
    assert graph.macs == 24


def looped() -> Any:
    nodes = {"input": nir.Input({"input": np.array([4])}), "a": nir.Linear(ones(4, 4)), "b": nir.Linear(ones(4, 4))}
    return nir.NIRGraph(nodes, [("input", "a"), ("a", "b"), ("b", "a")], type_check=False)


def edges_of(*edges: tuple[str, str]) -> Any:
    nodes = {"input": nir.Input({"input": np.array([4])}), "fc": nir.Linear(ones(4, 4)), "lif": lif(4)}
    return nir.NIRGraph(nodes, list(edges), type_check=False)


BAD_GRAPHS: dict[str, tuple[Any, str]] = {
    "sizes": (
        chain((5,), nir.Linear(ones(3, 4))),
        "NIRGraph, node 'n0' (Linear): the input (5,) does not fit the weight (3, 4); expected (4,). Check the layer before, or the input",
    ),
    "channels": (
        chain((3, 8, 8), conv2d(4, 2, 3)),
        "NIRGraph, node 'n0' (Conv2d): conv: input (1, 3, 8, 8) has 3 channels, weight (4, 2, 3, 3) with groups=1 does not match; "
        "check the shape of the input and the parameters of the node",
    ),
    "axes": (
        chain((16,), conv2d(4, 2, 3)),
        "NIRGraph, node 'n0' (Conv2d): the input (16,) has 1 axes; expected channels and 2 more. Give the shape with --dim or input_shape",
    ),
    "neurons": (
        chain((4,), nir.Linear(ones(6, 4)), lif(5)),
        "NIRGraph, node 'n1' (LIF): parameters (5,) for an input (6,); expected the same shape, or one number",
    ),
    "cycle": (looped(), "NIRGraph: 'a', 'b' feed each other within one timestep; put neurons or a Delay into the cycle"),
    "edge": (edges_of(("input", "fd"), ("fc", "lif")), "unknown node in an edge of NIRGraph: 'fd'. Did you mean 'fc'?"),
    "twice": (
        edges_of(("input", "fc"), ("input", "fc"), ("fc", "lif")),
        "NIRGraph: the edge from 'input' to 'fc' stands there twice; remove one",
    ),
    "alone": (edges_of(("input", "fc")), "NIRGraph, node 'lif' (LIF): no edge leads to or from it; connect or remove it"),
    "empty": (
        nir.NIRGraph({}, [], type_check=False),
        "NIRGraph: the graph has no nodes; expected at least an Input, a connection and neurons",
    ),
}


@pytest.mark.parametrize("name", BAD_GRAPHS)
def test_a_wrong_graph_is_one_clear_error(name: str) -> None:
    source, message = BAD_GRAPHS[name]
    with pytest.raises(InputError) as error:
        hwsim.load(source)
    assert str(error.value) == message


def damaged(path: Path, name: str) -> Path:
    stored(chain((4,), nir.Affine(ones(6, 4), ones(6)), lif(6)), path)
    if name == "truncated":
        path.write_bytes(path.read_bytes()[:1500])
    elif name == "text":
        path.write_text("nodes: none\n")
    else:
        with h5py.File(path, "a") as file:
            if name == "no bias":
                del file["node/nodes/n0/bias"]
            elif name == "extra":
                file["node/nodes/n1/colour"] = 3
            elif name == "no type":
                del file["node/nodes/n1/type"]
            elif name == "shapes":
                del file["node/nodes/n1/tau"]
                file["node/nodes/n1/tau"] = np.ones(5)
            elif name == "no edges":
                del file["node/edges"]
            elif name == "other":
                file.move("node", "model_weights")
    return path


DAMAGES: Mapping[str, str] = {
    "truncated": "no readable HDF5 file, or a truncated one (",
    "text": "no readable HDF5 file, or a truncated one (",
    "no bias": "node 'n0' (Affine): the field 'bias' is missing; write the network again with nir.write, and check it with nir.read(",
    "extra": "node 'n1' (LIF): the field 'colour' is unknown; write the network again with nir.write",
    "no type": "node 'n1': it has no `type`; write the network again",
    "shapes": "node 'n1' (LIF): All parameters must have the same shape; write the network again",
    "no edges": "the graph at the top has no `edges`; write the network again",
    "other": "an HDF5 file with model_weights, version in it, but no `node`; expected a NIR graph: write the network again",
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_one_clear_error(name: str, tmp_path: Path) -> None:
    path = damaged(tmp_path / "net.nir", name)
    with pytest.raises(InputError) as error:
        hwsim.load(path)
    assert DAMAGES[name] in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_every_cut_of_a_file_is_an_input_error(tmp_path: Path) -> None:
    whole = stored(chain((4,), nir.Affine(ones(6, 4), ones(6)), lif(6)), tmp_path / "net.nir").read_bytes()
    for size in range(0, len(whole), max(1, len(whole) // 40)):
        path = tmp_path / "cut.nir"
        path.write_bytes(whole[:size])
        with pytest.raises(InputError):
            hwsim.load(path)


def test_a_data_set_that_cannot_be_as_large_as_it_says(tmp_path: Path) -> None:
    path = stored(chain((4,), nir.Affine(ones(6, 4), ones(6)), lif(6)), tmp_path / "net.nir")
    with h5py.File(path, "a") as file:
        del file["node/nodes/n1/tau"]
        file.create_dataset("node/nodes/n1/tau", shape=(1 << 40,), dtype="f4", chunks=(1024,))
    with pytest.raises(InputError, match=r"the data set /node/nodes/n1/tau claims 4398046511104 bytes"):
        hwsim.load(path)


@pytest.mark.parametrize("value", [np.ones((0,)), "text", -1, np.ones((2, 3)), float("nan")])
@pytest.mark.parametrize(
    "field", ["node/nodes/n0/weight", "node/nodes/n0/bias", "node/nodes/n1/tau", "node/nodes/input/shape", "node/edges"]
)
def test_a_field_of_the_wrong_kind_is_an_input_error(field: str, value: Any, tmp_path: Path) -> None:
    path = stored(chain((4,), nir.Affine(ones(6, 4), ones(6)), lif(6)), tmp_path / "net.nir")
    with h5py.File(path, "a") as file:
        del file[field]
        file[field] = value
    try:
        hwsim.load(path)
    except InputError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    source = chain((4,), nir.Linear(ones(6, 4)), lif(6))
    with pytest.raises(UnknownName, match="unknown option of the NIR front end 'timestep'. Did you mean 'timesteps'"):
        hwsim.load(source, timestep=4)
    with pytest.raises(InputError, match="timesteps is 0; expected a whole number of at least 1"):
        hwsim.load(source, timesteps=0)
    with pytest.raises(InputError, match=r"seq_len=8: a NIR file has no sequence; give the number of timesteps as timesteps=8"):
        hwsim.load(source, seq_len=8)
    with pytest.raises(UnknownName, match=r"unknown size of an input of NIRGraph: 'in\.0'"):
        hwsim.load(source, dims={"in.0": 4})
    with pytest.raises(InputError, match="there is no such file"):
        hwsim.load(tmp_path / "none.nir")


def test_types_without_a_rule_are_listed(tmp_path: Path) -> None:
    path = stored(chain((4,), nir.Linear(ones(4, 4)), lif(4)), tmp_path / "strange.nir")
    with h5py.File(path, "a") as file:
        for name in ("n0", "n1"):
            del file[f"node/nodes/{name}/type"]
            file[f"node/nodes/{name}/type"] = "Attention"
    with pytest.raises(UnsupportedOp) as error:
        hwsim.load(path)
    assert error.value.operators == (("n0", "Attention"), ("n1", "Attention"))


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    from click.testing import CliRunner

    from hwsim.cli import cli

    path = stored(chain((4,), nir.Affine(ones(6, 4), ones(6)), lif(6)), tmp_path / "net.nir")
    run = CliRunner().invoke(cli, ["estimate", str(path), "--on", "loihi1", "--map", "timesteps=7", "--json"])
    assert run.exit_code == 0, run.output
    assert math.isfinite(json.loads(run.stdout)["latency_s"])
