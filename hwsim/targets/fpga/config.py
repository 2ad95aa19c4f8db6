"""HlsConfig: an hls4ml configuration, in hls4ml's own words, checked and looked up as hls4ml looks it up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hwsim import yaml12
from hwsim.errors import InputError, UnknownName
from hwsim.targets.fpga import fields
from hwsim.targets.fpga.fields import snake_case
from hwsim.targets.fpga.precision import FixedPoint, parse

DEFAULT_PRECISION = "ap_fixed<16,6>"
AUTO = "auto"
_TAG = re.compile(r"!(?:keras_model|onnx_model|pytorch_model|numpy_array)\b")


@dataclass(frozen=True)
class Settings:
    """What one block says: `Model`, a layer type or a layer."""

    precision: tuple[tuple[str, str], ...] = ()
    """Formats by variable (`weight`, `result` ...); `default` stands for all. Texts, `auto` among them."""
    values: tuple[tuple[str, Any], ...] = ()
    """Other fields by their name in snake case: reuse_factor, strategy, table_size ..."""

    @cached_property
    def precisions(self) -> Mapping[str, str]:
        """Formats by variable."""
        return dict(self.precision)

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """Other fields by name."""
        return dict(self.values)

    def changed(self, **changes: Any) -> Settings:
        """A copy with other fields; `precision` is a text or a mapping."""
        return Settings.read({**self.to_dict(), **changes}, where="changes")

    def to_dict(self) -> dict[str, Any]:
        """As plain data, fields in snake case."""
        return ({"precision": dict(self.precision)} if self.precision else {}) | {k: _thawed(v) for k, v in self.values}

    @classmethod
    def read(cls, data: Any, *, where: str) -> Settings:
        """Settings of a block of a file.

        Raises:
            InputError: a value that cannot be; names `where` and the field.
            UnknownName: no such field.
        """
        if data is None:
            return cls()
        if not isinstance(data, Mapping):
            raise InputError(f"{where}: found {data!r}; expected a mapping such as {{Precision: {DEFAULT_PRECISION}, ReuseFactor: 4}}")
        precision: dict[str, str] = {}
        values: dict[str, Any] = {}
        for key, value in data.items():
            name = snake_case(str(key))
            if name == "precision":
                precision = _precisions(value, where=where)
            elif value is not None:
                values[name] = fields.checked(name, value, key=str(key), where=where)
        return cls(tuple(sorted(precision.items())), tuple(sorted(values.items())))


@dataclass(frozen=True)
class HlsConfig:
    """An hls4ml configuration."""

    model: Settings = Settings((("default", DEFAULT_PRECISION),), (("reuse_factor", 1),))
    types: tuple[tuple[str, Settings], ...] = ()
    names: tuple[tuple[str, Settings], ...] = ()
    backend: str | None = None
    part: str | None = None
    board: str | None = None
    clock_period_s: float | None = None
    clock_uncertainty_frac: float | None = None
    io_type: str | None = None
    skipped_passes: tuple[str, ...] = field(default=())
    """SkipOptimizers."""

    @classmethod
    def read(cls, source: Any) -> HlsConfig:
        """A configuration from a mapping, a JSON text, or the path of a YAML or JSON file.

        Takes the whole of what hls4ml converts from (`Backend`, `Part`, `ClockPeriod`, `IOType`, `HLSConfig` ...) or only
        its `HLSConfig` part (`Model`, `LayerType`, `LayerName`), as `hls4ml.utils.config_from_keras_model` gives it.

        >>> HlsConfig.read({"Model": {"Precision": "ap_fixed<8,3>", "ReuseFactor": 4}}).reuse_factor("fc1", "Dense")
        4

        Raises:
            InputError: not such a configuration, or a value that cannot be; names layer and field.
            UnknownName: no such field, strategy, backend or I/O type.
        """
        if isinstance(source, HlsConfig):
            return source
        data = _plain(source)
        if not isinstance(data, Mapping):
            raise InputError(f"HLS configuration: found {data!r}; expected a mapping with 'Model', or with 'HLSConfig'")
        return cls._from_whole(data) if "HLSConfig" in data else cls._from_hls(data, data)

    @classmethod
    def _from_whole(cls, data: Mapping[str, Any]) -> HlsConfig:
        fields.check_keys(data, fields.TOP_KEYS, where="HLS configuration")
        return cls._from_hls(data["HLSConfig"] or {}, data)

    @classmethod
    def _from_hls(cls, hls: Mapping[str, Any], top: Mapping[str, Any]) -> HlsConfig:
        fields.check_keys(hls, (*fields.HLS_KEYS, *(fields.TOP_KEYS if hls is top else ())), where="HLSConfig")
        model = Settings.read(hls.get("Model"), where="Model")
        if "default" not in model.precisions:
            model = replace(model, precision=tuple(sorted((*model.precision, ("default", DEFAULT_PRECISION)))))
        if "reuse_factor" not in model.fields:
            model = replace(model, values=tuple(sorted((*model.values, ("reuse_factor", 1)))))
        if model.precisions["default"] == AUTO:
            raise InputError(f"Model: Precision.default is 'auto'; expected a format such as {DEFAULT_PRECISION}")
        return cls(
            model,
            _blocks(hls.get("LayerType"), "LayerType"),
            _blocks(hls.get("LayerName"), "LayerName"),
            skipped_passes=tuple(hls.get("SkipOptimizers") or ()),
            **fields.project(top),
        )

    @classmethod
    def of(cls, *, precision: Any = DEFAULT_PRECISION, reuse_factor: int = 1, strategy: str = "latency", **others: Any) -> HlsConfig:
        """One setting for the whole network; `others` are further fields of `Model`. `auto` has all formats inferred."""
        if precision == AUTO:
            precision = {"default": DEFAULT_PRECISION, "result": AUTO, "accum": AUTO, "param": AUTO}
        return cls.read({"Model": {"Precision": precision, "ReuseFactor": reuse_factor, "Strategy": strategy, **others}})

    def with_model(self, **changes: Any) -> HlsConfig:
        """A copy with other fields of `Model` (snake case): `with_model(reuse_factor=8, strategy="resource")`."""
        if isinstance(text := changes.get("precision"), str):
            changes["precision"] = {**self.model.precisions, "default": text}
        return replace(self, model=self.model.changed(**changes))

    def with_layer(self, name: str, settings: Settings) -> HlsConfig:
        """A copy with the settings of one more layer."""
        return replace(self, names=(*((n, s) for n, s in self.names if n != name), (name, settings)))

    def to_dict(self) -> dict[str, Any]:
        """As plain data, which `read` takes: `HLSConfig`, and what is known of backend, part, clock and I/O type."""
        hls: dict[str, Any] = {"Model": self.model.to_dict()}
        for key, blocks in (("LayerType", self.types), ("LayerName", self.names)):
            hls |= {key: {n: s.to_dict() for n, s in blocks}} if blocks else {}
        hls |= {"SkipOptimizers": list(self.skipped_passes)} if self.skipped_passes else {}
        period, share = self.clock_period_s, self.clock_uncertainty_frac
        project = {
            "Backend": self.backend,
            "Part": self.part,
            "Board": self.board,
            "IOType": self.io_type,
            "ClockPeriod": None if period is None else round(period * 1e9, 6),
            "ClockUncertainty": None if share is None else f"{share * 100:g}%",
        }
        return {**{k: v for k, v in project.items() if v is not None}, "HLSConfig": hls}

    @cached_property
    def text(self) -> str:
        """As canonical JSON, which `read` takes."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @cached_property
    def _by_name(self) -> Mapping[str, Settings]:
        return {n.lower(): s for n, s in self.names}

    @cached_property
    def _by_type(self) -> Mapping[str, Settings]:
        return {n.lower(): s for n, s in self.types}

    def layer(self, name: str) -> Settings:
        """What `LayerName` says of a layer; the path of a torch module counts in hls4ml's spelling, too (`block.0` as `block_0`)."""
        return self._by_name.get(name.lower()) or self._by_name.get(identifier(name), _NOTHING)

    def kind(self, kind: str) -> Settings:
        """What `LayerType` says of a class of layers."""
        return self._by_type.get(kind.lower(), _NOTHING)

    def precision(self, name: str, kind: str, variable: str) -> FixedPoint | None:
        """Format of a variable of a layer; None where it is to be inferred.

        Order: LayerName (the variable, then its default), LayerType, Model.
        """
        for settings in (self.layer(name), self.kind(kind), self.model):
            for key in (variable, "default"):
                if (text := settings.precisions.get(key)) is not None:
                    return None if text == AUTO else parse(text)
        return self.default

    def explicit(self, name: str, variable: str) -> bool:
        """Whether `LayerName` fixes the format of this very variable, or of the whole layer."""
        given = self.layer(name).precisions
        return given.get(variable, given.get("default", AUTO)) != AUTO

    @cached_property
    def default(self) -> FixedPoint:
        """Format of whatever nothing else decides."""
        return parse(self.model.precisions["default"])

    @cached_property
    def maximum(self) -> FixedPoint | None:
        """Widest format that inference may choose."""
        text = self.model.precisions.get("maximum")
        return None if text is None else parse(text)

    def reuse_factor(self, name: str, kind: str) -> int:
        """Requested reuse factor of a layer."""
        return int(self._first(name, kind, "reuse_factor", 1))

    def strategy(self, name: str, kind: str) -> str:
        """Requested strategy of a layer, in hwsim's words: latency, resource, unrolled or distributed_arithmetic."""
        return self._first(name, kind, "strategy", "latency")

    def conv_implementation(self, name: str) -> str:
        """linebuffer or encoded. hls4ml compares `LayerType` with an internal class name here, so a type never decides."""
        own = self.layer(name).fields.get("conv_implementation")
        return str(own or self.model.fields.get("conv_implementation", "linebuffer")).lower()

    def _first(self, name: str, kind: str, key: str, default: Any) -> Any:
        for settings in (self.layer(name), self.kind(kind), self.model):
            if key in settings.fields:
                return settings.fields[key]
        return default

    def attribute(self, name: str, kind: str, key: str, default: Any = None) -> Any:
        """A field that hls4ml copies into the layer: from LayerName, else LayerType; Model does not count."""
        return self.layer(name).fields.get(key, self.kind(kind).fields.get(key, default))

    def block_value(self, name: str, kind: str, key: str, default: Any = None) -> Any:
        """A field that hls4ml reads from the first block that exists for the layer, be it without the field."""
        for settings in (self.layer(name), self.kind(kind)):
            if settings is not _NOTHING:
                return settings.fields.get(key, default)
        return self.model.fields.get(key, default)

    def check_layers(self, known: Iterable[str]) -> None:
        """Complain about entries of `LayerName` that belong to no layer.

        Raises:
            UnknownName: such an entry.
        """
        known = list(known)
        lower = {k.lower() for k in known} | {identifier(k) for k in known}
        for name, _ in self.names:
            if not {name.lower(), f"{name.lower()}_depthwise"} & lower:
                raise UnknownName("layer in LayerName:", name, known)


