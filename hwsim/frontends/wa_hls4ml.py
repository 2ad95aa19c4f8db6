"""Records of the wa-hls4ml benchmark -> Graph: a flat list of Keras layers, an hls4ml configuration, and the tools' reports.

Two shapes are read: the published one (`meta_data`, `model_config`, `hls_config`, `resource_report` ...), and a short one with
`layers` of (`n_in`, `n_out`) or (`in_len`, `filters`, `kernel`). The configuration goes to `graph.attrs["hls_config"]` in
hls4ml's words, the reports to `graph.attrs["reports"]`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from hwsim.errors import InputError, UnknownName
from hwsim.frontends.keras.rules.common import name_of
from hwsim.graph import Graph

_HEAD = 1 << 16
_REPORTS = ("resource_report", "hls_resource_report", "latency_report")
_VERSIONS = ("vivado_version", "backend_version", "hls4ml_version")
_OPTIONS = ("batch", "record", "allow_unsupported")


class WaHls4mlFrontend:
    """Reads one record: a mapping, or one of those in a `.json` or `.jsonl` file (`record=` its number, uuid or model name)."""

    name = "wa_hls4ml"

    def accepts(self, source: Any) -> bool:
        """A mapping with `model_config` or `layers` beside a report, or a file that starts like one."""
        if isinstance(source, Mapping):
            return is_record(source)
        if not isinstance(source, str | PurePath) or PurePath(source).suffix.lower() not in (".json", ".jsonl"):
            return False
        try:
            with Path(source).open("rb") as file:
                head = file.read(_HEAD)
        except (OSError, ValueError):
            return PurePath(source).suffix.lower() == ".jsonl"
        return (b'"model_config"' in head or b'"layers"' in head) and any(f'"{r}"'.encode() in head for r in (*_REPORTS, "hls_config"))

    def load(
        self,
        source: Any,
        *,
        batch: int | None = None,
        seq_len: int | None = None,
        dims: Mapping[str, int] | None = None,
        allow_unsupported: bool = False,
        record: int | str = 0,
        **options: Any,
    ) -> Graph:
        """The graph of one record.

        Raises:
            InputError: no such record, or one without layers.
            UnknownName: an option that does not exist.
            UnsupportedOp: layers without a rule.
        """
        for option in options:
            raise UnknownName("option of the wa-hls4ml front end", option, _OPTIONS)
        found, where = (source, "wa-hls4ml record") if isinstance(source, Mapping) else (_chosen(Path(source), record), str(source))
        return graph_of(found, where=where, batch=batch or 1, allow_unsupported=allow_unsupported)


def is_record(data: Mapping[str, Any]) -> bool:
    """Whether a mapping is a record, of either shape."""
    return any(key in data for key in ("model_config", "layers")) and any(key in data for key in (*_REPORTS, "hls_config"))


def graph_of(record: Mapping[str, Any], *, where: str = "wa-hls4ml record", batch: int = 1, allow_unsupported: bool = False) -> Graph:
    """The graph of a record.

    Raises:
        InputError: it has no layers, or a layer lacks a size.
    """
    from hwsim.frontends.keras.load import build
    from hwsim.frontends.keras.network import network_of
    from hwsim.frontends.keras.reading import Source
    from hwsim.frontends.keras.weights import Weights

    meta = record.get("meta_data") if isinstance(record.get("meta_data"), Mapping) else record
    name = str(meta.get("model_name") or meta.get("uuid") or meta.get("model_id") or "record")  # pyright: ignore[reportOptionalMemberAccess]
    layers = record.get("model_config") or record.get("layers")
    if not isinstance(layers, Sequence) or isinstance(layers, str) or not layers:
        raise InputError(f"{where}: record {name!r} has no list `model_config`; expected the layers of the network")
    at = f"{where}: record {name!r}"
    network = network_of(architecture(layers, name=name, where=at), where=at)
    facts = {"reports": reports(record), "record": {k: meta[k] for k in ("uuid", "model_id", "model_name") if k in meta}}  # pyright: ignore[reportOptionalSubscript, reportOperatorIssue]
    facts["versions"] = {key: str(record[key]) for key in _VERSIONS if record.get(key)}
    config = configuration(record)
    loaded = Source(network, Weights(), at)
    found = build(loaded, batch=batch, seq_len=None, dims={}, allow_unsupported=allow_unsupported, hls_config=config, **facts)
    return found.replace(attrs={**found.attrs, "frontend": "wa_hls4ml", "source": where})


def records(path: Path) -> Iterator[Mapping[str, Any]]:
    """All records of a `.json` file (one, or a list) or of a `.jsonl` file.

    Raises:
        InputError: no such file, or not JSON.
    """
    try:
        if path.suffix.lower() == ".jsonl":
            with path.open(encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        yield _mapping(json.loads(line), f"{path}, line {number}")
            return
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}; expected a file of wa-hls4ml records") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({str(error)[:100]}); expected wa-hls4ml records, .jsonl with one a line") from None
    for item in content if isinstance(content, list) else [content]:
        yield _mapping(item, str(path))


def _mapping(item: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(item, Mapping):
        raise InputError(f"{where}: found a {type(item).__name__}; expected a record with `model_config` and `hls_config`")
    return item


def _chosen(path: Path, record: int | str) -> Mapping[str, Any]:
    count = 0
    for count, item in enumerate(records(path), 1):
        meta = item.get("meta_data") if isinstance(item.get("meta_data"), Mapping) else item
        names = {str(meta[key]) for key in ("uuid", "model_id", "model_name") if key in meta}  # pyright: ignore[reportOptionalSubscript, reportOperatorIssue]
        if str(record) == str(count - 1) or str(record) in names:
            return item
    raise InputError(f"{path}: no record {record!r}; expected a number from 0 to {count - 1}, a uuid or a model name")


def reports(record: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The reports of a record as numbers; those that are empty are left out.

    >>> reports({"resource_report": {"dsp": "12", "bram": "17.5"}, "latency_report": {}})
    {'resource_report': {'dsp': 12.0, 'bram': 17.5}}
    """
    found = {}
    for key in _REPORTS:
        given = record.get(key)
        numbers = {str(k): v for k, raw in given.items() if (v := _number(raw)) is not None} if isinstance(given, Mapping) else {}
        if numbers:
            found[key] = numbers
    return found


