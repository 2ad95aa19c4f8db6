"""Published streaming CNNs of hls4ml, and the small networks of its continuous integration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hwsim.datasets.hls_designs import Design, _config, _read, _totals, layer_number
from hwsim.graph import Graph, GraphBuilder, Tensor
from hwsim.zoo.layers import act, conv, linear, norm

KEBL_FILTERS = {"model4": 4, "model8": 8, "model16": 16, "model32": 32, "model64": 64}
KEBL_CONV = {2: (5, 1), 7: (3, 2), 11: (3, 2)}
"""Number of a convolution to kernel and multiple of the first filter count."""


def _pool(b: GraphBuilder, x: str, *, path: str, fn: str = "max", kernel: int = 2) -> str:
    return b.add("pool", [x], path=path, fn=fn, kernel=(kernel, kernel), stride=(kernel, kernel))


def _flatten(b: GraphBuilder, x: str) -> str:
    """Pixels in a row, channels last as Keras has them."""
    _, channels, height, width = b.shape(x)
    x = b.add("transpose", [x], path="channels_last", perm=(0, 2, 3, 1))
    return b.add("reshape", [x], path="flatten", shape=(1, channels * height * width))


def _kebl_graph(filters: int) -> Graph:
    """in16x16x3 > conv 5x5 > pool > conv 3x3 > conv 3x3 > pool > dense 8, LeakyReLU in between; batch normalisation is folded."""
    b = GraphBuilder(f"kebl{filters}")
    x = b.input("x", (1, 3, 16, 16))
    x = act(b, conv(b, x, filters, 5, path="conv2", bias=True), "leaky_relu", path="leaky5")
    x = _pool(b, x, path="pool6")
    x = act(b, conv(b, x, 2 * filters, 3, path="conv7", bias=True), "leaky_relu", path="leaky10")
    x = act(b, conv(b, x, 2 * filters, 3, path="conv11", bias=True), "leaky_relu", path="leaky14")
    x = _pool(b, x, path="pool15")
    x = _flatten(b, x)
    return b.finish([b.add("softmax", [linear(b, x, 8, path="dense16")], path="softmax17")])


def _products(filters: int) -> dict[str, int]:
    """Multiplications a pixel of each layer with weights."""
    wide = 2 * filters
    return {"conv2": 75 * filters, "conv7": 9 * filters * wide, "conv11": 9 * wide * wide, "dense16": wide * 16 * 8}


_KEBL_MODULES = {
    "conv_2d": ("conv2", "conv7", "conv11"),
    "leaky": ("leaky5", "leaky10", "leaky14"),
    "pooling": ("pool6", "pool15"),
    "dense": ("dense16",),
    "softmax": ("softmax17",),
}


def kebl() -> list[Design]:
    """Streaming CNNs over 16x16x3 images; the data do not give the reuse factors, which follow from the DSP counts of the modules.

    Designs of an older streaming form (`phil`), without modules, and suspect ones are left out; logic synthesis of a design takes the
    reuse factors of its C synthesis.
    """
    table, modules = _read("kebl_cnn_designs.csv"), _read("kebl_cnn_layers.csv")
    found = []
    for name, part in modules.groupby("design", sort=True):
        rows = table[(table.design == name) & table.suspect.isna()]
        if "phil" in str(name) or not len(rows):
            continue
        found += [d for d in (_kebl(row, part, rows) for row in rows.itertuples()) if d is not None]
    return found


def _kebl(row: Any, part: Any, rows: Any) -> Design | None:
    known = rows.model.dropna()
    filters = KEBL_FILTERS[known.iloc[0]]
    named = {f"{_kind(m.module)}{layer_number(m.module)}": m for m in part.itertuples() if layer_number(m.module) is not None}
    named = {n: m for n, m in named.items() if any(n in v for v in _KEBL_MODULES.values())}
    latency = "latency" in str(row.design).rpartition("/")[2]
    layers = {n: {"ReuseFactor": _reuse(p, named[n])} for n, p in _products(filters).items() if n in named}
    implementation = "Encoded" if "kernel_window" in row.design or "core" in row.design else "LineBuffer"
    config = _config({"default": "ap_fixed<16,6>"}, 1, "latency" if latency else "resource", layers)
    config["Model"]["ConvImplementation"] = implementation
    totals = _totals(row)
    options = {"hls_config": config, "io_type": "io_stream", "backend": "Vivado"}
    stage = "csynth" if row.stage == "csynth" else "vsynth"
    found = {n: _totals(m) for n, m in named.items()} if stage == "csynth" else {}
    facts = {"fifo": _fifo(row)} if stage == "csynth" else {}
    return Design("kebl", str(row.design), f"kebl/{known.iloc[0]}", _kebl_graph(filters), options, totals, stage, found, facts)


def _fifo(row: Any) -> dict[str, float]:
    """What the report says of all FIFOs together."""
    return {"BRAM18": float(row.fifo_BRAM_18K), "FF": float(row.fifo_FF), "LUT": float(row.fifo_LUT)}


def _kind(module: str) -> str:
    names = {"conv_2d": "conv", "leaky": "leaky", "pooling": "pool", "dense": "dense", "softmax": "softmax"}
    return next((ours for theirs, ours in names.items() if module.startswith(theirs)), "")


def _reuse(products: int, module: Any) -> int:
    """Reuse factor from the DSP slices of a module."""
    return max(1, round(products / max(1.0, float(module.DSP))))


def _svhn_graph(*, normalised: bool) -> Graph:
    """SVHN: three convolutions 3x3 of 16, 16 and 24 filters with pooling, dense 42, 64 and 10; normalised apart where quantised."""
    b = GraphBuilder("svhn")
    x = b.input("x", (1, 3, 32, 32))
    for i, width in enumerate((16, 16, 24)):
        x = act(b, conv(b, x, width, 3, padding=0, path=f"conv{i}", bias=True), "relu", path=f"conv{i}_relu")
        x = _pool(b, x, path=f"pool{i}")
    x = _flatten(b, x)
    for i, width in enumerate((42, 64)):
        x = linear(b, x, width, path=f"dense{i}")
        x = norm(b, x, "batch", path=f"norm{i}") if normalised else x
        x = act(b, x, "relu", path=f"dense{i}_relu")
    return b.finish([b.add("softmax", [linear(b, x, 10, path="dense2")], path="softmax")])


SVHN_MODULES = {
    "pruned_cnn": {2: "conv0", 7: "conv1", 12: "conv2", 17: "dense0", 21: "dense1", 25: "dense2", 5: "conv0_relu", 10: "conv1_relu",
                   15: "conv2_relu", 20: "dense0_relu", 24: "dense1_relu", 6: "pool0", 11: "pool1", 16: "pool2", 27: "softmax"},
    "quantized_pruned_cnn": {2: "conv0", 6: "conv1", 10: "conv2", 14: "dense0", 18: "dense1", 22: "dense2", 4: "conv0_relu",
                             8: "conv1_relu", 12: "conv2_relu", 17: "dense0_relu", 21: "dense1_relu", 5: "pool0", 9: "pool1",
                             13: "pool2", 16: "norm0", 20: "norm1", 24: "softmax"},
}  # fmt: skip
"""hls4ml's numbers of the layers of the tutorial's networks."""
SVHN_BITS = {"pruned_cnn": "ap_fixed<16,6>", "quantized_pruned_cnn": "ap_fixed<6,1>"}
PRUNED_FRAC = 0.5
"""Share of zero weights that the tutorial prunes to."""


def _kept(tensor: Tensor) -> float:
    """Share of a tensor's values that pruning leaves."""
    return 1 - PRUNED_FRAC if tensor.role == "weight" and len(tensor.shape) > 1 else 1.0


