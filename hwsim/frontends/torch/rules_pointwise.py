"""Rules of element-wise functions and casts."""

from __future__ import annotations

from hwsim.frontends.torch.rules import Call, rule

_SAME_NAME = """
relu relu6 silu sigmoid tanh leaky_relu elu selu celu mish softplus softsign log_sigmoid prelu threshold square isnan
exp log log1p expm1 sqrt rsqrt reciprocal sin cos tan sinh cosh atan erf neg abs sign floor ceil round
""".split()  # noqa: SIM905
_UNARY = {name: name for name in _SAME_NAME} | {
    "hardswish": "hard_swish",
    "hardsigmoid": "hard_sigmoid",
    "rrelu_with_noise": "leaky_relu",
    "absolute": "abs",
    "negative": "neg",
    "sgn": "sign",
    "trunc": "floor",
    "fix": "floor",
    "frac": "sub",
    "exp2": "exp",
    "log2": "log",
    "log10": "log",
    "erfc": "erf",
    "asinh": "log",
    "acos": "atan",
    "asin": "atan",
    "logical_not": "not",
    "bitwise_not": "not",
    "isinf": "isnan",
    "isfinite": "isnan",
    "special_expit": "sigmoid",
    "logit": "log",
    "angle": "atan",
    "sinc": "sin",
    "erfinv": "log",
    "signbit": "less",
    "nan_to_num": "clip",
    "clamp": "clip",
    "clamp_min": "maximum",
    "clamp_max": "minimum",
    "hardshrink": "threshold",
    "softshrink": "threshold",
    "tril": "mul",
    "triu": "mul",
}
_BINARY = {
    "add": "add",
    "sub": "sub",
    "rsub": "sub",
    "subtract": "sub",
    "mul": "mul",
    "multiply": "mul",
    "div": "div",
    "divide": "div",
    "true_divide": "div",
    "floor_divide": "div",
    "fmod": "mod",
    "remainder": "mod",
    "maximum": "maximum",
    "minimum": "minimum",
    "eq": "equal",
    "ne": "equal",
    "isclose": "equal",
    "lt": "less",
    "le": "less",
    "gt": "greater",
    "ge": "greater",
    "greater": "greater",
    "less": "less",
    "logical_and": "and",
    "logical_or": "or",
    "logical_xor": "xor",
    "bitwise_and": "and",
    "bitwise_or": "or",
    "bitwise_xor": "xor",
    "__and__": "and",
    "__or__": "or",
    "__xor__": "xor",
    "bitwise_left_shift": "bitwise",
    "bitwise_right_shift": "bitwise",
    "__lshift__": "bitwise",
    "__rshift__": "bitwise",
    "where": "where",
    "masked_fill": "where",
    "masked_scatter": "where",
    "lerp": "add",
    "addcmul": "add",
    "addcdiv": "div",
    "atan2": "atan",
    "hypot": "sqrt",
    "xlogy": "log",
    "logaddexp": "exp",
    "copysign": "sign",
    "heaviside": "greater",
    "polar": "sin",
    "complex": "identity",
}
_POWERS = {2: "square", 1: "identity", 0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal", 3: "square"}


@rule(*_UNARY)
def unary(call: Call) -> str:
    """A scalar function of one tensor, perhaps with limits that are tensors."""
    inputs = call.tensors()
    fn = _UNARY[call.operator]
    kind = "activation" if len(inputs) <= 2 else "elementwise"
    return call.add(kind, inputs, fn=fn)


@rule("hardtanh")
def hardtanh(call: Call) -> str:
    """ReLU6 is a hard tanh from 0 to 6."""
    six = (call["min_val"], call["max_val"]) == (0.0, 6.0)
    return call.add("activation", [call.need("self")], fn="relu6" if six else "hard_tanh")


@rule("gelu")
def gelu(call: Call) -> str:
    """Exact, or with tanh."""
    return call.add("activation", [call.need("self")], fn="gelu_tanh" if call["approximate"] == "tanh" else "gelu")


@rule("glu")
def glu(call: Call) -> str:
    """Half of the channels times the sigmoid of the other half."""
    x, axis = call.need("self"), call["dim"]
    shape = call.shape_of(x)
    halves = call.converter.add_many("split", [x], dtype=call.converter.builder.tensors[x].dtype, sizes=(shape[axis] // 2,) * 2, axis=axis)
    return call.add("elementwise", [halves[0], call.add("activation", [halves[1]], fn="sigmoid")], fn="mul")


@rule("pow", "float_power")
def power(call: Call) -> str:
    """Squares and roots have operations of their own."""
    fn = _POWERS.get(call.get("exponent"), "pow") if call.tensor("exponent") is None else "pow"
    return call.add("elementwise", call.tensors(), fn=fn)


@rule(*_BINARY)
def binary(call: Call) -> str:
    """A scalar function with broadcasting; numbers are no operands."""
    fn = _BINARY[call.operator]
    if fn == "div" and call.tensor("other") is None and call.fake.dtype.is_floating_point and not call.get("rounding_mode"):
        fn = "mul"
    return call.add("elementwise", call.tensors(), fn=fn)


@rule("to", "_to_copy", "type_as", "float", "half", "bfloat16", "double", "_autocast_to_full_precision", "_autocast_to_reduced_precision")
def cast(call: Call) -> str:
    """Nothing where the format stays."""
    x = call.need("self")
    if call.input_fake("self").dtype == call.fake.dtype:
        return x
    return call.add("cast", [x], to=call.converter.format_name(call.fake))
