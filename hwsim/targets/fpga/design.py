"""Graph and configuration -> the layers that hls4ml builds: their order, classes, formats and effective reuse factors."""

from __future__ import annotations

from math import prod
from typing import Any

from hwsim.errors import InputError
from hwsim.graph import Graph
from hwsim.targets.fpga import fields
from hwsim.targets.fpga.config import HlsConfig, with_halves
from hwsim.targets.fpga.draft import Design, Draft, apply
from hwsim.targets.fpga.layers import HlsLayer
from hwsim.targets.fpga.reuse import nearest_reuse_factor, partition_factors, product_size, valid_reuse_factors
from hwsim.targets.fpga.rewrites import CONVERT, FINISH, STREAM
from hwsim.targets.fpga.translate import Translator
from hwsim.targets.fpga.weights import statistics

_MATRIX = ("Dense", "Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D")
_RECURRENT = ("LSTM", "GRU")
_GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


def build(
    graph: Graph,
    config: HlsConfig | Any = None,
    *,
    io_type: str | None = None,
    backend: str | None = None,
    keep_inputs: bool = False,
    strict: bool = True,
) -> tuple[HlsLayer, ...]:
    """The layers that hls4ml 1.3 builds of a network.

    Args:
        graph: the network; its first axis is the batch, which is dropped.
        config: an HlsConfig, or what `HlsConfig.read` takes; by default what the graph brought along, else the defaults.
        io_type: io_parallel or io_stream; by default that of the configuration, else io_parallel.
        backend: by default that of the configuration, else Vivado.
        keep_inputs: leave hls4ml's Input layers in; without them the layers that they feed have no inputs.
        strict: complain about a reuse factor that is set for a layer and larger than its product; otherwise the largest is taken.

    Raises:
        InputError: a configuration that cannot be; names layer and field.
        UnknownName: a layer in the configuration that the network has not.
        UnsupportedOp: operators that hls4ml has no layer for.

    >>> from hwsim import load
    >>> [layer.kind for layer in build(load("jet_tagger"))]
    ['Dense', 'Activation', 'Dense', 'Activation', 'Dense', 'Activation', 'Dense', 'Softmax']
    """
    read = HlsConfig.read(graph.attrs.get("hls_config", {}) if config is None else config)
    io_type, backend = io_type or read.io_type or "io_parallel", fields.project({"Backend": backend or read.backend or "Vivado"})["backend"]
    fields.project({"IOType": io_type})
    read = with_halves(read, [n.name for n in graph.nodes])
    design = Design(graph, read, io_type=io_type, backend=str(backend), strict=strict)
    Translator(graph, design).run()
    apply(design, CONVERT)
    for draft in design.layers.values():
        _initialise(design, draft)
    apply(design, STREAM)
    apply(design, FINISH)
    read.check_layers(dict.fromkeys((*design.seen, *(n.name for n in graph.nodes), *graph.attrs.get("layer_classes", ()))))
    return _finished(design, keep_inputs=keep_inputs)


def _initialise(design: Design, draft: Draft) -> None:
    """Strategy, reuse and parallelisation factors, as the backend's initialisers set them."""
    config = design.config
    draft.reuse_requested = draft.reuse_factor = config.reuse_factor(draft.name, draft.kind)
    draft.recurrent_reuse_factor = int(config.attribute(draft.name, draft.kind, "recurrent_reuse_factor", 1))
    draft.strategy = _strategy(design, draft)
    if draft.kind in _MATRIX:
        _matrix(design, draft)
    elif draft.kind in _RECURRENT:
        _recurrent(design, draft)
    if draft.kind == "Softmax":
        draft.implementation = config.attribute(draft.name, draft.kind, "implementation", "stable")
    if "Conv" in draft.kind or draft.kind.startswith("Pooling"):
        encoded = config.conv_implementation(draft.name) == "encoded" and not (design.backend == "Vitis" and "Conv" in draft.kind)
        draft.implementation = "encoded" if encoded else "linebuffer"
    if "Conv" in draft.kind:
        draft.parallelization_factor = _parallel(design, draft)
    elif draft.kind in ("EinsumDense", "Einsum"):
        rows = prod(draft.shape) // draft.n_out if draft.kind == "EinsumDense" else prod(draft.shape[-2:-1])
        draft.parallelization_factor = int(config.attribute(draft.name, draft.kind, "parallelization_factor", rows))


def _strategy(design: Design, draft: Draft) -> str:
    if draft.kind.startswith("Depthwise") and design.config.strategy(draft.name, draft.kind) != "resource":
        return "latency"
    return _possible_strategy(design, draft)