def identifier(name: str) -> str:
    """A module path as hls4ml names its layer, in lower case.

    >>> identifier("Block.0.conv"), identifier("0")
    ('block_0_conv', '_0')
    """
    flat = name.lower().replace(".", "_")
    return f"_{flat}" if flat[:1].isdigit() else flat


def with_halves(config: HlsConfig, names: Iterable[str]) -> HlsConfig:
    """The settings of separable convolutions handed to their halves, `<name>_depthwise` and `<name>_pointwise`, as hls4ml does."""
    known = set(names)
    for whole in [n.removesuffix("_depthwise") for n in known if n.endswith("_depthwise")]:
        types = [s for n, s in config.types if n.startswith("SeparableConv")]
        given = {k: v for s in (*types, config.layer(whole)) for k, v in s.to_dict().items()}
        if not given or f"{whole}_pointwise" not in known:
            continue
        for half, other in (("depthwise", "pointwise"), ("pointwise", "depthwise")):
            if config.layer(f"{whole}_{half}") is _NOTHING:
                settings = Settings.read({**given, "precision": _half(given.get("precision", {}), half, other)}, where=whole)
                config = config.with_layer(f"{whole}_{half}", settings)
    return config


def _half(precision: Mapping[str, str], half: str, other: str) -> dict[str, str]:
    """Formats of one half: `depthwise_accum` is `accum` of the depthwise one, and so on."""
    own = {half: "weight", f"{half}_accum": "accum", f"{half}_result": "result"}
    left = {k: v for k, v in precision.items() if k not in own and k not in (other, f"{other}_accum")}
    return left | {own[k]: v for k, v in precision.items() if k in own}


