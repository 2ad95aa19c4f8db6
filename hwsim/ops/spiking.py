"""Spiking neurons, and what joins timesteps."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.errors import GraphError, UnknownName
from hwsim.ops.core import REQUIRED, Attrs, Op, Operand, Shape, Work, register, streamed

NEURONS = {
    "threshold": 1,
    "i": 1,
    "if": 2,
    "li": 2,
    "lif": 3,
    "plif": 3,
    "cubali": 4,
    "qif": 5,
    "cubalif": 5,
    "adlif": 6,
    "alpha": 7,
    "izhikevich": 9,
}
"""Operations a neuron and timestep: a bare threshold, an integrator, integrate-and-fire, leaky without spikes, leaky, with a trained leak,
with a synaptic current and without spikes, quadratic, with a synaptic current, adaptive, with two synaptic currents, Izhikevich's."""
STATES = dict.fromkeys(NEURONS, 1) | {"threshold": 0, "cubali": 2, "cubalif": 2, "adlif": 2, "alpha": 3, "izhikevich": 2}
"""Numbers that a neuron keeps from timestep to timestep."""
SPIKING = frozenset(NEURONS) - {"i", "li", "cubali"}
"""Models whose outputs are 0 or 1, or whole numbers up to the attribute `levels`."""


def _shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    if attrs["model"] not in NEURONS:
        raise UnknownName("neuron model", attrs["model"], NEURONS)
    return (shapes[0],) * (1 + int(attrs["states"]))


def _work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    state_b = STATES[attrs["model"]] * outputs[0].bytes
    return streamed(inputs, outputs, ops=NEURONS[attrs["model"]] * outputs[0].size, state_b=state_b)


register(
    Op(
        "neuron",
        _shapes,
        _work,
        {"model": "lif", "states": 0, "levels": 1},
        "pointwise",
        (1, 3),
        "spiking neurons, one timestep; `states` further outputs show membrane and currents, `levels` is the largest spike",
        stateful=True,
    )
)


def _delay_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    if int(attrs["steps"]) < 1:
        raise GraphError(f"delay: steps is {attrs['steps']!r}; expected 1 or more")
    return (shapes[0],)


def _delay_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    return streamed(inputs, outputs, state_b=int(attrs["steps"]) * outputs[0].bytes)


register(
    Op("delay", _delay_shapes, _delay_work, {"steps": 1}, "layout", (1, 1), "the tensor of `steps` timesteps before", stateful=True),
)


def _previous_shapes(shapes: Sequence[Shape], attrs: Attrs) -> tuple[Shape, ...]:
    return (tuple(attrs["shape"]),)


def _previous_work(inputs: Sequence[Operand], outputs: Sequence[Operand], attrs: Attrs) -> Work:
    return Work(state_b=outputs[0].bytes)


register(
    Op(
        "previous",
        _previous_shapes,
        _previous_work,
        {"shape": REQUIRED, "of": REQUIRED},
        "view",
        (0, 0),
        "what node `of` made a timestep before: the way back of a recurrent connection in a graph without cycles",
        stateful=True,
    )
)
