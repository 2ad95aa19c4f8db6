"""What may vary: quantities of the devices, choices of the mapping, sizes of the network, options of its builder."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from hwsim import api
from hwsim.cost import Target
from hwsim.errors import InputError, UnknownName
from hwsim.sweep.constraints import unit_of
from hwsim.sweep.reading import Kind
from hwsim.sweep.space import LOAD, is_builder


@dataclass(frozen=True)
class Names:
    """Axes that a set of models and devices can have.

    >>> Names.of(["resnet50"], ["a100-sxm-80gb"]).kind("sm_count").name
    'device.sm_count'
    """

    models: tuple[Any, ...]
    found: tuple[tuple[Target, Any], ...]
    """Family and device of each device."""

    @classmethod
    def of(cls, models: Sequence[Any], devices: Sequence[Any]) -> Names:
        """The names for these models and devices.

        Raises:
            UnknownName: no such device.
        """
        return cls(tuple(models), tuple(api.find(d) for d in devices))

    def kind(self, name: str, raw: Any = None) -> Kind:
        """What an axis of this name may hold; `sm_count` means `device.sm_count`, where only that can be meant.

        Raises:
            UnknownName: nothing is called so.
            InputError: a family among the devices has no such quantity, or a short name means two things.
        """
        plain, bracket, pattern = name.partition("[")
        full = self._full(plain)
        group, _, rest = full.partition(".")
        if bracket and (group != "mapping" or not pattern.endswith("]") or len(pattern) < 2):
            raise InputError(f"axis {name!r}: a pattern of layers goes with a mapping choice, such as mapping.reuse_factor[fc*]")
        if group == "device":
            return self._device_kind(full, rest)
        if group == "mapping":
            return self._mapping_kind(f"{full}{bracket}{pattern}", rest)
        if group == "model":
            return self._model_kind(full, rest, raw)
        return Kind(full, numeric=full != "phase", integer=full != "phase", outer=True, check=None if full == "phase" else _at_least_one)

    def _full(self, name: str) -> str:
        known = self.known()
        short = name.removeprefix("mapping.")
        if short in LOAD:
            return short
        if name.startswith("dim.") and len(name) > 4:
            return name
        if name in known or (name.startswith("model.") and not any(known_options(m) for m in self.models)):
            return name
        means = [k for k in known if k.partition(".")[2] == name]
        if len(means) > 1:
            raise InputError(f"axis {name!r} may mean {' or '.join(means)}; write one of them")
        if not means:
            raise UnknownName("axis", name, known if "." in name else [*known, *(k.partition(".")[2] for k in known if "." in k)])
        return means[0]

    def known(self) -> list[str]:
        """Names of all axes."""
        device = dict.fromkeys(f"device.{n}" for _, d in self.found for n in quantities(d))
        mapping = dict.fromkeys(f"mapping.{n}" for t, _ in self.found for n in t.mapping_options)
        model = dict.fromkeys(f"model.{n}" for m in self.models for n in options_of(m))
        return [*device, *mapping, *model, *LOAD]

    def _device_kind(self, name: str, field: str) -> Kind:
        missing = [d.name for _, d in self.found if field not in quantities(d)]
        if missing:
            raise InputError(f"axis {name!r}: {missing[0]} has no quantity {field!r}; sweep devices of different families apart")
        device = self.found[0][1]
        unit, now = device.sources[field].unit if field in device.sources else unit_of(field), getattr(device, field)
        whole = unit in ("", "1") and float(now).is_integer() and not field.endswith(("_frac", "efficiency"))

        def check(value: Any) -> None:
            for _, each in self.found:
                each.with_overrides({field: value})

        return Kind(name, unit="" if unit == "1" else unit, integer=whole and now > 1, check=check)

    def _mapping_kind(self, name: str, option: str) -> Kind:
        missing = [t.family for t, _ in self.found if option not in t.mapping_options]
        if missing:
            raise InputError(f"axis {name!r}: the {missing[0]} family has no choice {option!r}; sweep devices of different families apart")
        target = self.found[0][0]
        stated = {f.name: f for f in fields(target.mapping())}
        if option not in stated and f"{option}_s" in stated:
            return Kind(f"mapping.{option}_s", unit="s", scale=1e-9, check=_tried(target, f"{option}_s"))
        annotation, default = str(stated[option].type), stated[option].default
        columns, numeric = "Array" in annotation, _is_number(annotation)
        whole = "int" in annotation or (columns and (default is None or isinstance(default, int)))
        return Kind(name, unit_of(option), numeric, whole, outer=not columns, check=_tried(target, option))

    def _model_kind(self, name: str, option: str, raw: Any) -> Kind:
        missing = [str(m) for m in self.models if option not in options_of(m) and known_options(m)]
        if missing:
            raise InputError(f"axis {name!r}: {missing[0]} has no option {option!r}; sweep models of different builders apart")
        default = next((options_of(m)[option] for m in self.models if option in options_of(m)), None)
        if default is None and isinstance(raw, str):
            default = 1 if re.fullmatch(r"[\d\s,:]+|\d+\.\.\d+(\s*x\s*\d+)?(\s+log)?", raw) else raw
        numeric = isinstance(default, int | float) and not isinstance(default, bool)
        return Kind(name, numeric=numeric, integer=numeric and isinstance(default, int), outer=True, check=self._buildable(option))

    def _buildable(self, option: str) -> Callable[[Any], Any] | None:
        if not all(isinstance(m, str) and known_options(m) for m in self.models):
            return None
        from hwsim.zoo.registry import checked_option

        def check(value: Any) -> None:
            for model in self.models:
                checked_option(_zoo_name(model), option, value)

        return check


def _at_least_one(value: Any) -> None:
    if value < 1:
        raise InputError(f"found {value!r}; expected 1 or more")


def _tried(target: Target, option: str) -> Callable[[Any], Any]:
    def check(value: Any) -> None:
        target.mapping(**{option: value})

    return check


def _is_number(annotation: str) -> bool:
    words = {w.strip() for w in annotation.split("|")} - {"None"}
    return words <= {"int", "float", "Array"}


def quantities(device: Any) -> list[str]:
    """Fields of a device that hold numbers."""
    if not is_dataclass(device):
        return list(device.sources)
    values = {f.name: getattr(device, f.name) for f in fields(device)}
    return [name for name, value in values.items() if isinstance(value, int | float) and not isinstance(value, bool)]


def options_of(model: Any) -> Mapping[str, Any]:
    """Options of a builder and their defaults: of a zoo model, or of a function that makes a graph."""
    if is_builder(model):
        return {n: None if p.default is p.empty else p.default for n, p in inspect.signature(model).parameters.items()}
    if known_options(model):
        from hwsim.zoo.registry import info

        return {n: v for n, v in info(_zoo_name(model)).options.items() if n not in LOAD}
    return {}


def known_options(model: Any) -> bool:
    """Whether the options of a model's builder are known."""
    from hwsim.zoo.registry import names

    return is_builder(model) or (isinstance(model, str) and _zoo_name(model) in names())


def _zoo_name(model: str) -> str:
    return model.removeprefix("zoo:").partition("?")[0]


def unique(names: Iterable[str], what: str) -> None:
    """Complain about a name that stands twice.

    Raises:
        InputError: there is one.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{what} {name!r} is given twice")
        seen.add(name)
