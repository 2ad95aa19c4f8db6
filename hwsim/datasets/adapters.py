"""Public measurements -> rows of the one schema: one table of adapters, and the folder that they build."""

from __future__ import annotations

import hashlib
import importlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from hwsim.datasets import download
from hwsim.datasets.check import Checked, check
from hwsim.datasets.hls_reports.row import Row
from hwsim.datasets.locate import data_path
from hwsim.datasets.recipe import APART, CARD, RECIPE, ROWS, Columns, Recipe, Source, read_recipe
from hwsim.datasets.sources import BROKEN
from hwsim.datasets.store import Dataset, dataset, folders, with_splits
from hwsim.errors import DataMissing, InputError, UnknownName

Tell = Callable[[str], None]
Adapter = Callable[[Tell], Mapping[str, Any]]
ADAPTERS = {
    "timm-networks": "hwsim.datasets.adapted_gpu:networks",
    "timm-processors": "hwsim.datasets.adapted_gpu:processors",
    "gpu-operators": "hwsim.datasets.adapted_gpu:operators",
    "gpu-kernels": "hwsim.datasets.adapted_gpu:kernels",
    "gpu-convolutions": "hwsim.datasets.adapted_gpu:convolutions",
    "deepbench": "hwsim.datasets.adapted_operators:deepbench",
    "llmcompass": "hwsim.datasets.adapted_operators:llmcompass",
    "llm-operators": "hwsim.datasets.adapted_llm:operators",
    "gpu-collectives": "hwsim.datasets.adapted_llm:collectives",
    "serving-overheads": "hwsim.datasets.adapted_llm:serving_overheads",
    "llm-serving": "hwsim.datasets.adapted_llm:serving",
    "llm-training": "hwsim.datasets.adapted_llm:training",
    "transformer-guides": "hwsim.datasets.adapted_guides:guides",
    "power-limits": "hwsim.datasets.adapted_power:power_limits",
    "training-epochs": "hwsim.datasets.adapted_power:training_epochs",
    "qualcomm-ai-hub": "hwsim.datasets.ai_hub:networks",
    "search-spaces": "hwsim.datasets.adapted_edge:search_spaces",
    "translation-transformers": "hwsim.datasets.adapted_edge:translation",
    "spiking-energies": "hwsim.datasets.adapted_edge:spiking_energies",
    "fpga-designs": "hwsim.datasets.adapted_fpga:designs",
    "fpga-modules": "hwsim.datasets.adapted_reports:modules",
    "fpga-reports": "hwsim.datasets.adapted_reports:others",
    "loihi-runs": "hwsim.datasets.adapted_neuro:loihi",
    "loihi-cores": "hwsim.datasets.adapted_neuro:cores",
    "keyword-spotters": "hwsim.datasets.adapted_neuro:keyword_spotters",
    "spiking-boards": "hwsim.datasets.adapted_neuro:board_power",
    "spiking-published": "hwsim.datasets.adapted_neuro:published",
    "spiking-layers": "hwsim.datasets.adapted_neuro:spike_counts",
    "sanafe-timesteps": "hwsim.datasets.adapted_neuro:sanafe_steps",
    "gemmini-layers": "hwsim.datasets.adapted_accelerators:gemmini",
    "accelerator-layers": "hwsim.datasets.adapted_accelerators:published_layers",
    "accelerator-published": "hwsim.datasets.adapted_accelerators:published",
    "accelerator-simulations": "hwsim.datasets.adapted_accelerators:simulated",
    "optical-precision": "hwsim.datasets.adapted_accelerators:optical_precision",
    "sram-accesses": "hwsim.datasets.adapted_accelerators:sram",
    "mcu-boards": "hwsim.datasets.adapted_accelerators:microcontrollers",
}
"""Adapter of a recipe to the function that reads its source; the adapter `csv` reads one file by the recipe's `columns:`."""
OWN = "your own"
"""Licence of one's own measurements."""