def _number(raw: Any) -> float | None:
    try:
        return float(raw)
    except (TypeError, ValueError):
        return None


def configuration(record: Mapping[str, Any]) -> dict[str, Any]:
    """The hls4ml configuration of a record in hls4ml's words, with `Part`, `ClockPeriod`, `IOType` and `Backend` where they are known."""
    given = record.get("hls_config")
    config = dict(given) if isinstance(given, Mapping) else {}
    hls = {key: config[key] for key in ("Model", "LayerType", "LayerName", "SkipOptimizers") if config.get(key)}
    hls.setdefault("Model", _short_model(record))
    clock = config.get("clock_period") or config.get("ClockPeriod") or reports(record).get("latency_report", {}).get("target_clock")
    whole = {
        "Backend": _backend(record),
        "Part": record.get("target_part"),
        "ClockPeriod": _number(clock),
        "IOType": str(config.get("io_type") or config.get("IOType") or record.get("io_type") or "").partition(" ")[0] or None,
        "HLSConfig": hls,
    }
    return {key: value for key, value in whole.items() if value is not None}


def _backend(record: Mapping[str, Any]) -> str | None:
    """Vitis HLS from 2020.2 on, as its own name or the version of the tool says."""
    named = str(record.get("backend") or record.get("vivado_version") or "")
    if "Accelerator" in named:
        return "Vivado"
    year = named.split(".")[0]
    if not year.isdigit():
        return named or None
    return "Vitis" if (int(year), named) >= (2020, "2020.2") else "Vivado"


def _short_model(record: Mapping[str, Any]) -> dict[str, Any]:
    """`Model` of a record of the short shape."""
    model: dict[str, Any] = {}
    formats = [part.strip() for part in str(record.get("precision") or "").split(";")]
    for text in formats:
        word, _, fmt = text.rpartition(" ")
        if "<" in fmt and word == "weight":
            model["Precision"] = {"default": "ap_fixed<16,6>", "weight": fmt, "bias": fmt}
        elif "<" in text:
            model["Precision"] = text
    if record.get("reuse_factor") is not None:
        model["ReuseFactor"] = int(record["reuse_factor"])
    if record.get("strategy"):
        model["Strategy"] = str(record["strategy"])
    return model


