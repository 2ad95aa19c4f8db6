"""`hwsim sweep`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwsim.cli import options, output

if TYPE_CHECKING:
    from hwsim.sweep.plan import Plan
    from hwsim.sweep.spec import Spec

_FILE = click.Path(dir_okay=False, path_type=Path)
_UNUSED = ("must_fit", "as_json", "conventions")
"""Options of a single estimate that a sweep has no use for."""


def shared_workload_options(command: Any) -> Any:
    """The options that say what is run, without those of a single answer."""
    before = {p.name for p in getattr(command, "__click_params__", [])}
    command = options.workload_options(command)
    command.__click_params__ = [p for p in command.__click_params__ if p.name in before or p.name not in _UNUSED]
    return command


def _axes(option: str, example: str) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], dict[str, str]]:
    def read(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
        return options.pairs(texts, option, example=example)

    return read


_VARY = _axes("--vary", "--vary device.sm_count=64:256:8")
_MODEL_AXIS = _axes("--model-axis", "--model-axis width=192:768:192")


def space_options(command: Any) -> Any:
    """Options that say what varies; shared with `hwsim search`."""
    for option in reversed(
        (
            click.option("--model", "models", metavar="MODEL", multiple=True, help="A further network; give it once a network."),
            options.on_option(multiple=True, required=False),
            click.option(
                "--vary",
                metavar="AXIS=VALUES",
                multiple=True,
                callback=_VARY,
                help="A device quantity, mapping choice or batch, and its values: 64:256:8, '1TB/s..8TB/s x32 log', fp16,int8.",
            ),
            click.option(
                "--model-axis",
                "model_axis",
                metavar="OPTION=VALUES",
                multiple=True,
                callback=_MODEL_AXIS,
                help="An option of the model's builder (`hwsim models show`), and its values.",
            ),
            click.option("--where", metavar="CONDITION", multiple=True, help="What a point must satisfy, such as 'latency < 2us'."),
            click.option("--misfits", is_flag=True, help="Keep points that do not fit on the device, too."),
            click.option("--pareto", metavar="METRIC,...", help="Objectives of the Pareto front: latency,energy,lut,max:throughput."),
            click.option("--seed", type=int, help="Of a sample [default: 0]."),
        )
    ):
        command = option(command)
    return command


def _shard(_ctx: click.Context, _param: click.Parameter, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    part, _, whole = text.partition("/")
    if not (part.strip().isdigit() and whole.strip().isdigit()):
        raise click.BadParameter(f"found {text!r}; expected I/N, such as 1/8", param_hint="--shard")
    return int(part), int(whole)


@click.command()
@click.argument("source", metavar="[MODEL | SWEEP.yaml]", required=False)
@space_options
@click.option(
    "--best",
    metavar="METRIC",
    help="Metric of the best points [default: the first objective, else latency]; max: before it turns it round.",
)
@click.option("--top", type=click.IntRange(min=1), help="How many of the best points are listed [default: 10].")
@click.option("--sample", help="grid, random, lhs (Latin hypercube) or sobol [default: grid].")
@click.option("--points", type=click.IntRange(min=1), help="Points of a sample.")
@shared_workload_options
@click.option("--save-spec", type=_FILE, metavar="FILE", help="Write the sweep as a file that `hwsim sweep` runs.")
@click.option("--check", is_flag=True, help="Check the sweep, say how many points it has, and stop.")
@click.option(
    "--out", type=_FILE, metavar="FILE", help="Write the points that are kept as Parquet; a sweep that was stopped goes on there."
)
@click.option("--keep", default="best", show_default=True, help="Points that go to --out: best (front and lists), feasible, all.")
@click.option("--no-resume", is_flag=True, help="Forget what is there of a sweep that was stopped.")
@click.option("--backend", default="numpy", show_default=True, help="What evaluates: numpy, native (compiled C++), torch, jax.")
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True, help="Processes on this machine.")
@click.option("--scheduler", metavar="ADDRESS", help="A Dask cluster, such as tcp://10.0.0.1:8786.")
@click.option("--shard", metavar="I/N", callback=_shard, help="Only the I-th of N parts, into --out; the run without it puts all together.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--html", type=_FILE, metavar="FILE", help="Write a self-contained page with interactive plots (needs plotly).")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
def sweep(source: str | None, **given: Any) -> None:
    """Many design points: the best, the Pareto front, and why the others fail.

    MODEL is a name or a file as for `hwsim estimate`; SWEEP.yaml says what the options say, and options given beside it count more.
    Points that do not fit on the device are ruled out, unless --misfits is given. With --method surrogate:NAME a trained surrogate answers
    at every point: slower (thousands of points a second, or some hundred where it takes one at a time), and without ranges.

    \b
    Examples:
      hwsim sweep resnet50 --on a100-sxm-80gb --vary device.sm_count=64:256:8 --vary batch=1,8,32
      hwsim sweep resnet50 --on a100-sxm-80gb --vary 'device.dram_b_per_s=1TB/s..8TB/s x32 log' \\
          --vary device.sm_count=64:256:8 --pareto latency,energy --html sweep.html
      hwsim sweep jet_tagger --on xcu250 --strategy resource --vary 'mapping.reuse_factor[fc*]=1,2,4,8' \\
          --vary 'mapping.precision=ap_fixed<16,6>,ap_fixed<8,3>' --where 'latency < 200ns' --pareto latency,lut,dsp
      hwsim sweep vit_s16 --on l4 --model-axis num_layers=6:12:2 --vary dtype=fp16,int8 --pareto latency,energy
      hwsim sweep resnet50 --on l4 --on a100-sxm-80gb --sample sobol --points 100000 \\
          --vary 'clock_hz=1GHz..2GHz' --vary 'dram_b_per_s=0.3TB/s..3TB/s log' --save-spec memory.yaml
      hwsim sweep resnet50 --on rtx-4090 --dtype amp --vary batch=1,8,32,128 --method surrogate:gpu-networks
      hwsim sweep memory.yaml --json
    """
    from hwsim.sweep.plan import plan

    spec = spec_of(source, given)
    if given["save_spec"]:
        output.write(given["save_spec"], spec.to_yaml(), quiet=given["quiet"])
    made = plan(spec.space(), where=spec.where, pareto=spec.pareto, best=spec.best, top=spec.top)
    for warning in made.warnings:
        click.echo(f"warning: {warning}", err=True)
    if given["check"]:
        click.echo(_checked(made))
        return
    _run(made, given)


def _checked(made: Plan) -> str:
    from hwsim.report.sweep_text import model_words, space_words

    blocks = made.space.outer_count
    return f"{model_words(made)}: {made.space.count:,} points; {space_words(made)}; {blocks:,} program{'s' * (blocks > 1)} to lower"


def _run(made: Plan, given: Mapping[str, Any]) -> None:
    from hwsim.errors import InputError
    from hwsim.report import sweep_text
    from hwsim.sweep.running import execute

    names = ("backend", "processes", "scheduler", "shard", "out", "keep")
    progress = None if given["quiet"] else Progress(made.space.count)
    result = execute(made, resume=not given["no_resume"], progress=progress, **{n: given[n] for n in names})
    for note in result.raw.notes:
        click.echo(f"note: {note}", err=True)
    if not result.raw.complete:
        part, whole = given["shard"]
        click.echo(f"part {part} of {whole} is done; when all are, the same command without --shard puts them together")
        return
    if not result.counts.kept:
        raise InputError(sweep_text.none_left(result))
    if given["out"] and not given["quiet"]:
        click.echo(f"wrote {given['out']}", err=True)
    if given["html"]:
        from hwsim.report.sweep_html import sweep_html

        output.write(given["html"], sweep_html(result), quiet=given["quiet"])
    if given["as_json"]:
        output.show_json(sweep_text.document(result))
    else:
        output.show(*sweep_text.summary(result))


def spec_of(source: str | None, given: Mapping[str, Any]) -> Spec:
    """The sweep that file and options describe.

    Raises:
        InputError: no model or device, or a wrong file.
    """
    from hwsim.sweep.spec import Spec, read

    file = _sweep_file(source)
    said = _said(None if file else source, given)
    if file is None:
        from hwsim.errors import InputError

        missing = [w for w, n in (("no model", "model"), ("no device (--on)", "on")) if not said.get(n)]
        if missing:
            raise InputError(
                f"found {' and '.join(missing)}; expected such as: hwsim sweep resnet50 --on a100-sxm-80gb --vary batch=1,8,32"
            )
        return Spec(**said)
    before = read(file)
    merged = {n: {**getattr(before, n), **said.pop(n)} for n in ("vary", "model_axis", "dim", "map", "set") if n in said}
    return replace(before, **merged, **said)


def _sweep_file(source: str | None) -> Path | None:
    """The path of a sweep file; None of a network."""
    if not source or not source.endswith((".yaml", ".yml")):
        return None
    from hwsim import yaml12

    data = yaml12.load(Path(source))
    keys = {str(k).replace("-", "_") for k in data} if isinstance(data, Mapping) else set()
    return Path(source) if keys & {"vary", "model_axis", "on"} else None


def _said(source: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the spec that the options give."""
    mapping = {n: given[n] for n in options.MAPPING if given.get(n) is not None}
    where = _where(given)
    found = {
        "model": ((source,) if source else ()) + given["models"],
        "on": given["on"],
        "vary": given["vary"],
        "model_axis": given["model_axis"],
        "dim": given["dims"],
        "passes": given["passes"],
        "map": {**mapping, **given["mapping"]},
        "set": given["overrides"],
        "pareto": tuple(t.strip() for t in (given["pareto"] or "").split(",") if t.strip()),
    }
    names = ("batch", "seq_len", "kv_len", "phase", "allow_unsupported", "seed", "best", "top", "sample", "points")
    found |= {n: given.get(n) for n in names}
    found["method"] = given["method"] if given["method"] != "closed-form" else None
    return {n: v for n, v in found.items() if v} | ({"where": where} if where is not None else {})


