"""Number formats of QKeras quantisers, read as hls4ml reads them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.dtypes import DType, dtype
from hwsim.errors import InputError, UnknownName

KNOWN = (
    "quantized_bits",
    "quantized_linear",
    "quantized_relu",
    "quantized_ulaw",
    "quantized_tanh",
    "quantized_sigmoid",
    "quantized_po2",
    "quantized_relu_po2",
    "quantized_hswish",
    "binary",
    "ternary",
    "binary_tanh",
    "ternary_tanh",
    "stochastic_binary",
    "stochastic_ternary",
    "bernoulli",
    "linear",
)
_ARGUMENTS = {
    "quantized_bits": ("bits", "integer", "symmetric", "keep_negative", "alpha"),
    "quantized_linear": ("bits", "integer", "symmetric", "keep_negative", "alpha"),
    "quantized_relu": ("bits", "integer", "use_sigmoid", "negative_slope"),
    "quantized_tanh": ("bits", "use_stochastic_rounding", "symmetric", "use_real_tanh"),
    "quantized_sigmoid": ("bits", "symmetric", "use_real_sigmoid"),
}
_DEFAULT_BITS = 8


@dataclass(frozen=True, slots=True)
class Quantizer:
    """A quantiser by name, with its settings."""

    name: str
    settings: Mapping[str, Any]

    @property
    def bits(self) -> int:
        """Width."""
        return int(self.settings.get("bits", _DEFAULT_BITS))

    @property
    def integer(self) -> int:
        """Bits left of the point without the sign, as QKeras counts them."""
        return int(self.settings.get("integer") or 0)

    def weight_format(self) -> DType:
        """Format of weights under it."""
        if "binary" in self.name:
            return dtype("ap_uint<1>")
        if "ternary" in self.name:
            return dtype("ap_int<2>")
        signed = bool(self.settings.get("keep_negative", True)) and "relu" not in self.name
        if signed and self.bits == self.integer:
            return dtype("ap_uint<1>" if self.bits == 1 else f"ap_int<{self.bits}>")
        return dtype(_fixed(self.bits, self.integer + signed, signed=signed))

    def activation_format(self) -> DType:
        """Format of activations under it, with the rounding and saturation that the tools are told to use."""
        if any(word in self.name for word in ("binary", "ternary", "bernoulli")):
            return dtype("ap_int<2>")
        if self.name.startswith("quantized_relu"):
            signed = bool(self.settings.get("negative_slope"))
            return dtype(_fixed(self.bits, self.integer + signed, signed=signed, modes=",AP_RND_CONV,AP_SAT"))
        if self.name == "quantized_tanh":
            mode = "AP_SAT_SYM" if self.settings.get("symmetric") else "AP_SAT"
            return dtype(_fixed(self.bits, 1, signed=True, modes=f",AP_RND_CONV,{mode}"))
        if self.name == "quantized_sigmoid":
            return dtype(_fixed(self.bits, 0, signed=False, modes=",AP_RND_CONV,AP_SAT"))
        signed = bool(self.settings.get("keep_negative", True))
        return dtype(_fixed(self.bits, self.integer + signed, signed=signed, modes=",AP_RND_CONV,AP_SAT"))

    @property
    def function(self) -> str:
        """The scalar function that it is as an activation."""
        if any(word in self.name for word in ("binary", "ternary", "bernoulli")):
            return "sign"
        if self.name.startswith("quantized_relu"):
            return "leaky_relu" if self.settings.get("negative_slope") else "relu"
        if self.name == "quantized_tanh":
            return "tanh" if self.settings.get("use_real_tanh") else "hard_tanh"
        if self.name == "quantized_sigmoid":
            return "sigmoid" if self.settings.get("use_real_sigmoid") else "hard_sigmoid"
        return "hard_swish" if self.name == "quantized_hswish" else "identity"


def _fixed(width: int, integer: int, *, signed: bool, modes: str = "") -> str:
    return f"ap_{'' if signed else 'u'}fixed<{width},{integer}{modes}>"


def quantizer(value: Any, *, where: str) -> Quantizer | None:
    """The quantiser that a setting names: a mapping, or text such as `quantized_bits(8, 3, alpha=1)`; None where there is none.

    Raises:
        InputError: text that is no call.
        UnknownName: not a quantiser of QKeras.
    """
    if value is None or value == "linear":
        return None
    if isinstance(value, Mapping):
        name = str(value.get("class_name") or value.get("name") or "")
        settings = value.get("config") or {}
        found = Quantizer(name.rpartition(">")[2], settings if isinstance(settings, Mapping) else {})
    else:
        found = _from_text(str(value), where=where)
    if found.name not in KNOWN:
        raise UnknownName(f"quantizer in {where}:", found.name, KNOWN)
    return _checked(found, where=where)


def _from_text(text: str, *, where: str) -> Quantizer:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = None
    if isinstance(tree, ast.Name):
        return Quantizer(tree.id, {})
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise InputError(f"{where}: the quantizer {text!r} cannot be read; expected text such as 'quantized_bits(8, 3, alpha=1)'")
    try:
        arguments = [ast.literal_eval(a) for a in tree.args]
        settings = {k.arg: ast.literal_eval(k.value) for k in tree.keywords if k.arg}
    except ValueError:
        raise InputError(f"{where}: the quantizer {text!r} has arguments that are no plain numbers or words") from None
    names = _ARGUMENTS.get(tree.func.id, ("bits", "integer"))
    return Quantizer(tree.func.id, {**dict(zip(names, arguments, strict=False)), **settings})


def _checked(found: Quantizer, *, where: str) -> Quantizer:
    try:
        bits, integer = found.bits, found.integer
    except (TypeError, ValueError):
        raise InputError(f"{where}: {found.name} has bits={found.settings.get('bits')!r}; expected a whole number") from None
    if not 1 <= bits <= 64 or not -64 <= integer <= 64:
        raise InputError(f"{where}: {found.name} has {bits} bits, {integer} of them integer; expected 1 to 64")
    return found
