"""Fit and validate the convolution constants on public measurements, leaving devices or groups of shapes out.

Three sets: TensorRT on V100 (fp32, fp16, int8, depthwise too), NeuSight (PyTorch, fp32 3x3, five GPUs), DeepBench (cuDNN, nine GPUs).
Run `python -m hwsim.targets.gpu.calibrate.conv` to refit and to write `targets/gpu/fitted/conv.yaml`. Needs pandas and scipy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from hwsim.datasets.convs import Columns, load_deepbench, load_lightnas, load_neusight
from hwsim.errors import InputError
from hwsim.targets.gpu.kernels.conv import ConvColumns, ConvConstants, conv_columns, conv_time, unit_rates

_FIELDS = (
    "sm_count", "clock_hz", "fp32_flop_per_clk", "fp16_flop_per_clk", "fp16_tensor_flop_per_clk", "int8_tensor_op_per_clk",
    "dram_b_per_s", "l2_b", "l2_b_per_clk", "power_limit_w",
)  # fmt: skip
DATASHEET = {
    "m40": (24, 1114e6, 256, 256, 0, 0, 288e9, 3e6, 32, 250),
    "titan-x-maxwell": (24, 1089e6, 256, 256, 0, 0, 336e9, 3e6, 32, 250),
    "gtx-1080ti": (28, 1582e6, 256, 4, 0, 0, 484e9, 2.75e6, 32, 250),
    "titan-x-pascal": (28, 1531e6, 256, 4, 0, 0, 480e9, 3e6, 32, 250),
    "titan-xp": (30, 1582e6, 256, 4, 0, 0, 547.6e9, 3e6, 32, 250),
    "p4": (20, 1113e6, 256, 4, 0, 0, 192e9, 2e6, 32, 75),
    "p100-pcie": (56, 1303e6, 128, 256, 0, 0, 732e9, 4e6, 32, 250),
    "v100-pcie": (80, 1380e6, 128, 256, 1024, 0, 900e9, 6e6, 64, 250),
    "v100-sxm2": (80, 1530e6, 128, 256, 1024, 0, 900e9, 6e6, 64, 300),
    "t4": (40, 1590e6, 128, 256, 1024, 2048, 320e9, 4e6, 64, 70),
    "a100-pcie-80gb": (108, 1410e6, 128, 512, 2048, 4096, 1935e9, 40e6, 64, 300),
}
"""Datasheet numbers of the calibration devices, in the order of `_FIELDS` (NVIDIA datasheets and architecture papers)."""

PROCESS_NM = dict.fromkeys(DATASHEET, 16.0) | {
    "m40": 28.0, "titan-x-maxwell": 28.0, "v100-pcie": 12.0, "v100-sxm2": 12.0, "t4": 12.0, "a100-pcie-80gb": 7.0,
}  # fmt: skip
"""Process node of the calibration devices."""

START = ConvConstants(
    engine_call_s=6e-6, framework_call_s=100e-6, vector_frac=0.85, tensor_frac=0.85, heuristic_frac=0.9, operand_b_per_clk=128.0,
    prologue_clk=2000.0, k_step_clk=20.0, winograd_gain=1.8, transform_pass_count=2.0, overlap_loss_frac=0.2, tap_op_frac=0.2,
    element_per_clk=1.0, window_gain=1.0, flop_energy_j=15e-12,
)  # fmt: skip
"""Neutral values from which every fit starts, so that a constant that its rows do not show stays uninformed."""
ASSUMED = {
    "launch_s": "time of an empty kernel in a queue",
    "framework_call_s": "fastest rows of NeuSight take 60 to 90 us; the fit wants more",
    "dram_frac": "best streams in the TensorRT set reach 0.88 with L2 reads on top",
    "l2_frac": "micro-benchmarks of L2 (Jia et al. 2018, arXiv:1804.06826)",
}
"""Constants that are not fitted, with the reason for their value."""
DIRECT = ("tap_op_frac", "element_per_clk", "window_gain")
"""Constants of direct kernels: not fitted where no row has groups."""
LIMITS = {
    "vector_frac": (0.3, 1.0), "tensor_frac": (0.3, 1.0), "heuristic_frac": (0.3, 1.0), "winograd_gain": (1.0, 2.25),
    "window_gain": (1.0, 10.0), "overlap_loss_frac": (0.01, 1.0), "operand_b_per_clk": (16.0, 2048.0),
    "transform_pass_count": (0.2, 20.0), "prologue_clk": (100.0, 20000.0), "k_step_clk": (1.0, 200.0),
    "engine_call_s": (1e-6, 1e-4), "tap_op_frac": (0.01, 1.0), "element_per_clk": (0.05, 10.0), "flop_energy_j": (1e-12, 1e-10),
}  # fmt: skip
"""What the physics allows."""
PROTOCOL = {"tensorrt": (0, 0, "engine"), "deepbench": (0, 1, "engine"), "neusight": (1, 1, "framework")}
"""Set to (heuristic choice, split K allowed, who calls); loops over one kernel leave its data in L2."""
WARM_L2_FRAC = 0.5
SAMPLE = 6000
"""Rows of each set that a fit sees."""


def load_rows() -> Columns:
    """All three sets, one column a quantity.

    Raises:
        DataMissing: a set is not there.
    """
    return concatenate(load_neusight(), load_deepbench(), load_lightnas())


def concatenate(*sets: Columns) -> Columns:
    """Rows of all `sets`."""
    return {key: np.concatenate([rows[key] for rows in sets]) for key in sets[0]}


def take(rows: Columns, index: np.ndarray) -> Columns:
    """Rows at `index` (positions or a mask)."""
    return {key: values[index] for key, values in rows.items()}


def groups_of(rows: Columns) -> np.ndarray:
    """Set, format and kind of every row, such as "tensorrt fp16 depthwise"."""
    kind = np.where(rows["groups"] > 1, " depthwise", "")
    return np.char.add(np.char.add(np.char.add(rows["set"], " "), rows["dtype"]), kind)


def sample(rows: Columns, count: int, *, seed: int = 0) -> Columns:
    """At most `count` rows of every set, the same number for each of its devices and groups."""
    generator = np.random.default_rng(seed)
    strata = np.char.add(np.char.add(groups_of(rows), "/"), rows["device"])
    owner = {name: name.split(" ")[0] for name in np.unique(strata)}
    sets = list(owner.values())
    picked = [generator.permutation(np.flatnonzero(strata == name))[: count // sets.count(owner[name])] for name in owner]
    return take(rows, np.concatenate(picked))


def device_of(rows: Columns) -> SimpleNamespace:
    """Datasheet quantities of every row's device, as arrays that broadcast with the kernels."""
    known, position = np.unique(rows["device"], return_inverse=True)
    table = np.asarray([DATASHEET[name] for name in known], dtype=float)[position]
    values = dict(zip(_FIELDS, table.T, strict=True))
    zero = 0 * values["sm_count"]
    absent = {f"{name}_tensor_flop_per_clk": zero for name in ("fp64", "fp32", "tf32", "bf16", "fp8", "fp4")}
    node = np.asarray([PROCESS_NM[name] for name in known])[position]
    idle_w = 0.1 * values["power_limit_w"]
    given = {"int4_tensor_op_per_clk": zero, "fp64_flop_per_clk": zero + 1, "idle_power_w": idle_w}
    return SimpleNamespace(**values, **absent, **given, energy_scale=np.minimum(node, 12.0) / 12.0)


