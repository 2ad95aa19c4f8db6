"""Options that several commands share, and how their texts are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

Pairs = tuple[str, ...]


def pairs(texts: Sequence[str], option: str, *, example: str) -> dict[str, str]:
    """`("a=1", "b=2")` as a mapping.

    Raises:
        click.BadParameter: a text without `=`, or a name twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise click.BadParameter(f"found {text!r}; expected name=value, such as {example}", param_hint=option)
        if name.strip() in found:
            raise click.BadParameter(f"{name.strip()!r} is given twice", param_hint=option)
        found[name.strip()] = value.strip()
    return found


def plain_value(text: str) -> Any:
    """Text as the number or truth value that it spells, else as it is.

    >>> plain_value("8"), plain_value("0.5"), plain_value("true"), plain_value("4.8 TB/s")
    (8, 0.5, True, '4.8 TB/s')
    """
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _dims(_ctx: click.Context, _param: click.Parameter, texts: Pairs) -> dict[str, int]:
    found = pairs(texts, "--dim", example="--dim height=640")
    try:
        return {name: int(value) for name, value in found.items()}
    except ValueError as error:
        raise click.BadParameter(f"{error}; expected a whole number, such as --dim height=640", param_hint="--dim") from None


def _plain(option: str, example: str) -> Callable[[click.Context, click.Parameter, Pairs], dict[str, Any]]:
    def read(_ctx: click.Context, _param: click.Parameter, texts: Pairs) -> dict[str, Any]:
        return {name: plain_value(value) for name, value in pairs(texts, option, example=example).items()}

    return read


read_dims = _dims
"""Callback of `--dim`."""
read_overrides = _plain("--set", "--set dram_b_per_s='4.8 TB/s'")
"""Callback of `--set`."""


def _device_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from hwsim import shelf

    return [name for name in shelf.devices() if name.startswith(incomplete)]


def on_option(*, multiple: bool, required: bool = True) -> Callable[[Any], Any]:
    """`--on DEVICE`, once or several times."""
    text = "A device (`hwsim targets list`) or a device file (x.yaml)" + ("; give it once a device." if multiple else ".")
    return click.option("--on", "on", metavar="DEVICE", required=required, multiple=multiple, shell_complete=_device_names, help=text)


_POSITIVE = click.IntRange(min=1)
_OPTIONS = (
    click.option("--batch", type=_POSITIVE, help="Samples an inference."),
    click.option("--seq-len", type=_POSITIVE, help="Tokens a sample, where the network takes a sequence."),
    click.option("--kv-len", type=_POSITIVE, help="Tokens in the cache before a decode step [default: --seq-len]."),
    click.option("--phase", type=click.Choice(["prefill", "decode"]), help="One phase of a network that generates tokens."),
    click.option("--dim", "dims", metavar="NAME=N", multiple=True, callback=_dims, help="Value of a symbolic dimension."),
    click.option(
        "--pass",
        "passes",
        metavar="NAME[?OPTION=VALUE]",
        multiple=True,
        help="Change the network first (rate-coded?timesteps=32, fold-batch-norm); several act in order.",
    ),
    click.option("--dtype", help="Number format: fp16, bf16, fp32, int8 ...; amp for autocast."),
    click.option("--weights-dtype", help="Number format of the weights, where it differs."),
    click.option("--runtime", help="What runs the network (GPU: eager, compile, tensorrt; NPU: tflite, qnn_dlc, onnx)."),
    click.option("--layout", help="Memory order of images (GPU: nhwc, nchw)."),
    click.option("--hls-config", metavar="FILE", help="FPGA: hls4ml configuration, YAML or JSON."),
    click.option("--precision", help="FPGA: number format of the model, such as ap_fixed<16,6>, or auto."),
    click.option("--reuse-factor", type=_POSITIVE, help="FPGA: uses of each multiplier in one inference."),
    click.option("--strategy", help="FPGA: latency, resource, unrolled, distributed_arithmetic."),
    click.option("--io-type", help="FPGA: io_parallel or io_stream."),
    click.option("--clock-period", metavar="TIME", help="FPGA: target clock period, such as 5ns."),
    click.option("--stage", help="FPGA: which metric is estimated: csynth, vsynth, routed, yosys."),
    click.option(
        "--map",
        "mapping",
        metavar="KEY=VALUE",
        multiple=True,
        callback=_plain("--map", "--map warm_l2=1"),
        help="A further mapping option of the family.",
    ),
    click.option(
        "--set",
        "overrides",
        metavar="FIELD=VALUE",
        multiple=True,
        callback=_plain("--set", "--set dram_b_per_s='4.8 TB/s'"),
        help="Change a quantity of the device; units are read (4.8 TB/s).",
    ),
    click.option(
        "--method",
        default="closed-form",
        show_default=True,
        help="closed-form, surrogate:NAME, or auto (a surrogate where one knows better).",
    ),
    click.option("--must-fit", is_flag=True, help="End with status 4 where the network does not fit."),
    click.option("--allow-unsupported", is_flag=True, help="Leave operators without a rule out, and show the coverage."),
)
FPGA = ("hls_config", "precision", "reuse_factor", "strategy", "io_type", "clock_period", "stage")
LOAD = ("batch", "seq_len", "dims", "passes", "allow_unsupported")
MAPPING = ("dtype", "weights_dtype", "runtime", "layout", *FPGA)


def load_options(command: Any) -> Any:
    """Add the options that say which network is loaded, under the names of the arguments of `hwsim.load`."""
    for option in reversed([o for o in _OPTIONS if _name(o) in LOAD]):
        command = option(command)
    return command


def _name(option: Any) -> str:
    """The parameter that an option fills."""
    return option(lambda: None).__click_params__[-1].name


def workload_options(command: Any) -> Any:
    """Add the options that say what is to be run, and how."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def api_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `hwsim.estimate` from the values of `workload_options`.

    Raises:
        click.BadParameter: an option both by its own name and through --map.
    """
    mapping = {name: given[name] for name in MAPPING if given[name] is not None}
    if twice := sorted(mapping.keys() & given["mapping"].keys()):
        raise click.BadParameter(f"{twice[0]!r} is given twice", param_hint="--map")
    names = ("batch", "seq_len", "kv_len", "phase", "dims", "method", "allow_unsupported", "passes")
    return {**{name: given[name] for name in names}, "set": given["overrides"], **mapping, **given["mapping"]}
