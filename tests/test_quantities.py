"""Quantities with sources, and the YAML that they stand in."""

from __future__ import annotations

import doctest
import math
from pathlib import Path
from typing import Any

import pytest

from hwsim import yaml12
from hwsim.errors import HwsimError, InputError
from hwsim.quantities import Field, Quantity, decode, decode_all

FIELDS = {
    "rate": Field("B/s", least=1e6),
    "size": Field("B", required=False, default=4096.0),
}
RATE = {"value": "1.5 TB/s", "source": "paper", "status": "published"}


def test_a_quantity_is_decoded_with_its_citation() -> None:
    raw = {"value": "1.5 TB/s", "source": "paper", "status": "published", "low": "1 TB/s", "high": 2e12, "note": "reads"}
    found = decode("rate", raw, unit="B/s", sources={"paper": "A. Author, 2030"}, where="chip")
    assert found == Quantity(1.5e12, "B/s", "A. Author, 2030", "published", 1e12, 2e12, "reads")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (5, "chip, field 'rate': found 5; expected {value: 1.555 TB/s, source: ..., status: ...}"),
        ({"value": 5}, "chip, field 'rate': source, status missing; every number needs a value, a source and a status"),
        (RATE | {"vaule": 5}, "unknown key of chip, field 'rate': 'vaule'. Did you mean 'value'?"),
        (RATE | {"status": "publshed"}, "unknown status of chip, field 'rate': 'publshed'. Did you mean 'published'?"),
        (RATE | {"value": None}, "chip, field 'rate': found None; expected a number or a text with a unit, such as '1.555 TB/s'"),
        (RATE | {"value": "1.5 TB"}, "chip, field 'rate': found '1.5 TB' with the unit 'TB'; expected B/s, such as '1.555 TB/s'"),
        (RATE | {"value": math.inf}, "chip, field 'rate': found inf; expected a finite number"),
        (RATE | {"high": math.nan}, "chip, field 'rate': found nan; expected a finite number"),
        (
            RATE | {"low": "2 TB/s"},
            "chip, field 'rate': found the value 1.5e+12 outside its range, 2000000000000.0 to None; expected low <= value <= high",
        ),
    ],
)
def test_a_wrong_quantity_is_refused(raw: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        decode("rate", raw, unit="B/s", sources={}, where="chip")
    assert str(error.value) == message


def test_optional_fields_take_their_default_and_say_so() -> None:
    found = decode_all({"rate": RATE}, FIELDS, sources={}, where="chip")
    assert found["size"] == Quantity(4096.0, "B", "not stated by the description", "assumed")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "chip: field(s) 'rate' missing; add them, or `extends:` a device that has them"),
        ({"rate": RATE, "sise": RATE}, "unknown field in chip: 'sise'. Did you mean 'size'?"),
        ({"rate": RATE | {"value": 0}}, "chip, field 'rate': found 0.0; expected more than 0"),
        ({"rate": RATE | {"value": 1555}}, "chip, field 'rate': found 1555 B/s; expected at least 1e+06 B/s; is its prefix missing?"),
        ({"rate": RATE, "size": RATE | {"value": -1}}, "chip, field 'size': found -1.0; expected 0 or more"),
    ],
)
def test_a_wrong_description_is_refused(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        decode_all(raw, FIELDS, sources={}, where="chip")
    assert str(error.value) == message


def test_yaml_has_the_numbers_of_1_2() -> None:
    text = "{a: 312e12, b: 1e-9, c: no, d: off, e: true, f: ~, g: 012, h: 1., i: .5, j: -.inf, k: 2024-01-01, l: 0x10, m: '1', n: }"
    assert yaml12.loads(text) == {
        **{"a": 312e12, "b": 1e-9, "c": "no", "d": "off", "e": True, "f": None, "g": 12, "h": 1.0, "i": 0.5},
        **{"j": -math.inf, "k": "2024-01-01", "l": "0x10", "m": "1", "n": None},
    }
    assert isinstance(yaml12.loads("312e12"), float)


PLAIN = "expected plain texts, numbers, lists and mappings"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "x.yaml, line 3, column 1: the key 'a' stands twice"),
        ("a: &n 1\nb: *n", "x.yaml, line 2, column 4: aliases (*n) are not accepted; write the value out"),
        (
            "a: !!python/name:os.system x",
            f"x.yaml, line 1, column 4: the tag 'tag:yaml.org,2002:python/name:os.system' is not accepted; {PLAIN}",
        ),
        ("a: !!bool x", f"x.yaml, line 1, column 4: the tag 'tag:yaml.org,2002:bool' is not accepted; {PLAIN}"),
        ("- !mine 5", f"x.yaml, line 1, column 3: the tag '!mine' is not accepted; {PLAIN}"),
        ("? [a]\n: 1", "x.yaml, line 1, column 3: the key ['a'] is not a text"),
        ("[" * 100_000, "x.yaml, line 1, column 102: more than 100 levels of nesting"),
        ("a: 1\n---\nb: 2", "x.yaml, line 2, column 1: but found another document"),
        ("a" * 4_000_001, "x.yaml: 4,000,001 characters; expected at most 4,000,000"),
    ],
)
def test_yaml_refuses(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        yaml12.loads(text, where="x.yaml")
    assert str(error.value) == message


@pytest.mark.parametrize("text", ["a: [1, 2", "a: 'x", "\ta: 1", "a: \x01", "a: b: c", "a: " + "9" * 5000, "%YAML 7.0\n---\n%", "*"])
def test_yaml_that_is_none_is_an_input_error(text: str) -> None:
    with pytest.raises(HwsimError, match="^x.yaml"):
        yaml12.loads(text, where="x.yaml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        yaml12.load(tmp_path / "none.yaml")
    assert str(error.value) == f"cannot read '{tmp_path / 'none.yaml'}': No such file or directory"
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(InputError) as error:
        yaml12.load(binary)
    assert str(error.value) == f"{binary}: not a text file; expected YAML in UTF-8"


def test_documentation_runs() -> None:
    assert doctest.testmod(yaml12).failed == 0