def measured() -> dict[str, Recipe]:
    """Recipes on the shelf that are built from measurements."""
    found = {name: read_recipe(folder / RECIPE) for name, folder in folders().items()}
    return {name: recipe for name, recipe in found.items() if recipe.adapter is not None}


def source_files(recipe: Recipe) -> list[Path]:
    """Files that a recipe reads.

    Raises:
        DataMissing: one is not there, or has not been fetched.
    """
    if recipe.source.url:
        return [download.cached(recipe.name, recipe.source.url, recipe.source.sha256)]
    found: list[Path] = []
    for pattern in recipe.source.files:
        head, star, _ = pattern.partition("*")
        if not star:
            found.append(data_path(*pattern.split("/")))
            continue
        top = data_path(*head.rpartition("/")[0].split("/"))
        matches = sorted(top.glob(pattern[len(head.rpartition("/")[0]) + 1 :]))
        if not matches:
            raise DataMissing(f"no file {pattern!r} under the data folder; set HWSIM_DATA to the folder that has it")
        found += matches
    return found


def digest(files: Sequence[Path]) -> str:
    """SHA-256 of the contents of files, one after the other."""
    found = hashlib.sha256()
    for path in files:
        found.update(path.read_bytes())
    return found.hexdigest()


def rows_of(recipe: Recipe, *, tell: Tell = lambda line: None) -> Dataset:
    """Rows of a measured set, with the splits of its recipe.

    Raises:
        DataMissing: the measurements are not there.
        UnknownName: no such adapter.
    """
    files = source_files(recipe)
    if recipe.adapter == "csv":
        from hwsim.datasets import mapped

        columns, unread = mapped.read_csv(files[0], recipe.columns)
    elif recipe.adapter == "wa-hls4ml":
        columns, unread = _records(files, tell), {}
    elif recipe.adapter in ADAPTERS:
        columns, unread = _adapted(recipe.adapter, files, tell), {}
    else:
        raise UnknownName(f"adapter of {recipe.name}:", str(recipe.adapter), [*ADAPTERS, "csv"])
    split = with_splits(columns, recipe.splits) if recipe.splits else columns
    return dataset(split, name=recipe.name, where=recipe.name, recipe=recipe, unread=unread)


