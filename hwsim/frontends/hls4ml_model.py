"""Live hls4ml ModelGraph -> Graph, with the formats, reuse factors and strategies that hls4ml settled on; hls4ml is never imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from hwsim.errors import InputError, UnknownName, UnsupportedOp
from hwsim.graph import Graph, GraphBuilder

_OPTIONS = ("batch", "seq_len", "dims", "allow_unsupported")


class Hls4mlFrontend:
    """Reads the ModelGraph that `hls4ml.converters.convert_from_...` returns."""

    name = "hls4ml"

    def accepts(self, source: Any) -> bool:
        """A live ModelGraph of hls4ml."""
        return any(c.__name__ == "ModelGraph" and c.__module__.startswith("hls4ml.") for c in type(source).__mro__)

    def load(
        self,
        source: Any,
        *,
        batch: int | None = None,
        seq_len: int | None = None,
        dims: Mapping[str, int] | None = None,
        allow_unsupported: bool = False,
        **options: Any,
    ) -> Graph:
        """The network of a ModelGraph as hls4ml transformed it; its settings stand in `attrs["hls_config"]`.

        Raises:
            UnsupportedOp: layers without a counterpart, unless `allow_unsupported`.
            InputError: `seq_len` or `dims`, which a ModelGraph does not have.
        """
        for option in options:
            raise UnknownName("option of the hls4ml front end", option, _OPTIONS)
        if seq_len is not None or dims:
            raise InputError("seq_len and dims: the sizes in a ModelGraph are fixed; convert the source model with other sizes")
        return _Reader(source, batch or 1, allow_unsupported).read()


FRONTEND = Hls4mlFrontend()
"""What the entry point names."""


class _Reader:
    """One run over one ModelGraph. Tensors are channels last, as in hls4ml, except right around convolutions."""

    def __init__(self, model: Any, batch: int, allow_unsupported: bool) -> None:
        self.model, self.batch, self.lenient = model, batch, allow_unsupported
        self.settings = dict(model.config.config)
        name = str(self.settings.get("ProjectName") or "hls4ml")
        self.b = GraphBuilder(name, source="hls4ml", frontend="hls4ml", batch=batch, hls_config=configuration(model))
        self.values: dict[str, str] = {}
        self.missing: list[tuple[str, str]] = []

    def read(self) -> Graph:
        """The graph."""
        self.b.attrs["layer_classes"] = {layer.name: _source_class(layer) for layer in self.model.get_layers()}
        self.b.attrs["parameters"] = {
            layer.name: float(layer.get_attr("activ_param"))
            for layer in self.model.get_layers()
            if layer.get_attr("activ_param") is not None
        }
        for layer in self.model.get_layers():
            rule = _RULES.get(layer.class_name)
            if rule is not None:
                made = rule(self, layer)
            elif self.lenient:
                made = self._left_out(layer)
            else:
                self.missing.append((layer.name, layer.class_name))
                made = self._left_out(layer)
            self.values.update(dict.fromkeys(layer.outputs, made))
        if self.missing:
            raise UnsupportedOp(self.missing, where="hls4ml model")
        return self.b.finish([self.values[o] for o in self.model.outputs])

    def _left_out(self, layer: Any) -> str:
        shapes = ((self.batch, *shape_of(layer)),)
        return self.b.add("unsupported", self.inputs(layer), path=layer.name, operator=layer.class_name, shapes=shapes)

    def inputs(self, layer: Any) -> list[str]:
        """Operands of a layer."""
        return [self.values[i] for i in layer.inputs if i in self.values]

    def add(self, layer: Any, kind: str, inputs: list[str], **attrs: Any) -> str:
        """A node that bears the name of the layer."""
        return self.b.add(kind, inputs, path=layer.name, **attrs)

    def stored(self, layer: Any, name: str, shape: tuple[int, ...], values: np.ndarray | None) -> str:
        """A weight of a layer."""
        return self.b.weight(shape, name=f"{layer.name}.{name}", values=values)

    def first_to_last(self, layer: Any, tensor: str) -> str:
        """(N, C, ...) -> (N, ..., C)."""
        rank = len(self.b.shape(tensor))
        return self.b.add("transpose", [tensor], path=f"{layer.name}.channels_last", perm=(0, *range(2, rank), 1))

    def last_to_first(self, layer: Any, tensor: str) -> str:
        """(N, ..., C) -> (N, C, ...)."""
        rank = len(self.b.shape(tensor))
        return self.b.add("transpose", [tensor], path=f"{layer.name}.channels_first", perm=(0, rank - 1, *range(1, rank - 1)))

    def image(self, layer: Any, kind: str, operands: list[str], **attrs: Any) -> str:
        """A node that wants channels first, between two changes of layout."""
        first = self.last_to_first(layer, operands[0])
        return self.first_to_last(layer, self.add(layer, kind, [first, *operands[1:]], **attrs))


def shape_of(layer: Any) -> tuple[int, ...]:
    """Shape of a layer's output."""
    return tuple(int(s) for s in layer.get_output_variable().shape)


