"""What was fitted for all NPUs together, from the shelf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache

from hwsim import shelf
from hwsim.quantities import Quantity


@dataclass(frozen=True)
class NpuConstants:
    """How compilers and units behave whatever the chip; `targets/npu/fitted/networks.yaml` holds the fitted values."""

    fill: float = 0.5
    """How much of the channels that are filled up counts: 0 none, 1 all (an exponent)."""
    ramp: float = 20.0
    """Positions of a result at which the matrix unit reaches half of its rate."""
    conv: float = 0.6
    """Share of the matrix unit's rate that convolutions of one pixel reach; those of larger windows reach it all, by definition."""
    volume: float = 1.0
    grouped: float = 1.0
    linear: float = 1.0
    matmul: float = 1.0
    attention: float = 1.0
    other: float = 1.0
    """Of products in kinds that have none of their own (resampling, recurrences)."""
    a16: float = 0.45
    """Rate with activations of 16 bits over that of 8, weights of 8 bits."""
    w16: float = 0.5
    """Rate with weights of 16 bits over that of 8, activations of 16 bits."""
    depthwise: float = 0.5
    """Passes of the vector unit over a value for a MAC of a depthwise convolution; so are the next five."""
    op: float = 2.0
    special: float = 1.5
    moved: float = 0.8
    joined: float = 0.4
    streamed: float = 0.6
    pointwise: float = 1.0
    """Time of the vector unit in rows named after such an operator, over others."""
    reduction: float = 1.0
    layout: float = 1.0
    exposed: float = 0.6
    """Share of the time on the memory's bus that work on other operators does not hide."""
    resident: float = 1.0
    """Share of the tightly coupled memory that holds the activations of a row; what is more goes to DRAM."""
    spill: float = 4.0
    """Times that such a byte passes the DRAM's bus."""
    onnx_launch: float = 1.0
    """Least time of an operator under ONNX Runtime, over the other runtimes."""
    onnx_dispatch: float = 1.2
    """The same of an inference."""
    w8a8_launch: float = 0.5
    """Least time of an operator in this format, over fp16."""
    w8a16_launch: float = 1.0


@cache
def npu_constants() -> NpuConstants:
    """The constants on the shelf."""
    known = {f.name for f in fields(NpuConstants)}
    return NpuConstants(**{key: q.value for key, q in sources().items() if key in known})


@cache
def sources() -> Mapping[str, Quantity]:
    """The fitted constants with their sources."""
    return shelf.fitted("npu", "networks")