_NOTHING = Settings()


def _blocks(data: Any, where: str) -> tuple[tuple[str, Settings], ...]:
    if data is None:
        return ()
    if not isinstance(data, Mapping):
        raise InputError(f"{where}: found {data!r}; expected names with their settings")
    if where == "LayerType":
        fields.check_keys(data, fields.LAYER_TYPES, where=where, what="layer type")
    read = ((str(n), Settings.read(b, where=f"{where} {str(n)!r}")) for n, b in data.items())
    return tuple(sorted(((n, s) for n, s in read if s != _NOTHING), key=lambda item: item[0]))


def _precisions(value: Any, *, where: str) -> dict[str, str]:
    given = value if isinstance(value, Mapping) else {} if value is None else {"default": value}
    return {str(v): _format(text, where=f"{where}: Precision" + (f".{v}" if v != "default" else "")) for v, text in given.items()}


def _format(text: Any, *, where: str) -> str:
    if isinstance(text, FixedPoint):
        return str(text)
    if not isinstance(text, str):
        raise InputError(f"{where} is {text!r}; expected a text such as {DEFAULT_PRECISION!r}, or 'auto'")
    if text.strip().lower() == AUTO:
        return AUTO
    try:
        parse(text)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return text.strip()


def _plain(source: Any) -> Any:
    if isinstance(source, Mapping):
        return source
    if isinstance(source, str) and source.lstrip().startswith("{"):
        return _json(source, where="HLS configuration")
    if not isinstance(source, str | Path):
        raise InputError(f"HLS configuration: found a {type(source).__name__}; expected a mapping, a JSON text or a path")
    try:
        text = Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the HLS configuration {str(source)!r}: {error}") from None
    return _json(text, where=str(source)) if str(source).endswith(".json") else yaml12.loads(_TAG.sub("", text), where=str(source))


def _json(text: str, *, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({error})") from None


def _thawed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