def columns_of(rows: Columns) -> ConvColumns:
    """Kernel columns of measured rows, with the protocol of their set."""
    eager, split, call = zip(*(PROTOCOL[name] for name in rows["set"]), strict=True)
    width = np.select([rows["dtype"] == "fp32", rows["dtype"] == "fp16"], [4, 2], 1)
    positions = [
        np.floor((rows[size] + 2 * rows[pad] - rows[kernel]) / rows["stride"]) + 1
        for size, pad, kernel in (("height", "padding_h", "kernel_h"), ("width", "padding_w", "kernel_w"))
    ]
    output_count = rows["batch"] * rows["out_channels"] * positions[0] * positions[1]
    return conv_columns(
        batch=rows["batch"],
        in_channels=rows["in_channels"],
        out_channels=rows["out_channels"],
        input_size=[rows["height"], rows["width"]],
        kernel_size=[rows["kernel_h"], rows["kernel_w"]],
        stride=[rows["stride"], rows["stride"]],
        padding=[rows["padding_h"], rows["padding_w"]],
        groups=rows["groups"],
        dtype=list(rows["dtype"]),
        channels_last=rows["channels_last"],
        eager=np.asarray(eager, dtype=float),
        split_k=np.asarray(split, dtype=float),
        call=call,
        warm_l2_frac=WARM_L2_FRAC,
        epilogue_b=rows["residual"] * width * output_count,
    )