def tutorial() -> list[Design]:
    """The pruned and the quantised CNN of the hls4ml tutorial, latency strategy, reuse factor 1."""
    from dataclasses import replace

    table, modules = _read("hls4ml_tutorial_cnn_designs.csv"), _read("hls4ml_tutorial_cnn_layers.csv")
    found = []
    for row in table[table.design.isin(SVHN_MODULES)].itertuples():
        part = modules[modules.design == row.design]
        numbers = SVHN_MODULES[row.design]
        graph = _svhn_graph(normalised=row.design == "quantized_pruned_cnn")
        tensors = {n: replace(t, density=_kept(t)) for n, t in graph.tensors.items()}
        named = {numbers[n]: m for m in part.itertuples() if (n := layer_number(m.module)) in numbers}
        weights = SVHN_BITS[row.design]
        config = _config({"default": "ap_fixed<16,6>", "weight": weights, "bias": weights}, 1, "latency")
        options = {"hls_config": config, "io_type": "io_stream", "backend": "Vivado"}
        measured = {n: _totals(m) for n, m in named.items()} if row.stage == "csynth" else {}
        found.append(
            Design(
                "tutorial",
                row.design,
                f"tutorial/{row.design}",
                graph.replace(tensors=tensors),
                options,
                _totals(row),
                row.stage,
                measured,
                {"fifo": _fifo(row)} if row.stage == "csynth" else {},
            )
        )
    return found


