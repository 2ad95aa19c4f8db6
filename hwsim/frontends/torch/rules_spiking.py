"""Rules of spiking neurons."""

from __future__ import annotations

import operator

from hwsim.frontends.torch.rules import Call, rule

CALL = "call"
"""Graph attribute while a graph is made: neuron nodes to the number of the call of their module."""


@rule("hwsim.neuron")
def neuron(call: Call) -> tuple[str, ...]:
    """Spikes, and the states where something reads them."""
    read = [int(str(user.args[1])) for user in call.node.users if user.target is operator.getitem and user.users]
    states = max(read, default=0)
    made = call.converter.add_many(
        "neuron",
        [call.need("x")],
        dtype=call.converter.format_name(call.fake[0]),
        model=call["model"],
        states=states,
        levels=call["levels"],
    )
    call.converter.builder.attrs.setdefault(CALL, {})[call.converter.builder.nodes[-1].name] = call["call"]
    return (*made, *[made[0]] * (len(call.fake) - len(made)))


@rule("hwsim.previous")
def previous(call: Call) -> str:
    """The way back of a recurrent connection."""
    path = f"{call['of']}.previous"
    return call.converter.builder.add(
        "previous", [], path=path, dtype=call.converter.format_name(call.fake), shape=call.shape, of=call["of"]
    )
