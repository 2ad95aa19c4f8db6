"""A trained surrogate as one page: learning curves, predicted over measured, errors by group, coverage, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.accuracy import conformal_ratios
from hwsim.datasets.tables import unit_of
from hwsim.report import plots
from hwsim.report.cards import card
from hwsim.report.html import page, plain_table
from hwsim.report.surrogate_text import HEADS, NOTE, covered, score_rows
from hwsim.surrogates.metrics import offset
from hwsim.surrogates.training.outcomes import Outcome

if TYPE_CHECKING:
    from hwsim.surrogates.evaluation import Evaluation
    from hwsim.surrogates.store import Stored
    from hwsim.surrogates.training.verb import Trained

LOG = "log.jsonl"


def training_html(done: Trained, *, folder: Path | None = None) -> str:
    """The page of a training: every prediction is by members that did not see the network.

    Args:
        folder: of the run, where logs are.
    """
    stored = done.stored
    body = [
        _heading(stored, stored.config["recipe"]["summary"]),
        _cards(done.outcomes, f"left out: {stored.metrics.get('suite', '').partition(', ')[2] or 'parts of the data'}"),
        _left_out(int(stored.metrics.get("left_out", 0))),
        _section("Learning curves", plots.curves(logs(folder)) if folder else "", _CURVES),
        _section("Predicted and measured", _parities(done.outcomes), _PARITY),
        _section("Errors", _table({o.metric: o.tables() for o in done.outcomes}), NOTE),
        _section("Where it comes from", _provenance(stored)),
        _section("Where it is trusted", _trusted(stored), "Elsewhere it answers without a range, and `auto` does not ask it."),
        _style(),
    ]
    return page(f"{stored.name}: training", body)


def evaluation_html(found: Evaluation) -> str:
    """The page of a surrogate on a data set."""
    body = [
        _heading(found.stored, f"on {found.data.name}, {len(found.data):,} rows"),
        _cards(found.outcomes, f"rows of {found.data.name}"),
        f'<p class="warning">{escape(found.warning)}</p>' if found.warning else "",
        _left_out(len(found.left_out)),
        _section("Predicted and measured", _parities(found.outcomes), _PARITY),
        _section("Errors", _table(found.tables()), NOTE),
        _section("Where the surrogate comes from", _provenance(found.stored)),
        _section("Where it is trusted", _trusted(found.stored)),
        _style(),
    ]
    return page(f"{found.stored.name} on {found.data.name}", body)


_CURVES = "Loss of training (line) and of the part that patience watches (dashed); a colour is a run, one a part left out and a seed."
_PARITY = "Dots: predictions. Rings: closed form. Band: predictions whose 90 % range holds the measured value. Both axes are logarithmic."


def logs(folder: Path) -> dict[str, list[dict[str, float]]]:
    """Entries of every log under the folder of a run, by name of the folder that it stands in; lines that are cut off are left out."""
    found: dict[str, list[dict[str, float]]] = {}
    for path in sorted(folder.rglob(LOG)):
        entries = [entry for line in path.read_text(encoding="utf-8").splitlines() if (entry := _entry(line)) is not None]
        if entries:
            found[path.parent.relative_to(folder).as_posix()] = entries
    return found


def _entry(line: str) -> dict[str, float] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "epoch" in found and "loss" in found else None


def _heading(stored: Stored, words: str) -> str:
    model = stored.config["recipe"].get("model") or {}
    kind = f"{model.get('kind') or stored.config.get('kind', 'additive')} surrogate of {stored.config['family']}"
    return f'<h1>{escape(stored.name)}</h1><p class="sub">{escape("; ".join(filter(None, (kind, words))))}</p>'


def _style() -> str:
    return f"<style>{resources.files('hwsim.report').joinpath('assets', 'surrogate.css').read_text(encoding='utf-8')}</style>"


def _section(title: str, inner: str, note: str = "") -> str:
    if not inner:
        return ""
    remark = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<h2>{escape(title)}</h2><div class="panel">{inner}{remark}</div>'


def _cards(outcomes: Sequence[Outcome], words: str) -> str:
    count = max((len(o.networks) for o in outcomes), default=0)
    inner = card("Networks", f"{count:,}", words) + "".join(_card(o) for o in outcomes)
    return f'<div class="cards">{inner}</div>'


def _card(outcome: Outcome) -> str:
    told = outcome.scores()
    error = "-" if told["median_ape"] is None else f"{100 * told['median_ape']:.1f} %"
    before = "-" if told["closed_form_median_ape"] is None else f"{100 * told['closed_form_median_ape']:.1f} %"
    held = "no range" if told["covered"] is None else f"{covered(told)} % in range"
    return card(f"{outcome.metric}, median error", error, f"closed form {before}; {held}; n = {told['n']:,}")


def _left_out(count: int) -> str:
    return f'<p class="warning">{count:,} row(s) could not be used; the command says which and why.</p>' if count else ""


def _table(tables: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in HEADS)
    body = "".join(_row(cells) for cells in score_rows(tables))
    return f'<table class="scores"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _row(cells: Sequence[str]) -> str:
    kind = ' class="group"' if cells[0].startswith(" ") else ""
    return f"<tr><td{kind}>{escape(cells[0].strip())}</td>{''.join(f'<td>{escape(c)}</td>' for c in cells[1:])}</tr>"


def _parities(outcomes: Sequence[Outcome]) -> str:
    """A plot a metric."""
    drawn = "".join(f"<div><h3>{escape(o.metric)}</h3>{plots.parity(_parity(o))}</div>" for o in outcomes)
    return f'<div class="plots">{drawn}</div>' if drawn else ""


def _parity(outcome: Outcome) -> plots.Parity:
    unit, o = unit_of(outcome.metric) or "1", offset(outcome.metric)
    tips = list(_tips(outcome, unit))
    ratio = (outcome.measured + o) / np.maximum(outcome.found + o, 1e-300)
    ranged = bool(np.isfinite(outcome.low).any())
    return plots.Parity(outcome.measured, outcome.found, outcome.closed, tips, unit, conformal_ratios(ratio) if ranged else None)


def _tips(outcome: Outcome, unit: str) -> Iterable[str]:
    for i, network in enumerate(outcome.networks.tolist()):
        lines = [outcome.names[i] if outcome.names else f"network {network + 1}"]
        for label, values in (("measured", outcome.measured), ("predicted", outcome.found), ("closed form", outcome.closed)):
            lines.append(f"{label} {plots.exact(float(values[i]), unit)}")
        if np.isfinite(outcome.low[i]):
            lines.append(f"range {plots.exact(float(outcome.low[i]), unit)} to {plots.exact(float(outcome.high[i]), unit)}")
        yield "\n".join(lines)


def _provenance(stored: Stored) -> str:
    recipe = stored.config["recipe"]
    left = recipe.get("left_out", {})
    rows = [
        ("Data set", str(recipe.get("data", ""))),
        ("Split", f"by {left.get('by')}" + (f", {left['folds']} parts" if left.get("folds") else ", each on its own")),
        ("Networks", f"{stored.metrics.get('networks', stored.metrics.get('kernels', 0)):,}"),
        ("Seeds", ", ".join(map(str, recipe.get("seeds", ())))),
        ("Model", ", ".join(f"{k} {v}" for k, v in recipe.get("model", {}).items() if v not in (None, [], {}))),
        ("Features", f"{len(stored.config.get('features', ()))}" if isinstance(stored.config.get("features"), list) else "by operator"),
        ("Numbers stored", f"{sum(int(np.size(a)) for a in stored.weights.values()):,}"),
    ]
    return plain_table(("", ""), rows)


def _trusted(stored: Stored) -> str:
    trusted = stored.config.get("trusted", {})
    rows = [("Devices", ", ".join(trusted.get("devices", ())))]
    rows += [(f"Mapping: {name}", ", ".join(map(str, values))) for name, values in trusted.get("mapping", {}).items()]
    rows += [(name.capitalize(), f"{value:g}") for name, value in trusted.items() if isinstance(value, int | float)]
    return plain_table(("", ""), rows)
