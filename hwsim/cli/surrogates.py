"""`hwsim surrogates`."""

from __future__ import annotations

from pathlib import Path

import click

from hwsim.cli import output
from hwsim.errors import InputError


@click.group()
def surrogates() -> None:
    """Trained surrogates: list them, show, evaluate and export one."""


@surrogates.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_(as_json: bool) -> None:
    """List the surrogates on the shelf.

    \b
    Examples:
      hwsim surrogates list
    """
    from hwsim.report.tables import listing
    from hwsim.surrogates import store

    found = [store.read(name) for name in store.names()]
    if as_json:
        return output.show_json([{"name": s.name, "family": s.config["family"], "summary": s.config["recipe"]["summary"]} for s in found])
    rows = [(s.name, f"{s.config['family']}: {s.config['recipe']['summary']}") for s in found]
    output.show(listing(("surrogate", "predicts"), rows))
    return None


@surrogates.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print configuration and metrics as JSON.")
def show(name: str, as_json: bool) -> None:
    """Show one: what it was trained on, how far off it is, where it is trusted.

    \b
    Examples:
      hwsim surrogates show gpu-networks
    """
    from hwsim.surrogates import store

    stored = store.read(name)
    if as_json:
        return output.show_json({"name": stored.name, "config": dict(stored.config), "metrics": dict(stored.metrics)})
    trusted = stored.config["trusted"]
    output.show(
        stored.card.strip(),
        "",
        f"Trusted on {', '.join(trusted['devices'])}",
        *(f"  {k}: {', '.join(v)}" for k, v in trusted["mapping"].items()),
    )
    return None


@surrogates.command("evaluate")
@click.argument("name")
@click.option("--data", metavar="SET", help="Name, folder or file of a data set [default: what it was trained on].")
@click.option(
    "--by", metavar="COLUMN", multiple=True, help="Group by this column, such as device or mapping.dtype [default: as its recipe]."
)
@click.option("--rows", type=click.IntRange(min=1), help="At most so many rows, drawn at random, always the same.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write a page with parity plots.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def evaluate(name: str, data: str | None, by: tuple[str, ...], rows: int | None, html: Path | None, as_json: bool) -> None:
    """Errors on measurements, by metric and group, with the share of them within its ranges.

    Every row is asked as `hwsim estimate` would, beside the closed form. Rows that cannot be are told with file, row and reason, and rows
    that training has seen are warned of.

    \b
    Examples:
      hwsim surrogates evaluate my-surrogate --data newer-projects
      hwsim surrogates evaluate my-surrogate --data mine --by mapping.strategy --html parity.html
    """
    from functools import partial

    from hwsim.surrogates.evaluation import evaluate as ask

    found = ask(name, data=data, by=by, rows=rows, tell=partial(click.echo, err=True))
    tables = found.tables()
    if found.warning:
        click.echo(f"warning: {found.warning}", err=True)
    if html:
        from hwsim.report.surrogate_html import evaluation_html

        output.write(html, evaluation_html(found))
    if as_json:
        return output.show_json(
            {
                "surrogate": found.stored.name,
                "data": found.data.name,
                "rows": len(found.data),
                "left_out": [{"row": f.row + 1, "column": f.column, "reason": f.reason} for f in found.left_out],
                "seen": int(found.seen.sum()),
                "warning": found.warning,
                "metrics": tables,
            }
        )
    from hwsim.report.surrogate_text import HEADS, NOTE, score_rows
    from hwsim.report.tables import listing

    output.show(listing(HEADS, score_rows(tables), right=tuple(range(1, len(HEADS)))), "", NOTE)
    return None


@surrogates.command("export")
@click.argument("name")
@click.option(
    "--onnx", "path", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE", help="Write this ONNX file."
)
@click.option("--json", "as_json", is_flag=True, help="Print inputs, outputs and metadata as JSON.")
def export(name: str, path: Path, as_json: bool) -> None:
    """Write what was learned as an ONNX model, for other programs.

    The model maps features of rows (`Target.row_features`) to the logarithm of their factor; names of the features and what the answer
    means stand in its metadata. Its answers are ours to 1e-5. Sums over rows, physical bounds and ranges stay with hwsim.

    \b
    Examples:
      hwsim surrogates export gpu-networks --onnx gpu-networks.onnx
    """
    from hwsim.surrogates.onnx_export import export as make

    model = make(name)
    try:
        path.write_bytes(model.SerializeToString())
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from None
    told = {
        "inputs": {i.name: i.type.tensor_type.shape.dim[1].dim_value for i in model.graph.input},
        "outputs": [o.name for o in model.graph.output],
        "metadata": {p.key: p.value for p in model.metadata_props},
    }
    if as_json:
        output.show_json(told)
    else:
        columns = ", ".join(f"{given} ({count} columns)" for given, count in told["inputs"].items())
        output.show(f"Inputs: {columns}", f"Outputs: {', '.join(told['outputs'])}", f"Answer: {told['metadata']['hwsim.answer']}")
    click.echo(f"wrote {path}", err=True)