def continuous_integration() -> tuple[list[Design], list[str]]:
    """Tiny networks of hls4ml's tests with Vivado and Vitis, and the names of those that no network here stands for."""
    found, left = [], []
    for row in _read("hls4ml_ci_baselines.csv").itertuples():
        made = _ci_graph(row.test)
        if row.backend == "oneAPI" or made is None:
            left.append(row.test)
            continue
        graph, strategy = made
        options = {
            "hls_config": _config({"default": "ap_fixed<16,6>"}, 1, strategy),
            "backend": row.backend,
            "io_type": "io_stream" if "io_stream" in row.test else "io_parallel",
        }
        totals = {
            "LUT": row.LUT,
            "FF": row.FF,
            "DSP": row.DSP,
            "BRAM18": row.BRAM_18K,
            "cycles": row.WorstLatency,
            "interval_cycles": row.IntervalMax,
        }
        found.append(Design("ci", f"{row.test}-{row.tool_version}", _ci_kind(row.test), graph, options, totals))
    return found, left


def _ci_kind(test: str) -> str:
    return re.sub(r"test_keras_api_test_|-?(Vivado|Vitis|oneAPI)-?|_io_(parallel|stream)", "", test)


def _ci_graph(test: str) -> tuple[Graph, str] | None:
    """The network of a test of hls4ml (test_keras_api.py), and its strategy."""
    b = GraphBuilder(test)
    if "activations" in test or "test_dense" in test:
        width = 2 if "test_dense" in test else 64
        fn = "elu" if "test_dense" in test else test.rpartition("-")[2]
        x = linear(b, b.input("x", (1, 1)), width, path="dense")
        operands = [x, b.weight((width,))] if fn == "prelu" else [x]
        return b.finish([b.add("activation", operands, fn=fn, path="act")]), "latency"
    if "pooling" in test:
        same = "-same-" in test
        flat = "1D" in test
        x = b.input("x", (1, 3, 121) if flat else (1, 3, 18, 15))
        fn = "max" if "Max" in test else "avg"
        return b.finish([_same_pool(b, x, fn=fn, same=same, flat=flat)]), "latency"
    if "conv2d" in test:
        x = b.input("x", (1, 3, 28, 28))
        return b.finish([conv(b, x, 32, 4, stride=4, padding=0, path="conv")]), "resource"
    if "depthwise2d" in test:
        x = b.input("x", (1, 3, 32, 32))
        return b.finish([conv(b, x, 3, 3, padding=0, groups=3, path="conv", bias=True)]), "latency"
    return None


def _same_pool(b: GraphBuilder, x: str, *, fn: str, same: bool, flat: bool) -> str:
    """Pooling of two with Keras' `same` or `valid` borders."""
    sizes = b.shape(x)[2:]
    pads: Mapping[str, Any] = {"padding": tuple(n % 2 for n in sizes)} if same and any(n % 2 for n in sizes) else {}
    count = (2,) if flat else (2, 2)
    return b.add("pool", [x], path="pool", fn=fn, kernel=count, stride=count, **pads)