def configuration(model: Any) -> dict[str, Any]:
    """The settings of a ModelGraph as a whole hls4ml configuration, one entry a layer."""
    config = model.config
    default = str(config.backend.convert_precision_string(config.model_precision["default"]))
    names = {n: _settings(model, x) for x in model.get_layers() for n in {x.name, x.name.removeprefix("repack_")}}
    hls = {"Model": {"Precision": {"default": default}, "ReuseFactor": int(config.model_rf or 1)}, "LayerName": names}
    project = {k: config.config.get(k) for k in ("Backend", "Part", "ClockPeriod", "ClockUncertainty", "IOType")}
    return {**{k: v for k, v in project.items() if v is not None}, "HLSConfig": hls}


def _settings(model: Any, layer: Any) -> dict[str, Any]:
    types = {k.removesuffix("_t"): str(t.precision) for k, t in layer.types.items()}
    tables = {k: v for k, v in types.items() if k.endswith("table") or k == "inv_inp"}
    inner = ("index", "slope", "shift")
    found: dict[str, Any] = {"Precision": {k: v for k, v in types.items() if k not in tables and k not in inner}}
    found |= {f"{k}_t": v for k, v in tables.items()}
    strategy = layer.get_attr("strategy", None) or model.config.get_strategy(layer)
    found["ReuseFactor"] = int(layer.get_attr("reuse_factor", None) or 1)
    numbers = {"ParallelizationFactor": "parallelization_factor", "TableSize": "table_size"}
    found |= {k: int(layer.get_attr(a)) for k, a in numbers.items() if layer.get_attr(a) is not None}
    if layer.class_name == "Softmax":
        found["implementation"] = str(layer.get_attr("implementation", "stable"))
    elif layer.get_attr("implementation") is not None:
        found["ConvImplementation"] = str(layer.get_attr("implementation"))
    return {**found, "Strategy": str(strategy)}


def _source_class(layer: Any) -> str:
    """What tells layers apart that are one operator of a graph."""
    return "Average" if str(layer.get_attr("op")).lower() == "average" else layer.class_name


def _values(layer: Any, name: str) -> np.ndarray:
    return np.asarray(layer.weights[name].data)


