"""The conventions of the literature: what counts as a spike, what an operation costs, whether memory counts, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.errors import UnknownName


@dataclass(frozen=True)
class Convention:
    """What an operation costs, and which inputs are spikes."""

    name: str
    summary: str
    source: str
    multiply_j: float
    add_j: float
    integers_fire: bool = False
    """Whether sums of spikes (small integers) count as spikes."""
    memory_j_per_b: float = 0.0
    """Energy a byte of weights that an operation uses, of biases, and of neuron states, which are read and written every timestep."""
    node: str = "45 nm"
    """Technology of the energies."""
    number_format: str = "fp32"
    """Number format of the energies; the bytes are those of the graph."""

    @property
    def mac_j(self) -> float:
        """A multiply-accumulate."""
        return self.multiply_j + self.add_j

    @property
    def constants_j(self) -> Mapping[str, float]:
        """Energies by name."""
        return {"multiply": self.multiply_j, "add": self.add_j, "mac": self.mac_j, "memory_per_b": self.memory_j_per_b}


_HOROWITZ = "Horowitz, ISSCC 2014, Computing's energy problem, 45 nm"
_BITNET_7 = "BitNet b1.58 2B4T, arXiv:2504.12285, table 4, 7 nm"
_JELLY = "memory at 3.12 pJ a bit (STEP, arXiv:2505.11151, table 9), traffic as spikingjelly 2.0 counts it (op_counter.simple_energy)"


def _named(
    name: str,
    summary: str,
    cited: str,
    table: str,
    multiply_pj: float,
    add_pj: float,
    *,
    number_format: str = "fp32",
    integers_fire: bool = False,
    memory_pj_per_b: float = 0.0,
) -> Convention:
    constants = f"{table}, {number_format}: multiply {multiply_pj:g} pJ, add {add_pj:g} pJ"
    return Convention(
        name,
        summary,
        f"{cited}; {constants}" if cited else constants,
        multiply_pj * 1e-12,
        add_pj * 1e-12,
        integers_fire,
        memory_pj_per_b * 1e-12,
        "7 nm" if table is _BITNET_7 else "45 nm",
        number_format,
    )


CONVENTIONS = {
    c.name: c
    for c in (
        _named(
            "spikformer",
            "accumulates on spikes and on sums of spikes, multiply-accumulates elsewhere",
            "Spikformer, arXiv:2209.15425",
            _HOROWITZ,
            3.7,
            0.9,
            integers_fire=True,
        ),
        _named(
            "strict-binary",
            "accumulates where inputs are 0 or 1, multiply-accumulates elsewhere",
            "Spikingformer, arXiv:2304.11954",
            _HOROWITZ,
            3.7,
            0.9,
        ),
        _named("ecoformer", "multiplications and additions apart", "EcoFormer, arXiv:2209.09004", _HOROWITZ, 3.7, 0.9),
        _named("bitnet-45nm", "fp16 arithmetic at 45 nm", "BitNet, arXiv:2310.11453", _HOROWITZ, 1.1, 0.4, number_format="fp16"),
        _named("bitnet-45nm-int8", "int8 arithmetic at 45 nm", "BitNet, arXiv:2310.11453", _HOROWITZ, 0.2, 0.03, number_format="int8"),
        _named("bitnet-7nm", "fp16 arithmetic at 7 nm", "", _BITNET_7, 0.34, 0.16, number_format="fp16"),
        _named("bitnet-7nm-int8", "int8 arithmetic at 7 nm", "", _BITNET_7, 0.07, 0.007, number_format="int8"),
        _named(
            "with-memory",
            "strict-binary, and weights, biases and neuron states at every use",
            _JELLY,
            _HOROWITZ,
            3.7,
            0.9,
            memory_pj_per_b=24.96,
        ),
    )
}
"""Conventions by name."""


def convention(name: str) -> Convention:
    """The convention called `name`.

    Raises:
        UnknownName: there is none.
    """
    try:
        return CONVENTIONS[name]
    except KeyError:
        raise UnknownName("convention", name, CONVENTIONS) from None


def counted_energy_j(chosen: Convention, *, multiplications: float, additions: float) -> float:
    """Energy of so many multiplications and additions.

    >>> round(counted_energy_j(convention("ecoformer"), multiplications=0.54e9, additions=0.56e9) * 1e3, 3)
    2.502
    """
    return multiplications * chosen.multiply_j + additions * chosen.add_j