def _adapted(adapter: str, files: Sequence[Path], tell: Tell) -> Mapping[str, Any]:
    module, _, name = ADAPTERS[adapter].partition(":")
    read: Adapter = getattr(importlib.import_module(module), name)
    try:
        return read(tell)
    except (*BROKEN, zlib.error) as error:
        where = ", ".join(str(path) for path in files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
        raise InputError(
            f"{adapter}: its source is not as expected ({type(error).__name__}: {str(error)[:160]}); files: {where}"
        ) from error


def build(name: str, out: Path, *, bounds: bool = True, fetch: bool = False, tell: Tell = lambda line: None) -> Checked:
    """Build a measured set of the shelf into a folder: sound rows, rows kept apart, recipe and card.

    Args:
        bounds: compare times with the physical bound.
        fetch: download the source first, where the recipe has its address.

    Raises:
        InputError: nothing to download, or not what the recipe expects.
        DataMissing: the measurements are not there.
        UnknownName: no such set.
    """
    known = measured()
    if name not in known:
        raise UnknownName("measured data set", name, known)
    recipe = known[name]
    if fetch and not recipe.source.url:
        raise InputError(f"{name}: its recipe has no address (`source: url:`); it is built from files under the data folder")
    if fetch:
        download.fetched(recipe.source.url, recipe.source.sha256, tell=tell)
    found = digest(source_files(recipe))
    if recipe.source.sha256 and found != recipe.source.sha256:
        tell(
            f"{name}: the source is not that of the recipe (sha256 {found[:12]}, expected {recipe.source.sha256[:12]}); built all the same"
        )
    recipe = msgspec.structs.replace(recipe, source=msgspec.structs.replace(recipe.source, sha256=found))
    data = replace(rows_of(recipe, tell=tell), recipe=recipe)
    return write(check(data, bounds=bounds, tell=tell), out, card=(folders()[name] / CARD).read_text(encoding="utf-8"))


def build_csv(table: Path, columns: Columns, out: Path, *, bounds: bool = True, tell: Tell = lambda line: None) -> Checked:
    """Build a set from one's own table.

    Raises:
        InputError: not a table, or not what the mapping says.
    """
    from hwsim.datasets import mapped

    made, unread = mapped.read_csv(table, columns)
    source = Source(text=table.name, sha256=digest([table]))
    recipe = Recipe(out.name, f"measurements from {table.name}", OWN, source, generator="hwsim datasets build csv", columns=columns)
    data = dataset(made, name=recipe.name, where=str(table), recipe=recipe, unread=unread)
    return write(check(data, bounds=bounds, tell=tell), out)


def build_records(files: Sequence[Path], out: Path, *, tell: Tell = lambda line: None) -> Checked:
    """Build a set from files of the wa-hls4ml benchmark.

    Raises:
        InputError: a file is not of records.
    """
    made = _records(files, tell)
    source = Source(text=", ".join(path.name for path in files), sha256=digest(files))
    recipe = Recipe(
        out.name,
        "records of the wa-hls4ml benchmark",
        "CC-BY-NC-4.0",
        source,
        generator="hwsim datasets build wa-hls4ml",
        protocol=("tool", "stage"),
        made={"folders": sorted({str(path.resolve().parent) for path in files})},
    )
    return write(check(dataset(made, name=recipe.name, recipe=recipe), tell=tell), out)


def _records(files: Sequence[Path], tell: Tell) -> dict[str, Any]:
    from hwsim.datasets.adapted_fpga import wa_hls4ml

    made = wa_hls4ml(files, tell=tell)
    if not made:
        raise InputError(f"no record in {', '.join(map(str, files))}; expected wa-hls4ml records, .jsonl with one a line")
    return made


def build_reports(folder: Path, rows: Sequence[Row], out: Path, *, tell: Tell = lambda line: None) -> Checked:
    """Build a set from the reports of one's own hls4ml projects (`hwsim.datasets.hls_reports.collect`), their networks beside the rows."""
    from hwsim.datasets.adapted_fpga import reported
    from hwsim.datasets.hls_reports.models import keep

    models = keep((row.design for row in rows), folder, out)
    without = sorted({row.design for row in rows} - set(models))
    if without:
        tell(
            f"no network in {len(without)} project(s), such as {without[0]!r}: expected keras_model.keras, or one .keras, .h5 or .onnx file"
        )
    recipe = Recipe(
        out.name,
        f"reports of hls4ml projects in {folder.name}",
        OWN,
        Source(text=str(folder)),
        generator="hwsim datasets build hls4ml-reports",
        protocol=("tool", "stage"),
    )
    return write(check(dataset(reported(rows, models=models), name=recipe.name, recipe=recipe), tell=tell), out)


def write(checked: Checked, out: Path, *, card: str = "") -> Checked:
    """Write a checked set as a folder.

    Raises:
        InputError: it cannot be written.
    """
    recipe = checked.data.recipe
    try:
        out.mkdir(parents=True, exist_ok=True)
        checked.rows.write(out / ROWS)
        (out / APART).unlink(missing_ok=True)
        if checked.bad.any():
            checked.apart.write(out / APART)
        if recipe is not None:
            text = _yaml(msgspec.structs.replace(recipe, rows=ROWS))
            (out / RECIPE).write_text(text, encoding="utf-8")
            (out / CARD).write_text(card or f"# {recipe.name}\n\n{recipe.summary}.\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {str(out)!r}: {error.strerror or error}") from None
    return checked


def _yaml(recipe: Recipe) -> str:
    import yaml

    return yaml.safe_dump(msgspec.to_builtins(recipe), sort_keys=False, width=140, allow_unicode=True)
