"""Units at the edge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import InputError
from hwsim.units import format_si, parse


@pytest.mark.parametrize(
    "text,unit,value",
    [
        ("1.555 TB/s", "B/s", 1.555e12),
        ("80 GiB", "B", 80 * 1024**3),
        ("1410 MHz", "Hz", 1.41e9),
        ("3us", "s", 3e-6),
        ("312 TFLOP/s", "FLOP/s", 312e12),
        ("108", "1", 108.0),
        ("1e-9", "", 1e-9),
        (5, "B", 5.0),
        ("40 pJ/B", "J/B", 40e-12),
    ],
)
def test_parse(text: str | int, unit: str, value: float) -> None:
    assert parse(text, unit) == pytest.approx(value)


@pytest.mark.parametrize(
    "text,unit,message",
    [
        ("5 GHz", "B/s", "found '5 GHz' with the unit 'GHz'; expected B/s, such as '1.555 TB/s'"),
        ("fast", "s", "found 'fast'; expected a number with the unit s, such as '3 us'"),
        ("5 GB", "1", "found '5 GB' with the unit 'GB'; expected a plain number, such as '80'"),
        (True, "s", "found True; expected a number or a text with a unit, such as '3 us'"),
    ],
)
def test_wrong_units_say_what_was_expected(text: str | bool, unit: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse(text, unit)
    assert str(error.value) == message


@given(st.floats(1e-11, 1e15))
def test_format_keeps_three_digits(value: float) -> None:
    assert parse(format_si(value, "s"), "s") == pytest.approx(value, rel=6e-3)


def test_bytes_are_binary_and_rates_decimal() -> None:
    assert format_si(1024**3, "B") == "1.00 GiB"
    assert format_si(1e9, "B/s") == "1.00 GB/s"
    assert format_si(0, "s") == "0 s"
