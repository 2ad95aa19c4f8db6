"""`hwsim search`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from hwsim.cli import output
from hwsim.cli.sweep import Progress, shared_workload_options, space_options, spec_of

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("source", metavar="[MODEL | SWEEP.yaml]", required=False)
@space_options
@click.option("--trials", type=click.IntRange(min=1), default=500, show_default=True, help="Designs to try.")
@click.option("--sampler", default="nsga2", show_default=True, help="nsga2, nsga3 (many objectives), tpe or random.")
@click.option("--population", type=click.IntRange(min=2), default=50, show_default=True, help="Designs of a generation.")
@click.option("--storage", metavar="WHERE", help="journal:FILE or a database URL: workers that share it share the study, which goes on.")
@click.option("--study", default="hwsim", show_default=True, help="Name of the study in the storage.")
@click.option(
    "--metric",
    "metrics",
    metavar="NAME=MODULE:FUNCTION",
    multiple=True,
    help="A number of one's own, such as accuracy=train:score; the function gets the axes of a design.",
)
@click.option(
    "--best",
    metavar="METRIC",
    help="Metric of the best designs [default: the first objective, else latency]; max: before it turns it round.",
)
@click.option("--top", type=click.IntRange(min=1), help="How many of the best designs are listed [default: 10].")
@shared_workload_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--html", type=_FILE, metavar="FILE", help="Write a self-contained page with interactive plots (needs plotly).")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
def search(source: str | None, **given: Any) -> None:
    """Good designs where a grid is too large, or where networks are built or trained.

    Axes, conditions and objectives are those of `hwsim sweep`; ranges need no steps.

    \b
    Examples:
      hwsim search resnet50 --on a100-sxm-80gb --vary sm_count=64..256 --vary 'dram_b_per_s=1TB/s..8TB/s log' \\
          --vary batch=1..64 --where 'latency < 5ms' --pareto energy,max:throughput
      hwsim search jet_tagger --on xcu250 --strategy resource --model-axis 'widths=(64,32,32),(32,32),(16,16)' \\
          --vary 'mapping.precision[fc*]=ap_fixed<16,6>,ap_fixed<8,3>' --vary 'mapping.reuse_factor[fc1]=1,2,4,8' \\
          --metric accuracy=train:score --pareto max:accuracy,latency,lut
      hwsim search resnet50 --on l4 --vary sm_count=32..128 --storage journal:study.log --trials 1000
    """
    from hwsim.errors import InputError
    from hwsim.report import sweep_text
    from hwsim.search.study import search as run
    from hwsim.sweep.plan import plan

    spec = spec_of(source, {**given, "sample": None, "points": None})
    own = {name: _function(text) for name, text in _pairs(given["metrics"]).items()}
    made = plan(
        spec.space(free=True), where=spec.where, pareto=spec.pareto, best=spec.best, top=spec.top, search=True, extra=dict.fromkeys(own, "")
    )
    result = run(
        made,
        trials=given["trials"],
        sampler=given["sampler"],
        population=given["population"],
        storage=given["storage"],
        study=given["study"],
        seed=given["seed"],
        metrics=own,
        progress=None if given["quiet"] else Progress(given["trials"]),
    )
    if not result.counts.kept:
        raise InputError(sweep_text.none_left(result))
    if given["html"]:
        output.write(given["html"], result.to_html(), quiet=given["quiet"])
    if given["as_json"]:
        output.show_json(result.to_dict())
    else:
        output.show(*sweep_text.summary(result))


def _pairs(texts: tuple[str, ...]) -> Mapping[str, str]:
    from hwsim.cli.options import pairs

    return pairs(texts, "--metric", example="--metric accuracy=train:score")


def _function(text: str) -> Callable[..., float]:
    """The function at `module:name`; modules of the working directory are found, too.

    Raises:
        click.BadParameter: there is none.
    """
    module, colon, name = text.partition(":")
    if not colon:
        raise click.BadParameter(f"found {text!r}; expected module:function, such as train:score", param_hint="--metric")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise click.BadParameter(f"{text!r} cannot be imported: {error}", param_hint="--metric") from None