def _where(given: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Conditions, `fits` among them unless it is spoken of; None where the options say nothing."""
    import re

    if not given["where"] and not given["misfits"]:
        return None
    spoken = given["misfits"] or any(re.search(r"\bfits\b", text) for text in given["where"])
    return given["where"] if spoken else ("fits", *given["where"])


class Progress:
    """Points done, rate and time left, on stderr: one line that renews itself on a terminal, else a line every ten seconds."""

    def __init__(self, total: int) -> None:
        self.total, self.start, self.told = total, time.monotonic(), False
        self.shown = self.start
        self.live = sys.stderr.isatty()

    def __call__(self, done: int, total: int | None = None) -> None:
        """Say how far it is."""
        now, whole = time.monotonic(), total or self.total
        last = done >= whole
        if now - self.shown < (0.2 if self.live else 10.0) and not (last and self.told):
            return
        self.shown, self.told = now, True
        click.echo(("\r\x1b[K" if self.live else "") + self.line(done, whole, now - self.start), err=True, nl=last or not self.live)

    def line(self, done: int, whole: int, seconds: float) -> str:
        """`12,000 of 100,000 points, 3.2 M/s, 4 s left`."""
        from hwsim.units import format_si

        rate = done / seconds if seconds > 0 else 0.0
        left = f"{_time((whole - done) / rate)} left" if rate > 0 and done < whole else f"in {_time(seconds)}"
        return f"{done:,} of {whole:,} points, {format_si(rate)}/s, {left}"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
