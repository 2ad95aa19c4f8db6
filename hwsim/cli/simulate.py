"""`hwsim simulate`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from hwsim.cli import options, output
from hwsim.units import format_si

if TYPE_CHECKING:
    from hwsim.optics.bench import Bench
    from hwsim.optics.layers import ConvLayer, LayerError

_BITS = click.FloatRange(min=1)
_BENCH = (
    click.option("--bits", type=_BITS, help="Bits of modulator, mask and camera alike."),
    click.option("--input-bits", type=_BITS, help="Bits of the input modulator."),
    click.option("--mask-bits", type=_BITS, help="Bits of the Fourier mask."),
    click.option("--camera-bits", type=_BITS, help="Bits of the camera, on intensity."),
    click.option("--photons", type=float, help="Detected photons at the brightest pixel of a frame; inf: no shot noise."),
    click.option("--read-noise", "read_noise_e", type=float, metavar="ELECTRONS", help="Read noise of a pixel, rms."),
    click.option("--full-well", "full_well_e", type=float, metavar="ELECTRONS", help="What a pixel holds; 0: no limit."),
    click.option("--crosstalk", "crosstalk_frac", type=float, metavar="SHARE", help="Share of a pixel's light that its neighbours get."),
    click.option("--misalignment", "misalignment_px", type=float, metavar="PIXELS", help="Shift of the mask against the axis."),
    click.option("--detection", help="coherent or intensity."),
    click.option("--signs", default="auto", show_default=True, help="unsigned, kernel, both; auto: what each layer needs."),
    click.option("--seed", type=click.IntRange(min=0), help="Of images, kernels and noise."),
)


def _bench_options(command: Any) -> Any:
    for option in reversed(_BENCH):
        command = option(command)
    return command


def _channels(_ctx: click.Context, _param: click.Parameter, text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdigit() or int(text) < 1:
        raise click.BadParameter(f"found {text!r}; expected a whole number of at least 1, or all")
    return int(text)


@click.command()
@click.argument("model")
@options.on_option(multiple=False)
@_bench_options
@click.option(
    "--channels", default="8", show_default=True, callback=_channels, help="Input and output channels of a layer; all: every one."
)
@click.option("--max-pixels", type=click.IntRange(min=1), default=128, show_default=True, help="Rows and columns of larger images.")
@click.option("--samples", type=click.IntRange(min=1), default=3, show_default=True, help="Images, each with noise of its own.")
@click.option("--layer", "only", metavar="TEXT", multiple=True, help="Layers whose path has this text, once or several times.")
@click.option("--dim", "dims", metavar="NAME=N", multiple=True, callback=options.read_dims, help="Value of a symbolic dimension.")
@click.option("--set", "overrides", metavar="FIELD=VALUE", multiple=True, callback=options.read_overrides, help="Change a quantity.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--quiet", "-q", is_flag=True, help="No line for each layer on stderr.")
def simulate(model: str, on: str, as_json: bool, quiet: bool, **given: Any) -> None:
    """Error of each convolution of a network on an optical bench.

    MODEL is a network as for `hwsim estimate`, or a layer (conv?in=64&out=64&kernel=3&size=16; also stride, padding, dilation, groups).
    Every 2-d convolution is simulated frame by frame: finite bits, shot and read noise, positive and negative passes. Images are
    uniform random numbers; kernels are those of an .onnx file, else normal random numbers. Of large layers a sample is simulated.

    \b
    Examples:
      hwsim simulate resnet18 --on lcos
      hwsim simulate 'conv?in=64&out=64&kernel=3&size=16' --on lcos --photons 1e4 --bits 8 --channels all
      hwsim simulate net.onnx --on dmd-10khz --detection intensity --samples 10 --json
    """
    from hwsim import api
    from hwsim.optics.bench import Bench
    from hwsim.optics.layers import network_layers, simulate_layers

    _, device = api.find(on, overrides=given["overrides"])
    bench = Bench.of(device, **_changes(given))
    layers, left, weights = network_layers(model, dims=given["dims"], only=given["only"])
    limits = {"samples": given["samples"], "max_channels": given["channels"], "max_pixels": given["max_pixels"]}
    tell = (lambda _: None) if quiet or as_json else partial(click.echo, err=True)
    found = list(simulate_layers(layers, bench, weights=weights, tell=tell, **limits))
    if as_json:
        return output.show_json(_plain(model, on, bench, found, left))
    _show(model, on, bench, list(zip(layers, found, strict=True)), left)
    return None


def _changes(given: dict[str, Any]) -> dict[str, Any]:
    names = ("photons", "read_noise_e", "full_well_e", "crosstalk_frac", "misalignment_px", "detection", "signs", "seed")
    bits = {name: given[name] or given["bits"] for name in ("input_bits", "mask_bits", "camera_bits")}
    return {**{name: given[name] for name in names}, **bits}


def _plain(model: str, on: str, bench: Bench, found: Sequence[LayerError], left: Sequence[str]) -> Any:
    from dataclasses import asdict

    from hwsim.report.json import json_value

    rows = [{**asdict(e), "effective_bits": e.bits, "snr_db": e.snr_db, "closed_form_error": e.closed_form(bench)} for e in found]
    return json_value({"model": model, "target": on, "bench": asdict(bench), "layers": rows, "electronics": list(left)})


def _show(model: str, on: str, bench: Bench, rows: Sequence[tuple[ConvLayer, LayerError]], left: Sequence[str]) -> None:
    from hwsim.report.tables import PathText, plain_table

    table = plain_table("Layer", "Convolution", "Signs", "Error %", "Closed form", "Bits", "SNR dB", right=(3, 4, 5, 6))
    for _, e in rows:
        table.add_row(PathText(e.path), *_cells(e, bench))
    output.show(f"{model} on {on}", _bench_text(bench), "", table, *(f"\n{note}" for note in _notes(bench, [e for _, e in rows], left)))


def _cells(e: LayerError, bench: Bench) -> tuple[str, ...]:
    outs, each, *kernel = e.kernel
    size, image = ("x".join(map(str, found)) for found in (kernel, e.image))
    numbers = f"{100 * e.error:.3g}", f"{100 * e.closed_form(bench):.3g}", f"{e.bits:.2f}", f"{e.snr_db:.1f}"
    return f"{each * e.groups}-{outs} {size} on {image}" + (f" /{e.groups}" if e.groups > 1 else ""), e.signs, *numbers


def _notes(bench: Bench, found: Sequence[LayerError], left: Sequence[str]) -> list[str]:
    """What the reader of the table should know."""
    notes = []
    if sampled := sum(e.sampled is not None for e in found):
        layers = f"{sampled} layer{'s' if sampled > 1 else ''}"
        notes.append(f"of {layers} a sample of channels (or a part of the image) was simulated; --channels all takes every one")
    if bench.crosstalk_frac or bench.misalignment_px:
        notes.append("the closed form knows neither crosstalk nor misalignment")
    return [*notes, f"in electronics: {'; '.join(left)}"] if left else notes


def _bench_text(b: Bench) -> str:
    light = "no shot noise" if not b.shot else f"{format_si(b.photons)} photons at the brightest pixel"
    extras = [f"read noise {b.read_noise_e:g} e"] if b.read_noise_e else []
    extras += [f"full well {format_si(b.full_well_e)} e"] if b.full_well_e else []
    extras += [f"crosstalk {b.crosstalk_frac:g}"] if b.crosstalk_frac else []
    extras += [f"mask {b.misalignment_px:g} px off the axis"] if b.misalignment_px else []
    bits = f"{b.input_bits:g}, {b.mask_bits:g}, {b.camera_bits:g} bits (modulator, mask, camera)"
    return "; ".join([f"{b.detection} detection", bits, light, *extras])