def _possible_strategy(design: Design, draft: Draft) -> str:
    """The strategy of the configuration, or what hls4ml takes in its place. A depthwise convolution gets its reuse factor by it."""
    asked = design.config.strategy(draft.name, draft.kind)
    if asked == "distributed_arithmetic" and draft.kind in _RECURRENT:
        return "latency"
    if asked == "unrolled" and draft.kind in (*_MATRIX, *_RECURRENT):
        parallel = "Conv" in draft.kind and not design.streaming
        return "resource" if parallel or draft.reuse_factor == 1 else "unrolled"
    return asked


def _matrix(design: Design, draft: Draft) -> None:
    n_in, n_out = product_size(draft.kind, draft.n_in, draft.n_out, groups=draft.groups)
    strategy = _possible_strategy(design, draft)
    if strategy == "distributed_arithmetic" and draft.reuse_requested != 1:
        raise InputError(
            f"layer {draft.name!r}: ReuseFactor is {draft.reuse_requested} with the strategy distributed_arithmetic; expected 1"
        )
    _check_product(design, draft, n_in * n_out)
    draft.reuse_factor = nearest_reuse_factor(valid_reuse_factors(n_in, n_out, strategy=strategy), draft.reuse_requested)


def _check_product(design: Design, draft: Draft, product: int) -> None:
    own = design.config.layer(draft.name).fields.get("reuse_factor")
    if design.strict and own is not None and own > product:
        raise InputError(f"LayerName {draft.name!r}: ReuseFactor is {own}; expected at most {product}, the multiplications of this layer")


def _recurrent(design: Design, draft: Draft) -> None:
    _check_product(design, draft, draft.n_in * draft.n_out)
    valid = valid_reuse_factors(draft.n_in, draft.n_out, strategy=draft.strategy)
    draft.reuse_factor = nearest_reuse_factor(valid, draft.reuse_requested)
    units = draft.n_out // _GATES[draft.kind]
    again = valid_reuse_factors(units, draft.n_out, strategy=draft.strategy)
    draft.recurrent_reuse_factor = nearest_reuse_factor(again, draft.reuse_requested)


def _parallel(design: Design, draft: Draft) -> int:
    asked = int(design.config.block_value(draft.name, draft.kind, "parallelization_factor", 1))
    valid = partition_factors(draft.positions)
    if asked not in valid and design.config.layer(draft.name).fields.get("parallelization_factor") == asked:
        listing = ", ".join(map(str, valid[:12]))
        raise InputError(
            f"LayerName {draft.name!r}: ParallelizationFactor is {asked}; expected a divisor of its {draft.positions} "
            f"output positions: {listing}"
        )
    return nearest_reuse_factor(valid, asked)


def _finished(design: Design, *, keep_inputs: bool) -> tuple[HlsLayer, ...]:
    makers = {tensor: d for d in design.layers.values() for tensor in d.outputs}
    return tuple(_layer(design, d, makers, keep_inputs) for d in design.layers.values() if keep_inputs or d.kind != "Input")


def _layer(design: Design, draft: Draft, makers: dict[str, Draft], keep_inputs: bool) -> HlsLayer:
    sources = [makers[i] for i in draft.inputs]
    precision = {v: f for v, f in draft.types.items() if f is not None}
    if sources and sources[0].result is not None:
        precision["input"] = sources[0].result
    if draft.kind == "Einsum" and (second := sources[1].result) is not None:
        precision["weight"] = second
    main = next((draft.weights[v] for v in ("weight", "scale", "embeddings") if v in draft.weights), None)
    variable = "weight" if "weight" in precision else "scale" if "scale" in precision else "embeddings"
    return HlsLayer(
        name=draft.name,
        kind=draft.kind,
        inputs=tuple(s.name for s in sources if keep_inputs or s.kind != "Input"),
        nodes=draft.nodes,
        path=draft.path,
        in_shape=draft.in_shape,
        out_shape=draft.shape,
        n_in=draft.n_in or prod(draft.in_shape),
        n_out=draft.n_out or prod(draft.shape),
        kernel=draft.kernel,
        stride=draft.stride,
        padding=draft.padding,
        groups=draft.groups,
        operation=draft.operation,
        implementation=draft.implementation,
        strategy=draft.strategy,
        reuse_requested=draft.reuse_requested,
        reuse_factor=draft.reuse_factor,
        recurrent_reuse_factor=draft.recurrent_reuse_factor,
        parallelization_factor=draft.parallelization_factor,
        table_size=draft.table_size,
        use_bias=draft.use_bias,
        return_sequences=draft.return_sequences,
        static=bool(design.config.attribute(draft.name, draft.kind, "static", True)),
        precision=precision,
        weights=statistics(design.graph, main, precision.get(variable)),
    )
