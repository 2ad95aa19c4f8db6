"""From a row of a data set to what it speaks of: graph, device and mapping."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import api
from hwsim.cost import Target
from hwsim.datasets.design_graphs import network
from hwsim.datasets.store import Dataset
from hwsim.errors import DataMissing, InputError, UnknownName
from hwsim.graph import Graph

NETWORK = ("batch", "seq_len")
"""Columns under `mapping.` or `protocol.` that say how a network is loaded."""
IMAGE = "image_size"
"""Column that says how large the images of a `timm:` network are."""
FPGA = {"stage": "protocol.stage", "backend": "protocol.tool", "clock_period_s": "clock_s"}
"""Mapping options of FPGA designs that stand in other columns than `mapping.*`."""
MODULE = "fact.module"
"""Column that names a part of a design."""


@dataclass
class Loader:
    """Loads rows; a network that stands in many rows is loaded once."""

    data: Dataset
    target: Target
    _graphs: dict[tuple[Any, ...], Graph] = field(default_factory=dict)
    _devices: dict[str, Any] = field(default_factory=dict)
    _records: dict[Path, dict[str, Mapping[str, Any]]] = field(default_factory=dict)

    @cached_property
    def columns(self) -> dict[str, list[Any]]:
        """Every column that says what was measured, as plain values; None where it is empty."""
        kept = [c for c in self.data.columns if c in ("graph", "device", "clock_s", MODULE) or c.startswith(("mapping.", "protocol."))]
        return {name: self.data.table[name].to_pylist() for name in kept}

    def module(self, row: int) -> bool:
        """Whether a row speaks of a part of a design."""
        return bool(self.columns.get(MODULE, [None] * (row + 1))[row])

    def device(self, row: int) -> Any:
        """The device of a row.

        Raises:
            UnknownName: no such device in the family.
        """
        name = str(self.columns["device"][row])
        if name not in self._devices:
            self._devices[name] = self.target.device(name)
        return self._devices[name]

    def graph(self, row: int) -> Graph:
        """The network of a row.

        Raises:
            InputError: nothing reads it.
        """
        name = str(self.columns["graph"][row])
        given = {key: int(found) for key in NETWORK if (found := self._stated(key, row)) is not None}
        size = self._stated(IMAGE, row)
        if size is not None and name.startswith("timm:") and "?" not in name:
            name = f"{name}?img_size={int(size)}"
        key = (name, *sorted(given.items()))
        if key not in self._graphs:
            self._graphs[key] = api.load(self._source(name), batch=given.get("batch"), seq_len=given.get("seq_len"))
        return self._graphs[key]

    def mapping(self, row: int, graph: Graph) -> Any:
        """The mapping of a row: what the network brings along, what the protocol says of FPGA designs, then the columns `mapping.*`.

        Raises:
            UnknownName: an option or value that the family does not have.
        """
        brought = getattr(self.target, "graph_options", None)
        stated = {c.removeprefix("mapping."): v[row] for c, v in self.columns.items() if c.startswith("mapping.") and v[row] is not None}
        known = set(self.target.mapping_options)
        for name in stated:
            if name not in known and name not in (*NETWORK, IMAGE):
                raise UnknownName(f"mapping option of {self.target.family}:", name, known)
        options = {name: value for name, value in stated.items() if name in known}
        return self.target.mapping(**{**(brought(graph) if brought else {}), **self._protocol(row, options), **options})

    def _protocol(self, row: int, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options of FPGA designs that columns of the protocol state: stage, back end and clock."""
        said = {name: self.columns[c][row] for name, c in FPGA.items() if c in self.columns and name in self.target.mapping_options}
        if "backend" in said:
            stated = '"Backend"' in str(options.get("hls_config", ""))
            said["backend"] = None if stated or not said["backend"] else str(said["backend"]).split()[0]
        if "clock_period" in options:
            said.pop("clock_period_s", None)
        return {name: value for name, value in said.items() if value is not None}

    def _stated(self, name: str, row: int) -> Any:
        for prefix in ("mapping.", "protocol."):
            found = self.columns.get(prefix + name)
            if found is not None and found[row] is not None and found[row] != "":
                return found[row]
        return None

    def _source(self, name: str) -> Any:
        """What the front ends read: a record of a file, a file beside the rows, or the name itself."""
        file, mark, record = name.partition("#")
        if mark and file.lower().endswith((".json", ".jsonl")):
            return self._record(file, record)
        found = next((place / name for place in self._places() if (place / name).is_file()), None)
        return (network(name) or name) if found is None else str(found)

    def _places(self) -> Iterator[Path]:
        """Folders where files of rows may lie: that of the data set, those of its source, and this one."""
        from hwsim.datasets.locate import data_path

        if self.data.where:
            yield Path(self.data.where).parent
        recipe = self.data.recipe
        yield from map(Path, recipe.made.get("folders", ()) if recipe else ())
        yield Path()
        try:
            yield data_path("fpga")
        except DataMissing:
            return

    def _record(self, file: str, record: str) -> Mapping[str, Any]:
        from hwsim.frontends.wa_hls4ml import records

        path = next((place / file for place in self._places() if (place / file).is_file()), None)
        if path is None:
            raise InputError(f"no file {file!r} with record {record!r}; expected it beside the rows, or where the data set was built from")
        if path not in self._records:
            self._records[path] = dict(_named(records(path)))
        if record not in self._records[path]:
            raise InputError(f"{path}: no record {record!r}")
        return self._records[path][record]


def _named(found: Iterator[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Records by the name that rows have for them: uuid, else number."""
    for number, record in enumerate(found):
        meta = record.get("meta_data")
        yield str((meta if isinstance(meta, Mapping) else record).get("uuid") or number), record


def architecture(graph: Graph) -> str:
    """A text that is equal for networks of equal operators and shapes of weights, whatever their values, names, batch and image size."""
    import hashlib

    tensors = graph.tensors
    lines = [(node.kind, [list(tensors[n].shape) for n in node.inputs if tensors[n].role == "weight"]) for node in graph.nodes]
    return hashlib.sha256(json.dumps(lines, default=str).encode()).hexdigest()[:12]


def rows_by_family(data: Dataset) -> dict[str, int]:
    """Families of the devices of a data set, and how many rows each has; devices that nobody knows are left out."""
    from hwsim import shelf

    found: dict[str, int] = {}
    names, counts = np.unique(data.text("device").astype(str), return_counts=True)
    for name, count in zip(names.tolist(), counts.tolist(), strict=True):
        try:
            family = shelf.family_of(name)
        except InputError:
            continue
        found[family] = found.get(family, 0) + count
    return found
