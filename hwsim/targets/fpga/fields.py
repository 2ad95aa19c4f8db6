"""Fields of an hls4ml configuration: which there are, and what they may hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hwsim.errors import InputError, UnknownName
from hwsim.targets.fpga.precision import FixedPoint, parse

HLS_KEYS = ("Model", "LayerType", "LayerName", "Flows", "Optimizers", "SkipOptimizers")
TOP_KEYS = (
    "HLSConfig", "Backend", "Part", "XilinxPart", "FPGAPart", "Board", "ClockPeriod", "ClockUncertainty", "IOType", "OutputDir",
    "ProjectName", "ProjectDir", "Version", "WriterConfig", "AcceleratorConfig", "KerasModel", "KerasJson", "KerasH5", "OnnxModel",
    "PytorchModel", "PytorchDict", "InputShape", "InputData", "OutputPredictions", "InputShapes", "OutputShapes", "Stamp", "TraceOutput",
    "Technology", "ASICLibs", "FIFO", "FPGAFamily", "Compiler", "HyperoptHandshake", "UseOneAPIBSP", "InterfaceType",
)  # fmt: skip
LAYER_TYPES = (
    "Input", "InputLayer", "Dense", "QDense", "BinaryDense", "TernaryDense", "Conv1D", "Conv2D", "QConv1D", "QConv2D", "BinaryConv2D",
    "QConv2DBatchnorm", "Conv2DBatchnorm", "SeparableConv1D", "SeparableConv2D", "QSeparableConv1D", "QSeparableConv2D",
    "DepthwiseConv1D", "DepthwiseConv2D", "QDepthwiseConv1D", "QDepthwiseConv2D", "PointwiseConv1D", "PointwiseConv2D", "Pooling1D",
    "Pooling2D", "MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D", "GlobalPooling1D", "GlobalPooling2D",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "ZeroPadding1D", "ZeroPadding2D",
    "Cropping1D", "Cropping2D", "Activation", "QActivation", "ParametrizedActivation", "HardActivation", "LeakyReLU", "ThresholdedReLU",
    "ReLU", "ELU", "PReLU", "Softmax", "TernaryTanh", "BatchNormalization", "QBatchNormalization", "LayerNormalization", "ApplyAlpha",
    "Merge", "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Dot", "Concatenate", "Reshape", "Flatten", "Permute",
    "Transpose", "Resize", "UpSampling1D", "UpSampling2D", "Embedding", "SimpleRNN", "LSTM", "GRU", "QSimpleRNN", "QLSTM", "QGRU",
    "Bidirectional", "QBidirectional", "TimeDistributed", "Einsum", "EinsumDense", "MultiHeadAttention", "GarNet", "GarNetStack",
    "Constant", "Quant", "BipolarQuant", "MatMul", "Conv", "BatchNormOnnx", "Clone", "Repack", "Broadcast", "Dropout",
)  # fmt: skip
BACKENDS = {
    "vivado": "Vivado",
    "vitis": "Vitis",
    "vivadoaccelerator": "VivadoAccelerator",
    "vitisunified": "VitisUnified",
    "oneapi": "oneAPI",
    "quartus": "Quartus",
    "catapult": "Catapult",
    "libero": "Libero",
}
VALIDATED_BACKENDS = ("Vivado", "Vitis", "VivadoAccelerator")
"""Backends whose templates hwsim's closed forms were compared with; the others follow them and are less validated."""
IO_TYPES = ("io_parallel", "io_stream")
STRATEGIES = {
    "latency": "latency",
    "resource": "resource",
    "resource_unrolled": "unrolled",
    "unrolled": "unrolled",
    "distributed_arithmetic": "distributed_arithmetic",
    "da": "distributed_arithmetic",
    "d_a": "distributed_arithmetic",
    "compressed": "resource",
    "stable": "latency",
    "argmax": "latency",
    "legacy": "latency",
}
"""Spellings of a strategy in snake case to hwsim's; the last three were names of softmax variants once."""


def snake_case(name: str) -> str:
    """`ReuseFactor` -> `reuse_factor`, as hls4ml turns fields into attributes."""
    return re.sub(r"_{2,}", "_", re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower())


