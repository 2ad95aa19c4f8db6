"""Chains of dense layers as one circuit: layers side by side in one pipeline, each with a reuse factor and formats of its own.

A layer hands the next one a slice of each accumulator: as many bits as that takes, the lowest dropped, what is above wrapped (the cast that
`ap_fixed` does when nothing else is asked). Vectors enter as often as the slowest layer can take one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from hwsim.datasets.fpga_yosys import dense
from hwsim.datasets.fpga_yosys import design as single
from hwsim.datasets.fpga_yosys.design import Design
from hwsim.datasets.fpga_yosys.netlist import levels
from hwsim.errors import InputError

EACH = ("n_out", "input_bits", "weight_bits", "reuse", "acc_bits", "relu", "density", "rom_style", "seed")
"""Columns of a chain that hold one value a layer, joined by a minus."""
HEADROOM = 5
"""Bits by which a sum of products of random numbers falls short of its widest."""


@dataclass(frozen=True)
class Chain:
    """Dense layers, the first one first."""

    layers: tuple[Design, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise InputError("a chain without layers; expected one or more")
        for a, b in pairwise(self.layers):
            if a.n_out != b.n_in:
                raise InputError(f"{a.name} has {a.n_out} outputs and is followed by {b.name} of {b.n_in} inputs; expected as many")
        if len({d.multiplier for d in self.layers}) > 1:
            raise InputError("a chain with multipliers in DSP blocks and in fabric; expected one kind")

    @property
    def template(self) -> str:
        """mlp_resource where a layer reuses its multipliers, else mlp_latency."""
        return "mlp_resource" if max(d.reuse for d in self.layers) > 1 else "mlp_latency"

    @property
    def multiplier(self) -> str:
        """dsp or fabric."""
        return self.layers[0].multiplier

    @property
    def widths(self) -> str:
        """Inputs and the outputs of each layer."""
        return "-".join(map(str, (self.layers[0].n_in, *(d.n_out for d in self.layers))))

    @property
    def name(self) -> str:
        """A name that differs wherever a parameter does."""
        text = repr([sorted(asdict(d).items()) for d in self.layers])
        return f"{self.template}_{self.widths}_{hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:8]}"

    def record(self) -> dict[str, Any]:
        """The parameters as flat columns."""
        each = {name: "-".join(str(int(v) if isinstance(v := getattr(d, name), bool) else v) for d in self.layers) for name in EACH}
        about = {"name": self.name, "template": self.template, "depth": len(self.layers), "widths": self.widths}
        return {**about, "n_in": self.layers[0].n_in, **each, "multiplier": self.multiplier}

    @classmethod
    def of_record(cls, row: Mapping[str, str]) -> Chain:
        """The chain of a line of the table."""
        kinds = {"density": float, "rom_style": str, "relu": lambda t: t == "1"}
        each = {name: [kinds.get(name, int)(t) for t in row[name].split("-")] for name in EACH}
        inputs = [int(row["n_in"]), *each["n_out"][:-1]]
        made = []
        for n, n_in in enumerate(inputs):
            values = {name: found[n] for name, found in each.items()}
            template = "dense_resource" if values["reuse"] > 1 else "dense_latency"
            made.append(Design(template, n_in, multiplier=row["multiplier"], **values))
        return cls(tuple(made))

    @property
    def interval(self) -> int:
        """Clocks from one vector to the next: those of the slowest layer."""
        return max(d.reuse for d in self.layers)


def shift(layer: Design, bits: int) -> int:
    """Low bits that a layer does not hand on to a layer that takes `bits` bits, so that sums of random weights fill those."""
    return max(0, min(layer.acc_bits, layer.input_bits + layer.weight_bits + levels(layer.n_in) // 2 - HEADROOM) - bits)


def expected(chain: Chain, x: np.ndarray) -> np.ndarray:
    """What numpy computes of `(vectors, n_in)`."""
    for layer, after in pairwise(chain.layers):
        x = single.wrap(single.dense(x, layer) >> shift(layer, after.input_bits), after.input_bits)
    return single.dense(x, chain.layers[-1])


def module(chain: Chain, *, name: str = "dut") -> str:
    """The circuit: an instance a layer, their hand-overs, and a counter where the first layer is not the slowest."""
    first, last = chain.layers[0], chain.layers[-1]
    lines = dense.header(name, x_bits=first.n_in * first.input_bits, y_bits=last.n_out * last.acc_bits)
    lines = [line.replace("output reg", "output") for line in lines]
    lines += [f"  wire [{first.n_in * first.input_bits - 1}:0] x0 = x;", *_entry(chain)]
    for n, layer in enumerate(chain.layers):
        ports = f".in_valid(v{n}), .in_ready(ready{n}), .x(x{n}), .out_valid(v{n + 1}), .y(y{n})"
        lines.append(f"  wire v{n + 1}, ready{n}; wire [{layer.n_out * layer.acc_bits - 1}:0] y{n};")
        lines.append(f"  {name}_layer{n} layer{n} (.clk(clk), .rst(rst), {ports});")
        if n + 1 < len(chain.layers):
            lines += _handed(layer, chain.layers[n + 1].input_bits, n)
    count = len(chain.layers)
    lines += [f"  assign out_valid = v{count};", f"  assign y = y{count - 1};", "endmodule"]
    return "\n".join(lines) + "\n" + "".join(dense.module(d, name=f"{name}_layer{n}") for n, d in enumerate(chain.layers))


def _entry(chain: Chain) -> list[str]:
    """When a vector may enter."""
    if chain.interval == chain.layers[0].reuse:
        return ["  wire v0 = in_valid;", "  assign in_ready = ready0;"]
    bits = levels(chain.interval)
    return [
        f"  reg [{bits - 1}:0] pause;",
        f"  assign in_ready = pause == {bits}'d0;",
        "  wire v0 = in_valid && in_ready;",
        f"  always @(posedge clk) if (rst) pause <= 0; else if (v0) pause <= {bits}'d{chain.interval - 1};",
        "    else if (!in_ready) pause <= pause - 1'b1;",
    ]


def _handed(layer: Design, bits: int, n: int) -> list[str]:
    """The slices of a layer's outputs that are the inputs of the next."""
    a, low = layer.acc_bits, shift(layer, bits)
    taken = [f"y{n}[{o * a + min(low + bits, a) - 1}:{o * a + low}]" for o in range(layer.n_out)]
    if a < bits:
        taken = [f"{{{bits - a}{{y{n}[{o * a + a - 1}]}}}}, {text}" for o, text in enumerate(taken)]
    return [f"  wire [{layer.n_out * bits - 1}:0] x{n + 1} = {{{', '.join(reversed(taken))}}};"]
