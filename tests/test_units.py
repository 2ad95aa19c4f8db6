"""Text with units in, text for people out."""

from __future__ import annotations

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import units
from hwsim.errors import InputError


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("1.555 TB/s", "B/s", 1.555e12),
        ("1555GB/s", "B/s", 1.555e12),
        ("40 MiB", "B", 40 * 2**20),
        ("80 GB", "B", 80e9),
        ("1.5 TiB", "B", 1.5 * 2**40),
        ("3 us", "s", 3e-6),
        ("3 µs", "s", 3e-6),
        ("3 μs", "s", 3e-6),
        ("1410 MHz", "Hz", 1.41e9),
        ("2e3 kHz", "Hz", 2e6),
        ("312 TFLOP/s", "FLOP/s", 312e12),
        ("624 TOP/s", "OP/s", 624e12),
        ("40 pJ/B", "J/B", 40e-12),
        ("0.4 pJ/FLOP", "J/FLOP", 0.4e-12),
        ("2048 FLOP/clk", "FLOP/clk", 2048),
        ("64 B/clk", "B/clk", 64),
        ("8 b", "b", 8),
        ("850 mV", "V", 0.85),
        ("  70  W ", "W", 70),
        ("-.5 W", "W", -0.5),
        ("1_000", "", 1000),
        ("108", "1", 108),
        ("108", "B", 108),
        (7, "s", 7),
        (0.25, "", 0.25),
    ],
)
def test_parse(text: str | float, unit: str, value: float) -> None:
    assert units.parse(text, unit) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("value", "unit", "message"),
    [
        ("1.555 TB", "B/s", "found '1.555 TB' with the unit 'TB'; expected B/s, such as '1.555 TB/s'"),
        ("80 Gb", "B", "found '80 Gb' with the unit 'Gb'; expected B, such as '80 GB'"),
        ("312 TFLOPS", "FLOP/s", "found '312 TFLOPS' with the unit 'TFLOPS'; expected FLOP/s, such as '12 FLOP/s'"),
        ("312 TOP/s", "FLOP/s", "found '312 TOP/s' with the unit 'TOP/s'; expected FLOP/s, such as '12 FLOP/s'"),
        ("80 %", "1", "found '80 %' with the unit '%'; expected a plain number, such as '80'"),
        ("3 xs", "s", "found '3 xs' with the unit 'xs'; expected s, such as '3 us'"),
        ("fast", "Hz", "found 'fast'; expected a number with the unit Hz, such as '1.41 GHz'"),
        ("", "", "found ''; expected a number with the unit (none), such as '80'"),
        (None, "s", "found None; expected a number or a text with a unit, such as '3 us'"),
        (True, "", "found True; expected a number or a text with a unit, such as '80'"),
        ([1], "W", "found [1]; expected a number or a text with a unit, such as '12 W'"),
        (10**400, "", "found a number of 401 digits; expected one below 1e308"),
    ],
)
def test_parse_refuses(value: object, unit: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        units.parse(value, unit)  # type: ignore[arg-type]
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00732, "s", "7.32 ms"),
        (26306674688, "B", "24.5 GiB"),
        (1000, "B", "1000 B"),
        (2.039e12, "B/s", "2.04 TB/s"),
        (311.86944e12, "FLOP/s", "312 TFLOP/s"),
        (0.9999996, "s", "1.00 s"),
        (999.9, "W", "1.00 kW"),
        (9.999, "W", "10.0 W"),
        (99.97, "W", "100 W"),
        (0, "J", "0 J"),
        (-0.002, "J", "-2.00 mJ"),
        (3e-15, "s", "3e-15 s"),
        (1.5, "", "1.50"),
        (math.inf, "s", "inf s"),
        (math.nan, "", "nan"),
    ],
)
def test_format_si(value: float, unit: str, text: str) -> None:
    assert units.format_si(value, unit) == text


@given(st.floats(1e-11, 1e17), st.sampled_from(["s", "B/s", "FLOP/s", "W", "J", "B"]))
def test_what_is_formatted_parses_to_about_the_same(value: float, unit: str) -> None:
    assert units.parse(units.format_si(value, unit), unit) == pytest.approx(value, rel=6e-3, abs=0.51 if unit == "B" else 0)


@pytest.mark.parametrize("unit", units.UNITS)
def test_examples_are_well_formed(unit: str) -> None:
    assert units.parse(units.example(unit), unit) > 0


def test_documentation_runs() -> None:
    assert doctest.testmod(units).failed == 0
