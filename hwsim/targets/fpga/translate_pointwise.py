"""Activations, softmax, normalisation, merges, quantisers."""

from __future__ import annotations

from math import prod

from hwsim.graph import Node
from hwsim.targets.fpga.precision import parse
from hwsim.targets.fpga.translate import NotPossibleError, Translator, Value, formats, rule

PLAIN = ("relu", "sigmoid", "tanh", "softplus", "softsign", "relu6", "selu")
"""Functions of hls4ml's class Activation."""
PARAMETRISED = {"leaky_relu": 0.3, "elu": 1.0, "threshold": 0.0}
"""Functions of its class ParametrizedActivation, with the parameter that counts where the graph has none."""
KERAS, TORCH_SLOPE = ("keras", "wa_hls4ml", "hls4ml"), 0.01
"""Front ends whose leaky ReLU has Keras' slope where none is stated; the slope elsewhere is that of PyTorch and ONNX."""
HARD = ("hard_sigmoid", "hard_tanh")
_NAMES = {"threshold": "thresholded_relu"}
MERGES = {"add": "add", "sub": "subtract", "mul": "multiply", "maximum": "maximum", "minimum": "minimum", "average": "average"}


@rule("activation")
def activation(t: Translator, node: Node) -> None:
    """A function of one tensor."""
    fn, value = str(node.attrs["fn"]), t.value(node.inputs[0])
    if fn in ("identity", "cast"):
        return linear(t, node)
    if fn == "prelu":
        return _prelu(t, node, value)
    if fn == "relu" and t.source_class(node) == "ReLU":
        _activation(t, node, value, "ParametrizedActivation", "thresholded_relu")
    elif fn == "sign":
        _activation(t, node, value, "Activation", "binary_tanh")
    elif fn in PLAIN:
        _activation(t, node, value, "Activation", fn)
    elif fn in HARD:
        _activation(t, node, value, "HardActivation", fn)
    elif fn in PARAMETRISED:
        usual = PARAMETRISED[fn] if t.graph.attrs.get("frontend") in KERAS or fn != "leaky_relu" else TORCH_SLOPE
        parameter = float(t.graph.attrs.get("parameters", {}).get(node.name, usual))
        _activation(t, node, value, "ParametrizedActivation", _NAMES.get(fn, fn), parameter=parameter)
    else:
        raise NotPossibleError(f"function {fn}; hls4ml has {', '.join((*PLAIN, *HARD, *PARAMETRISED, 'prelu', 'softmax'))}")
    return None


def _activation(t: Translator, node: Node, value: Value, kind: str, operation: str, parameter: float = 0.0) -> None:
    count = prod(t.design.shape_of(value.tensor))
    shape = t.design.shape_of(value.tensor)
    t.add(node, kind, [value], axes=value.axes, shape=shape, operation=operation, n_in=count, n_out=count, parameter=parameter)


def _prelu(t: Translator, node: Node, value: Value) -> None:
    count = prod(t.design.shape_of(value.tensor))
    weights: dict[str, str] = dict(zip(("param",), node.inputs[1:], strict=False))
    t.add(
        node, "PReLU", [value], axes=value.axes, operation="prelu", n_in=count, n_out=count, weights=weights, quantised=formats(t, weights)
    )


@rule("cast", "dequantize", "copy")
def linear(t: Translator, node: Node) -> None:
    """A linear activation: hls4ml drops it where it changes no format."""
    value = t.value(node.inputs[0])
    _activation(t, node, value, "Activation", "linear")


@rule("quantize")
def quantize(t: Translator, node: Node) -> None:
    """A quantiser is a linear activation with a format, which it hands to the layer before where it can."""
    value = t.value(node.inputs[0])
    to, own = str(node.attrs["to"]), t.quantised(node.outputs[0], "result")
    given = {} if own or not to.startswith(("ap_", "ac_", "fixed", "ufixed")) else {"result": parse(to)}
    count = prod(t.design.shape_of(value.tensor))
    t.add(node, "Activation", [value], axes=value.axes, operation="linear", n_in=count, n_out=count, quantised=given)


@rule("softmax")
def softmax(t: Translator, node: Node) -> None:
    """Softmax along the last axis (a class of its own in hls4ml)."""
    if node.attrs["log"]:
        raise NotPossibleError("log softmax; hls4ml has softmax")
    value = t.plain(node.inputs[0])
    count = prod(t.design.shape_of(value.tensor))
    t.add(node, "Softmax", [value], operation="softmax", n_in=count, n_out=count)


@rule("norm")
def norm(t: Translator, node: Node) -> None:
    """BatchNormalization and LayerNormalization."""
    fn = node.attrs["fn"]
    if fn not in ("batch", "layer"):
        raise NotPossibleError(f"{fn} normalisation; hls4ml has batch and layer normalisation")
    value = t.value(node.inputs[0]) if fn == "batch" else t.plain(node.inputs[0])
    weights: dict[str, str] = dict(zip(("scale", "bias"), node.inputs[1:3], strict=False))
    shape = t.design.shape_of(value.tensor)
    kind = "BatchNormalization" if fn == "batch" else "LayerNormalization"
    facts = {"n_in": prod(shape), "n_out": prod(shape), "weights": weights, "quantised": formats(t, weights)}
    t.add(node, kind, [value], axes=value.axes, **facts)


@rule("elementwise")
def elementwise(t: Translator, node: Node) -> None:
    """Merge of two tensors; with a stored operand, a scale and shift (ApplyAlpha)."""
    fn, data = str(node.attrs["fn"]), [i for i in node.inputs if t.is_data(i)]
    if fn in ("identity", "cast") or fn in (*PLAIN, *HARD):
        return activation(t, node)
    if len(data) == 1 and len(node.inputs) == 2 and fn in ("add", "sub", "mul", "div"):
        return _scale(t, node, data[0])
    if fn not in MERGES:
        raise NotPossibleError(f"function {fn} of {len(data)} tensors; hls4ml merges by {', '.join(MERGES.values())}")
    if len(data) != 2 or len(node.inputs) != 2:
        raise NotPossibleError(f"{fn} of {len(node.inputs)} tensors; hls4ml merges two at a time. Chain it")
    return merge(t, node, "average" if t.source_class(node) == "Average" else MERGES[fn])


def merge(t: Translator, node: Node, operation: str) -> None:
    """A layer of two inputs of one rank."""
    wide = max(node.inputs, key=lambda i: (len(t.shape(i)), prod(t.shape(i))))
    axes = t.value(wide).axes
    if any(len(t.shape(i)) != len(axes) for i in node.inputs):
        raise NotPossibleError("operands of different rank; hls4ml broadcasts within one rank only")
    inputs = [t.value(i, axes) for i in node.inputs]
    count = prod(t.design.shape_of(t.value(wide).tensor))
    t.add(node, "Merge", inputs, axes=axes, operation=operation, n_in=count, n_out=count)


def _scale(t: Translator, node: Node, data: str) -> None:
    value = t.value(data)
    stored = next(i for i in node.inputs if i != data)
    variable: str = "scale" if node.attrs["fn"] in ("mul", "div") else "bias"
    count = prod(t.design.shape_of(value.tensor))
    weights: dict[str, str] = {variable: stored}
    t.add(node, "ApplyAlpha", [value], axes=value.axes, n_in=count, n_out=count, weights=weights, quantised=formats(t, weights))
