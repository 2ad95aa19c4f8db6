"""A sweep as a file: what a paper would publish. Strict YAML to a frozen description, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec
import yaml

from hwsim import yaml12
from hwsim.errors import InputError, UnknownName
from hwsim.sweep.build import space
from hwsim.sweep.space import Space

Text = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What `hwsim sweep` is asked, in the words of its options."""

    model: tuple[str, ...]
    """Networks."""
    on: tuple[str, ...]
    """Devices."""
    vary: Text = field(default_factory=dict)
    """Axis to values: a text (`64:256:8`), a list, or `{low, high, count, log}`."""
    model_axis: Text = field(default_factory=dict)
    """Option of the model's builder to values."""
    batch: int | None = None
    seq_len: int | None = None
    kv_len: int | None = None
    phase: str | None = None
    dim: dict[str, int] = field(default_factory=dict)
    """Values of symbolic dimensions."""
    passes: tuple[str, ...] = ()
    allow_unsupported: bool = False
    map: Text = field(default_factory=dict)
    """Mapping options that all points share."""
    set: Text = field(default_factory=dict)
    """Device quantities that all points share."""
    sample: str = "grid"
    points: int = 0
    """Of a sample."""
    seed: int = 0
    where: tuple[str, ...] = ("fits",)
    """Conditions."""
    pareto: tuple[str, ...] = ()
    """Objectives of the front."""
    best: str = ""
    """Metric of the best point and of the top list; by default the first objective, else latency."""
    top: int = 10
    method: str = "closed-form"
    """Who answers: `closed-form` or `surrogate:NAME`."""

    def space(self, *, free: bool = False) -> Space:
        """The design points.

        Args:
            free: for a search.

        Raises:
            InputError: what `build.space` refuses.
        """
        load = {n: getattr(self, n) for n in ("batch", "seq_len", "kv_len", "phase") if getattr(self, n) is not None}
        load |= {"dims": self.dim} if self.dim else {}
        load |= {"passes": self.passes} if self.passes else {}
        load |= {"allow_unsupported": True} if self.allow_unsupported else {}
        return space(
            list(self.model),
            list(self.on),
            vary=self.vary,
            model_axes=self.model_axis,
            load=load,
            mapping=self.map,
            set=self.set,
            sample=self.sample,
            points=self.points,
            seed=self.seed,
            free=free,
            method=self.method,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data without what stands at its default; one model or device as a text."""
        found: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            default = f.default_factory() if callable(f.default_factory) else f.default
            if value != default:
                found[f.name] = list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
        for name in ("model", "on"):
            found[name] = found[name][0] if len(found[name]) == 1 else found[name]
        return found

    def to_yaml(self) -> str:
        """The text of a sweep file."""
        from hwsim import __version__

        body = yaml.safe_dump(self.to_dict(), sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
        body = body.replace("'on':", "on:")  # a truth value in YAML 1.1 only
        return f"# A sweep of hwsim {__version__}; run it with: hwsim sweep THIS_FILE\n{body}"


_LISTS = ("model", "on", "where", "pareto", "passes")
_REQUIRED = ("model", "on")


def read(source: str | Path | Mapping[str, Any]) -> Spec:
    """A sweep from a YAML file or plain data.

    >>> read({"model": "resnet50", "on": "l4", "vary": {"batch": [1, 8]}, "pareto": "latency,energy"}).pareto
    ('latency', 'energy')

    Raises:
        UnknownName: a key that does not exist.
        InputError: a key is missing, or a value of the wrong kind.
    """
    where = str(source) if isinstance(source, str | Path) else "sweep"
    data = yaml12.load(Path(source)) if isinstance(source, str | Path) else source
    if not isinstance(data, Mapping):
        raise InputError(f"{where}: found {data!r}; expected keys such as model, on, vary")
    known = [f.name for f in fields(Spec)]
    plain = {str(key).replace("-", "_"): value for key, value in data.items()}
    for key in plain:
        if key not in known:
            raise UnknownName(f"key in {where}:", key, known)
    if missing := [key for key in _REQUIRED if not plain.get(key)]:
        raise InputError(f"{where}: {' and '.join(missing)} missing; a sweep needs a model and a device (on)")
    plain |= {name: _list(plain[name], comma=name == "pareto") for name in _LISTS if name in plain}
    return _converted(plain, where)


def _converted(plain: dict[str, Any], where: str) -> Spec:
    try:
        return msgspec.convert(plain, Spec, strict=True)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {_sentence(str(error))}") from None


def _sentence(message: str) -> str:
    """`Expected `int`, got `str` - at `$.batch`` as `batch: Expected int, got str`."""
    what, _, at = message.partition(" - at ")
    return f"{at.strip('`').removeprefix('$.') or 'value'}: {what[:1].lower()}{what[1:]}".replace("`", "")


def _list(value: Any, *, comma: bool) -> Any:
    if isinstance(value, str):
        return [v.strip() for v in value.split(",")] if comma else [value]
    return value