def check_keys(data: Any, known: Iterable[str], *, where: str, what: str = "field") -> None:
    """Complain about keys that are not known.

    Raises:
        InputError: no mapping.
        UnknownName: another key.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"{where}: found {data!r}; expected a mapping")
    for key in data:
        if str(key) not in (known := tuple(known)):
            raise UnknownName(f"{what} in {where}:", str(key), known)


def _count(value: Any, *, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or not re.fullmatch(r"[+-]?\d+(\.0+)?", str(value).strip()):
        raise InputError(f"{where} is {value!r}; expected a whole number of at least 1")
    if (number := int(float(value))) < 1:
        raise InputError(f"{where} is {number}; expected at least 1")
    return number


def _flag(value: Any, *, where: str) -> bool:
    if isinstance(value, int | bool):
        return bool(value)
    if str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    raise InputError(f"{where} is {value!r}; expected true or false")


def _strategy(value: Any, *, where: str) -> str:
    try:
        return STRATEGIES[snake_case(str(value))]
    except KeyError:
        known = ("Latency", "Resource", "Unrolled", "Distributed_Arithmetic")
        raise UnknownName(f"strategy in {where}:", str(value), known) from None


def _choice(*known: str) -> Callable[..., str]:
    def check(value: Any, *, where: str) -> str:
        if str(value).lower() not in known:
            raise UnknownName(f"value of {where}:", str(value), known)
        return str(value).lower()

    return check


def _format(value: Any, *, where: str) -> str:
    if isinstance(value, FixedPoint):
        return str(value)
    try:
        return str(value) if str(value).lower() == "auto" else str(parse(str(value)))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _anything(value: Any, *, where: str) -> Any:
    return _frozen(value)


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((k, _frozen(v)) for k, v in value.items())
    return tuple(_frozen(v) for v in value) if isinstance(value, list | tuple) else value


_COUNTS = (
    "reuse_factor", "recurrent_reuse_factor", "depthwise_reuse_factor", "pointwise_reuse_factor", "forward_reuse_factor",
    "backward_reuse_factor", "forward_recurrent_reuse_factor", "backward_recurrent_reuse_factor", "parallelization_factor", "table_size",
    "exp_table_size", "inv_table_size", "target_cycles", "n_partitions",
)  # fmt: skip
_FLAGS = ("trace", "trace_output", "skip", "static", "compression", "bit_exact", "transpose_outputs", "trusted")
_OTHERS = (
    "bram_factor", "table_range_max", "table_range_power2", "pipeline_style", "pipeline_interval", "channels_last_conversion", "type_name",
    "allow_d_a_fallback", "allow_v2_fallback", "quantize", "merge_factor", "granularity", "algorithm", "size", "loop_parallelism",
)  # fmt: skip
FIELDS: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(_COUNTS, _count),
    **dict.fromkeys(_FLAGS, _flag),
    **dict.fromkeys(_OTHERS, _anything),
    "strategy": _strategy,
    "conv_implementation": _choice("linebuffer", "encoded"),
    "implementation": _choice("latency", "stable", "argmax", "legacy", "linebuffer", "encoded"),
    "time_step_loop_parallelism": _choice("off", "unroll", "pipeline"),
    "direction": _choice("forward", "backward"),
}


def checked(name: str, value: Any, *, key: str, where: str) -> Any:
    """The value of a field, checked and hashable. Fields that end in `_t` hold formats.

    Raises:
        UnknownName: no such field.
        InputError: a value that it cannot have.
    """
    if name.endswith("_t"):
        return _format(value, where=f"{where}: {key}")
    if name not in FIELDS:
        known = ["Precision", "TableT", *("".join(p.title() for p in f.split("_")) for f in FIELDS)]
        raise UnknownName(f"field in {where}:", key, known)
    return FIELDS[name](value, where=f"{where}: {key}")


def project(top: Mapping[str, Any]) -> dict[str, Any]:
    """Backend, part, clock and I/O type of a whole configuration, by the names of HlsConfig."""
    period = _seconds(top.get("ClockPeriod"))
    return {
        "backend": _backend(top.get("Backend")),
        "part": _text(top.get("Part") or top.get("XilinxPart") or top.get("FPGAPart")),
        "board": _text(top.get("Board")),
        "clock_period_s": period,
        "clock_uncertainty_frac": _share(top.get("ClockUncertainty"), period),
        "io_type": _io_type(top.get("IOType")),
    }


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _backend(value: Any) -> str | None:
    if value is None:
        return None
    if str(value).lower() not in BACKENDS:
        raise UnknownName("backend", str(value), BACKENDS.values())
    return BACKENDS[str(value).lower()]


def _io_type(value: Any) -> str | None:
    if value is not None and str(value) not in IO_TYPES:
        raise UnknownName("IOType", str(value), IO_TYPES)
    return value


def _seconds(value: Any) -> float | None:
    """A clock period in ns, as the file gives it, in s."""
    if value is None:
        return None
    try:
        period = float(value)
    except (TypeError, ValueError):
        period = -1.0
    if not 0 < period < 1e6:
        raise InputError(f"ClockPeriod is {value!r}; expected a time in ns, such as 5")
    return period * 1e-9


def _share(value: Any, period_s: float | None) -> float | None:
    """A clock uncertainty, in percent or in ns, as a share of the period."""
    if value is None:
        return None
    match = re.fullmatch(r"\s*([\d.]+)\s*(%?)\s*(?:ns)?\s*", str(value))
    if match is None or (not match[2] and period_s is None):
        raise InputError(f"ClockUncertainty is {value!r}; expected a share such as '12.5%'")
    return float(match[1]) / 100 if match[2] else float(match[1]) * 1e-9 / (period_s or 1.0)