def predict_s(rows: Columns, constants: ConvConstants) -> np.ndarray:
    """Modelled seconds of measured rows."""
    return conv_time(columns_of(rows), device=device_of(rows), constants=constants).latency_s


def roofline_s(rows: Columns) -> np.ndarray:
    """The longer one of operations at the datasheet's peak and bytes at its bandwidth."""
    columns, device = columns_of(rows), device_of(rows)
    peak = np.maximum(*unit_rates(columns, device)) * device.sm_count * device.clock_hz
    return np.maximum(columns.flop / peak, columns.io_b / device.dram_b_per_s)


def free_names(rows: Columns) -> list[str]:
    """Constants that `rows` can tell something about."""
    unseen = () if np.any(rows["groups"] > 1) else DIRECT
    return [field.name for field in fields(ConvConstants) if field.name not in (*ASSUMED, *unseen)]


def fit(rows: Columns, *, start: ConvConstants = START) -> ConvConstants:
    """Constants with the least soft-L1 loss of log(predicted / measured) on `rows`, the best of four starts."""
    from scipy.optimize import least_squares

    names = free_names(rows)
    if len(rows["measured_s"]) < 100:
        raise InputError(f"{len(rows['measured_s'])} rows to fit {len(names)} constants; expected at least 100")
    columns, device, target = columns_of(rows), device_of(rows), np.log(rows["measured_s"])

    def residual(logs: np.ndarray) -> np.ndarray:
        constants = _replaced(start, names, logs)
        return np.log(conv_time(columns, device=device, constants=constants).latency_s) - target

    bounds = np.log([LIMITS[name] for name in names]).T
    options = {"bounds": tuple(bounds), "loss": "soft_l1", "f_scale": 0.15, "diff_step": 1e-2, "max_nfev": 60, "ftol": 1e-6, "xtol": 1e-6}
    first = np.log([getattr(start, name) for name in names])
    firsts = [first + spread * np.random.default_rng(7).normal(size=len(first)) for spread in (0.0, 0.1, 0.2, 0.3)]
    found = [least_squares(residual, np.clip(x, bounds[0] + 1e-3, bounds[1] - 1e-3), **options) for x in firsts]
    return _replaced(start, names, min(found, key=lambda result: result.cost).x)


def _replaced(constants: ConvConstants, names: Sequence[str], logs: Iterable[float]) -> ConvConstants:
    return replace(constants, **{name: float(np.exp(v)) for name, v in zip(names, logs, strict=True)})


def chip_of(devices: np.ndarray) -> np.ndarray:
    """The chip of a device: both V100 boards are left out together."""
    return np.where(np.char.startswith(devices, "v100"), "v100", devices)


def leave_one_out(rows: Columns) -> dict[str, ConvConstants]:
    """Chip to the constants fitted without any row of it, in any set."""
    chips = chip_of(rows["device"])
    return {str(chip): fit(take(rows, chips != chip)) for chip in np.unique(chips)}


def shape_folds(rows: Columns, *, count: int = 5) -> np.ndarray:
    """Fold of every row; rows of one (channels, kernel, resolution) share it, whatever batch, format, stride."""
    keys = np.stack([rows[key] for key in ("in_channels", "out_channels", "kernel_h", "height")], axis=1)
    _, shape = np.unique(keys, axis=0, return_inverse=True)
    return np.random.default_rng(0).permutation(shape.max() + 1)[shape.ravel()] % count