def _held(layer: Any, name: str, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray | None:
    """Values of a weight; None where distributed arithmetic has turned them into adders."""
    return change(_values(layer, name)) if name in layer.weights else None


def _format(layer: Any) -> str:
    """Format of a layer's output."""
    text = str(layer.get_output_variable().type.precision)
    return text if "fixed" in text else f"ap_{text}"


def _bias(r: _Reader, layer: Any, count: int) -> list[str]:
    """The bias of a product, unless hls4ml made up a single bit for it."""
    if "bias" not in layer.weights:
        return [r.stored(layer, "bias", (count,), None)] if layer.get_attr("bias_data") is not None else []
    kind = layer.weights["bias"].type.precision
    absent = kind.width == 1 and not kind.signed and not np.any(_values(layer, "bias"))
    return [] if absent else [r.stored(layer, "bias", (count,), _values(layer, "bias").reshape(count))]


def _input(r: _Reader, layer: Any) -> str:
    return r.b.input(layer.name, (r.batch, *shape_of(layer)))


def _dense(r: _Reader, layer: Any) -> str:
    n_in, n_out = int(layer.get_attr("n_in")), int(layer.get_attr("n_out"))
    turned = layer.get_attr("_weights_transposed")
    values = _held(layer, "weight", lambda w: w if turned else w.reshape(n_in, n_out).T)
    return r.add(layer, "linear", [*r.inputs(layer), r.stored(layer, "weight", (n_out, n_in), values), *_bias(r, layer, n_out)])


def _conv(r: _Reader, layer: Any) -> str:
    two, depthwise = layer.class_name.endswith("2D"), layer.class_name.startswith("Depthwise")
    sides = ("height", "width") if two else ("width",)
    kernel, stride = (tuple(int(layer.get_attr(f"{a}_{s}")) for s in sides) for a in ("filt", "stride"))
    channels, filters = int(layer.get_attr("n_chan")), int(layer.get_attr("n_filt"))
    pads = tuple(
        (int(layer.get_attr(f"pad_{a}")), int(layer.get_attr(f"pad_{b}")))
        for a, b in (("top", "bottom"), ("left", "right"))[2 - len(sides) :]
    )
    shape = (filters, 1 if depthwise else channels, *kernel)
    known = "weight" in layer.weights and _values(layer, "weight").size == prod(shape)
    values = _kernel(layer, shape, depthwise=depthwise) if known else None
    weight = r.stored(layer, "weight", shape, values)
    operands = [*r.inputs(layer), weight, *_bias(r, layer, filters)]
    return r.image(layer, "conv", operands, stride=stride, padding=pads, groups=channels if depthwise else 1)


def _kernel(layer: Any, shape: tuple[int, ...], *, depthwise: bool) -> np.ndarray:
    """Weights as (filters, channels, *kernel); hls4ml has the filters last, or first where the resource strategy turned them.

    The weights that hls4ml 1.3 makes of a depthwise convolution and the normalisation after it have too many numbers; they are left out.
    """
    values = _values(layer, "weight")
    if depthwise:
        return np.moveaxis(values.reshape(*shape[2:], shape[0]), -1, 0).reshape(shape)
    if layer.get_attr("_weights_transposed"):
        return np.moveaxis(values.reshape(shape[0], *shape[2:], shape[1]), -1, 1)
    return np.moveaxis(values.reshape(*shape[2:], shape[1], shape[0]), (-1, -2), (0, 1))


def _pool(r: _Reader, layer: Any) -> str:
    fn = "avg" if str(layer.get_attr("pool_op")) == "Average" else "max"
    if layer.class_name.startswith("Global"):
        axes = tuple(range(1, len(r.b.shape(r.inputs(layer)[0])) - 1))
        first = r.last_to_first(layer, r.inputs(layer)[0])
        return r.add(layer, "reduce", [first], fn="mean" if fn == "avg" else "max", axes=tuple(a + 1 for a in axes))
    sides = ("height", "width") if layer.class_name.endswith("2D") else ("width",)
    kernel, stride = (tuple(int(layer.get_attr(f"{a}_{s}")) for s in sides) for a in ("pool", "stride"))
    pads = tuple(
        (int(layer.get_attr(f"pad_{a}")), int(layer.get_attr(f"pad_{b}")))
        for a, b in (("top", "bottom"), ("left", "right"))[2 - len(sides) :]
    )
    return r.image(layer, "pool", r.inputs(layer), fn=fn, kernel=kernel, stride=stride, padding=pads)


def _norm(r: _Reader, layer: Any) -> str:
    fn = "layer" if layer.class_name == "LayerNormalization" else "batch"
    operands = [r.stored(layer, v, _values(layer, v).reshape(-1).shape, _values(layer, v).reshape(-1)) for v in ("scale", "bias")]
    return r.add(layer, "norm", [r.inputs(layer)[0], *operands], fn=fn)


def _alpha(r: _Reader, layer: Any) -> str:
    scale = r.stored(layer, "scale", _values(layer, "scale").reshape(-1).shape, _values(layer, "scale").reshape(-1))
    return r.add(layer, "elementwise", [r.inputs(layer)[0], scale], fn="mul")


_FUNCTIONS = {"leakyrelu": "leaky_relu", "thresholdedrelu": "threshold", "linear": "identity", "hard_tanh": "hard_tanh"}


def _activation(r: _Reader, layer: Any) -> str:
    fn = str(layer.get_attr("activation")).lower()
    if layer.class_name == "Softmax":
        return r.add(layer, "softmax", r.inputs(layer))
    if layer.class_name == "PReLU":
        param = r.stored(layer, "param", _values(layer, "param").shape, _values(layer, "param"))
        return r.add(layer, "activation", [*r.inputs(layer), param], fn="prelu")
    return r.add(layer, "activation", r.inputs(layer), fn=_FUNCTIONS.get(fn, fn))


_MERGES = {"add": "add", "subtract": "sub", "multiply": "mul", "maximum": "maximum", "minimum": "minimum", "average": "add"}


def _merge(r: _Reader, layer: Any) -> str:
    return r.add(layer, "elementwise", r.inputs(layer), fn=_MERGES[str(layer.get_attr("op")).lower()])


def _dot(r: _Reader, layer: Any) -> str:
    a, b = r.inputs(layer)
    count = r.b.shape(a)[-1]
    left = r.b.add("reshape", [a], path=f"{layer.name}:left", shape=(r.batch, 1, count))
    right = r.b.add("reshape", [b], path=f"{layer.name}:right", shape=(r.batch, 1, count))
    product = r.add(layer, "matmul", [left, right], transpose_b=True)
    return r.b.add("reshape", [product], path=f"{layer.name}:flat", shape=(r.batch, 1))


def _concatenate(r: _Reader, layer: Any) -> str:
    return r.add(layer, "concat", r.inputs(layer), axis=int(layer.get_attr("axis")))


def _reshape(r: _Reader, layer: Any) -> str:
    return r.b.add("reshape", r.inputs(layer), path=layer.name.removeprefix("repack_"), shape=(r.batch, *shape_of(layer)))


def _transpose(r: _Reader, layer: Any) -> str:
    return r.add(layer, "transpose", r.inputs(layer), perm=(0, *(int(p) + 1 for p in layer.get_attr("perm"))), dtype=_format(layer))


def _resize(r: _Reader, layer: Any) -> str:
    size = shape_of(layer)[:-1]
    return r.image(layer, "resize", r.inputs(layer), size=size, mode=str(layer.get_attr("algorithm", "nearest")), dtype=_format(layer))


def _padding(r: _Reader, layer: Any) -> str:
    sides = (("top", "bottom"), ("left", "right"))[2 - (len(shape_of(layer)) - 1) :]
    pads = tuple((int(layer.get_attr(f"pad_{a}")), int(layer.get_attr(f"pad_{b}"))) for a, b in sides)
    return r.image(layer, "pad", r.inputs(layer), pads=((0, 0), (0, 0), *pads), dtype=_format(layer))


def _cropping(r: _Reader, layer: Any) -> str:
    *size, channels = shape_of(layer)
    return r.image(layer, "slice", r.inputs(layer), shape=(r.batch, channels, *size), dtype=_format(layer))


def _embedding(r: _Reader, layer: Any) -> str:
    values = _values(layer, "embeddings")
    return r.add(layer, "embedding", [r.stored(layer, "embeddings", values.shape, values), *r.inputs(layer)])


_CELLS = {"LSTM": ("lstm", 4), "GRU": ("gru", 3), "SimpleRNN": ("rnn", 1)}


def _recurrent(r: _Reader, layer: Any) -> str:
    cell, gates = _CELLS[layer.class_name]
    features, units = r.b.shape(r.inputs(layer)[0])[-1], int(layer.get_attr("n_out"))
    turned = layer.get_attr("_weights_transposed")
    weights = [_values(layer, v) if turned else _values(layer, v).T for v in ("weight", "recurrent_weight")]
    shapes = ((gates * units, features), (gates * units, units))
    names = ("weight", "recurrent_weight")
    operands = [r.stored(layer, n, s, w) for n, s, w in zip(names, shapes, weights, strict=True)]
    bias = r.stored(layer, "bias", (gates * units,), _values(layer, "bias"))
    result = r.add(layer, "recurrent", [*r.inputs(layer), *operands, bias], cell=cell)
    if layer.get_attr("return_sequences"):
        return result
    return r.b.add("slice", [result], path=f"{layer.name}.last", shape=(r.batch, units))


def _both(r: _Reader, layer: Any) -> str:
    """A recurrent layer in both directions; merged other than by concatenation it is not known."""
    cell, gates = _CELLS[str(layer.get_attr("forward_class_name"))]
    features, units = r.b.shape(r.inputs(layer)[0])[-1], int(layer.get_attr("forward_n_states"))
    if int(layer.get_attr("n_out")) != 2 * units:
        r.missing.append((layer.name, f"Bidirectional merged by {layer.get_attr('merge_mode')}"))
        return r._left_out(layer)
    shapes = ((2 * gates * units, features), (2 * gates * units, units))
    operands = [r.stored(layer, n, s, None) for n, s in zip(("weight", "recurrent_weight"), shapes, strict=True)]
    bias = r.stored(layer, "bias", (2 * gates * units,), None)
    result = r.add(layer, "recurrent", [*r.inputs(layer), *operands, bias], cell=cell, directions=2)
    if layer.get_attr("return_sequences"):
        return result
    return r.b.add("slice", [result], path=f"{layer.name}.last", shape=(r.batch, 2 * units))


def _same(r: _Reader, layer: Any) -> str:
    return r.inputs(layer)[0]


def _expand(r: _Reader, layer: Any) -> str:
    return r.b.add("expand", r.inputs(layer), path=layer.name, shape=(r.batch, *shape_of(layer)))


def _einsum(r: _Reader, layer: Any) -> str:
    a, b = r.inputs(layer)
    if prod(r.b.shape(a)[:-2]) != prod(r.b.shape(b)[:-2]) or r.b.shape(a)[-1] != r.b.shape(b)[-2]:
        r.missing.append((layer.name, f"Einsum {layer.get_attr('equation')}"))
        return r._left_out(layer)
    return r.add(layer, "matmul", [a, b])


def _einsum_dense(r: _Reader, layer: Any) -> str:
    """A product along some axes as rows times a matrix; only where no axis stands in all of input, weight and result."""
    inner, columns = int(layer.get_attr("n_contract")), int(layer.get_attr("n_free_kernel"))
    if int(layer.get_attr("n_inplace")) != 1:
        r.missing.append((layer.name, f"EinsumDense {layer.get_attr('equation')}"))
        return r._left_out(layer)
    (x,) = r.inputs(layer)
    rows = r.b.add("reshape", [x], path=f"{layer.name}:rows", shape=(r.batch, prod(r.b.shape(x)[1:]) // inner, inner))
    made = r.add(layer, "linear", [rows, r.stored(layer, "weight", (columns, inner), None)])
    return r.b.add("reshape", [made], path=f"{layer.name}:out", shape=(r.batch, *shape_of(layer)))


_CONVS = tuple(f"{prefix}Conv{dims}D" for prefix in ("", "Pointwise", "Depthwise") for dims in (1, 2))
_RULES: dict[str, Callable[[_Reader, Any], str]] = {
    "Input": _input,
    "Dense": _dense,
    **dict.fromkeys(_CONVS, _conv),
    **dict.fromkeys(("Pooling1D", "Pooling2D", "GlobalPooling1D", "GlobalPooling2D"), _pool),
    **dict.fromkeys(("BatchNormalization", "LayerNormalization"), _norm),
    "ApplyAlpha": _alpha,
    **dict.fromkeys(("Activation", "ParametrizedActivation", "HardActivation", "PReLU", "Softmax"), _activation),
    "Merge": _merge,
    "Dot": _dot,
    "Concatenate": _concatenate,
    **dict.fromkeys(("Reshape", "Repack"), _reshape),
    "Transpose": _transpose,
    "Resize": _resize,
    **dict.fromkeys(("ZeroPadding1D", "ZeroPadding2D"), _padding),
    **dict.fromkeys(("Cropping1D", "Cropping2D"), _cropping),
    "Embedding": _embedding,
    **dict.fromkeys(_CELLS, _recurrent),
    "Bidirectional": _both,
    "Clone": _same,
    "Broadcast": _same,
    "Einsum": _einsum,
    "EinsumDense": _einsum_dense,
}
