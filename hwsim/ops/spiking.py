"""Spiking neurons."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.errors import UnknownName
from hwsim.ops.core import Attrs, Op, Operand, Shape, Work, register, streamed

NEURONS = {"if": 2, "lif": 3, "plif": 3, "cubalif": 5, "li": 2}
"""Operations a neuron and timestep: integrate-and-fire, leaky, with a trained leak, with a synaptic current, leaky without spikes."""
SPIKING = frozenset({"if", "lif", "plif", "cubalif"})
"""Models whose outputs are 0 or 1."""


def _shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    if attrs["model"] not in NEURONS:
        raise UnknownName("neuron model", attrs["model"], NEURONS)
    return (shapes[0],)


def _work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    return streamed(inputs, outputs, ops=NEURONS[attrs["model"]] * outputs[0].size)


register(Op("neuron", _shapes, _work, {"model": "lif"}, "pointwise", (1, 3), "spiking neurons, one timestep; state beside the operands"))