def leave_shapes_out(rows: Columns, *, count: int = 5) -> np.ndarray:
    """Predicted seconds of the TensorRT rows in `rows`, from fits without their shapes; nan for the other sets."""
    tensorrt = rows["set"] == "tensorrt"
    folds = np.where(tensorrt, shape_folds(rows, count=count), -1)
    predicted = np.full(len(tensorrt), np.nan)
    for fold in range(count):
        predicted[folds == fold] = predict_s(take(rows, folds == fold), fit(take(rows, folds != fold)))
    return predicted


def validation_rows(rows: Columns | None = None, *, out: dict[str, ConvConstants] | None = None) -> Columns:
    """Held-out predictions: device, group, measured_s, predicted_s, roofline_s, one entry a row.

    Groups end with what was held out: ", device out" (the chip, in every set) or ", shapes out" (TensorRT only: shape groups)."""
    rows = sample(load_rows(), SAMPLE) if rows is None else rows
    out = leave_one_out(rows) if out is None else out
    chips = chip_of(rows["device"])
    predicted = np.full(len(chips), np.nan)
    for chip, constants in out.items():
        predicted[chips == chip] = predict_s(take(rows, chips == chip), constants)
    shapes, roofline = leave_shapes_out(rows), roofline_s(rows)
    tables = []
    for values, label in ((predicted, ", device out"), (shapes, ", shapes out")):
        keep = np.isfinite(values)
        part = {"device": rows["device"], "group": np.char.add(groups_of(rows), label), "measured_s": rows["measured_s"]}
        tables.append(take(part | {"predicted_s": values, "roofline_s": roofline}, keep))
    return concatenate(*tables)


def error_table(table: Columns, by: Sequence[str] = ("group",)) -> list[dict[str, float | str]]:
    """Rows, median, mean, 90th percentile of the absolute percentage error, median log bias and the roofline's error."""
    keys = [" / ".join(key) for key in zip(*(table[name] for name in by), strict=True)]
    return [_errors(key, take(table, np.asarray(keys) == key)) for key in sorted(set(keys))]


def _errors(name: str, table: Columns) -> dict[str, float | str]:
    error = np.abs(table["predicted_s"] / table["measured_s"] - 1)
    plain = np.abs(table["roofline_s"] / table["measured_s"] - 1)
    bias = np.median(np.log(table["predicted_s"] / table["measured_s"]))
    numbers = (len(error), np.median(error), error.mean(), np.quantile(error, 0.9), bias, np.median(plain))
    names = ("points", "median_ape", "mean_ape", "p90_ape", "bias_log", "roofline_median_ape")
    return {"group": name} | {key: round(float(value), 3) for key, value in zip(names, numbers, strict=True)}


def write(path: Path | None = None) -> Path:
    """Fit on everything, validate, and write the constants with their ranges over the leave-one-out fits."""
    rows = sample(load_rows(), SAMPLE)
    constants, out = fit(rows), leave_one_out(rows)
    path = path or Path(__file__).resolve().parents[4] / "targets" / "gpu" / "fitted" / "conv.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_yaml(rows, constants, list(out.values()), error_table(validation_rows(rows, out=out))))
    return path


def _yaml(rows: Columns, constants: ConvConstants, others: list[ConvConstants], errors: list[dict]) -> str:
    devices = ", ".join(sorted(set(rows["device"])))
    lines = [
        "name: conv",
        "dataset: TensorRT on V100 (lightweight-neural-architecture-search), NeuSight convolutions, DeepBench forward",
        f"points: {len(rows['measured_s'])}",
        f"fitted_on: [{devices}]",
        "error:",
        *(f"  - {{{', '.join(f'{k}: {_text(v)}' for k, v in row.items())}}}" for row in errors),
        "constants:",
        *(_constant(name, value, others) for name, value in asdict(constants).items()),
    ]
    return "\n".join(lines) + "\n"


def _text(value: float | str) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def _constant(name: str, value: float, others: list[ConvConstants]) -> str:
    if name in ASSUMED:
        return f'  {name}: {{value: {value:.4g}, status: assumed, source: "{ASSUMED[name]}"}}'
    values = [getattr(other, name) for other in others]
    spread = f"low: {min(*values, value):.4g}, high: {max(*values, value):.4g}"
    return f'  {name}: {{value: {value:.4g}, {spread}, status: fitted, source: "range over fits that leave one chip out"}}'


if __name__ == "__main__":
    print(write().read_text())