def architecture(layers: Sequence[Any], *, name: str, where: str) -> dict[str, Any]:
    """A functional Keras configuration of the flat list of a record.

    Raises:
        InputError: an entry that is no layer.
    """
    made: list[dict[str, Any]] = []
    produced: dict[str, str] = {}
    for index, raw in enumerate(layers):
        if not isinstance(raw, Mapping) or not raw.get("class_name"):
            raise InputError(f"{where}: layer {index} is {str(raw)[:60]!r}; expected a mapping with `class_name`")
        if not made and raw["class_name"] != "InputLayer":
            made.append(_node("InputLayer", "input", {"batch_shape": _shape(raw, "input", where=where)}, []))
        before = made[-1]["config"]["name"] if made else ""
        nested = raw["class_name"] == "Activation" and not raw.get("name")
        own = f"{before}_{name_of(raw.get('activation')).partition('(')[0]}" if nested else str(raw.get("name") or _numbered(raw, index))
        inbound = [produced.get(str(n), str(n)) for n in raw.get("inbound_layers") or ()] or ([before] if before else [])
        made.append(_node(str(raw["class_name"]), own, _config(raw, where=f"{where}: layer {own!r}"), inbound))
        if nested:  # an activation taken out of the layer before: readers of that one read this
            produced[before] = own
    config = {"name": name, "layers": made, "input_layers": [[made[0]["config"]["name"], 0, 0]]}
    return {"class_name": "Functional", "config": {**config, "output_layers": [[made[-1]["config"]["name"], 0, 0]]}}


def _numbered(raw: Mapping[str, Any], index: int) -> str:
    return f"{raw['class_name']}_{index}".lower()


def _node(class_name: str, name: str, config: Mapping[str, Any], inbound: Sequence[str]) -> dict[str, Any]:
    calls = [[[n, 0, 0, {}] for n in inbound]] if inbound else []
    return {"class_name": class_name, "config": {**config, "name": name}, "inbound_nodes": calls}


_SAME = ("filters", "kernel_size", "strides", "padding", "use_bias", "activation", "dtype", "pool_size", "axis", "size", "data_format")
_SIZES = {
    "input": ("in_height", "in_width", "in_len", "in_ch", "ch", "n_in"),
    "output": ("out_height", "out_width", "out_len", "ch", "out"),
}
"""Words of the short shape for the sizes of a layer's ends, in order."""
_SHORT = {"neurons": "units", "n_out": "units", "kernel": "kernel_size", "stride": "strides"}


def _config(raw: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Settings of a layer in Keras' words."""
    config = {key: raw[key] for key in _SAME if raw.get(key) is not None}
    config |= {ours: raw[theirs] for theirs, ours in _SHORT.items() if raw.get(theirs) is not None}
    class_name = str(raw["class_name"])
    if class_name == "InputLayer":
        return {"batch_shape": _shape(raw, "input", where=where), "dtype": raw.get("dtype")}
    if class_name == "Reshape":
        return {**config, "target_shape": _shape(raw, "output", where=where)[1:]}
    if "Pooling" in class_name and "Global" not in class_name and "pool_size" not in config:
        return {**config, **_pooling(raw, where=where)}
    if "UpSampling" in class_name and "size" not in config:
        before, after = (_shape(raw, end, where=where)[1:-1] for end in ("input", "output"))
        return {**config, "size": [b // a for a, b in zip(before, after, strict=True)]}
    return config


def _pooling(raw: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Window and padding that make the output of the input: records do not state them."""
    before, after = (_shape(raw, end, where=where)[1:-1] for end in ("input", "output"))
    window = [max(1, b // max(1, a)) for b, a in zip(before, after, strict=True)]
    exact = all((b - k) // k + 1 == a for b, a, k in zip(before, after, window, strict=True))
    if not exact:
        window = [-(-b // max(1, a)) for b, a in zip(before, after, strict=True)]
    return {"pool_size": window, "strides": window, "padding": "valid" if exact else "same"}


def _shape(raw: Mapping[str, Any], end: str, *, where: str) -> list[Any]:
    """Shape of a layer's `input` or `output`, batch first."""
    stated = raw.get(f"{end}_shape")
    if isinstance(stated, Sequence) and not isinstance(stated, str) and stated:
        return list(stated[0] if isinstance(stated[0], Sequence) else stated)
    sizes = [raw[key] for key in _SIZES[end] if key in raw]
    if not sizes:
        raise InputError(f"{where}: a {raw['class_name']} without {end}_shape; expected a list of sizes, batch first")
    return [None, *sizes]


FRONTEND = WaHls4mlFrontend()
"""What the entry point names."""
