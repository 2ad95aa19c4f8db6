"""Which classes of other packages are spiking neurons, and how they answer: a table that anyone can add to. torch is not imported.

During capture a neuron's own arithmetic (and its surrogate gradient) is not traced: the module answers with one operator, `hwsim::neuron`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.errors import HwsimError, UnknownName
from hwsim.ops.spiking import NEURONS

Answer = Callable[[Any, Sequence[Any]], Any]
"""(module, [spikes, *states]) -> what the module's forward returns."""


@dataclass(frozen=True)
class NeuronModule:
    """How a class of neurons is read."""

    model: str
    """Our model of it (`lif`, `if` ...)."""
    states: int = 0
    """States that its forward returns or takes, beside the spikes."""
    answer: Answer = lambda module, outputs: outputs[0]
    """What forward returns; by default the spikes alone."""
    multi_step: Callable[[Any], bool] = lambda module: False
    """Whether the module takes all timesteps at once, time first."""
    recurrent: Callable[[Any, Any], Any] | None = None
    """(module, spikes of the timestep before) -> the current that they add; its layers are counted."""
    levels: Callable[[Any], int] = lambda module: 1
    """Largest spike."""
    reset: str = ""
    """Method that forgets the states and returns them, where users call one inside forward."""


_KNOWN: dict[str, NeuronModule] = {}
_REFUSED: dict[str, str] = {}


def register(*classes: str, **facts: Any) -> NeuronModule:
    """Make classes known as neurons; subclasses are, too.

    Args:
        classes: `package.Class`, without the modules between (`norse.LIFCell`).
        facts: fields of `NeuronModule`.

    Raises:
        UnknownName: no such model of neurons.
        HwsimError: a class is known already.
    """
    entry = NeuronModule(**facts)
    if entry.model not in NEURONS:
        raise UnknownName("neuron model", entry.model, NEURONS)
    for name in classes:
        if name in _KNOWN:
            raise HwsimError(f"the neuron class {name!r} is registered twice; pick one entry")
        _KNOWN[name] = entry
    return entry


def refuse(*classes: str, reason: str) -> None:
    """Classes (and their subclasses that nobody registers) that are neurons, but none that we can describe."""
    _REFUSED.update(dict.fromkeys(classes, reason))


def find(module: Any) -> NeuronModule | None:
    """The entry of a module's class or of its nearest registered base; None for anything that is no neuron, or a refused one."""
    for name in _names(module):
        if name in _KNOWN:
            return _KNOWN[name]
        if name in _REFUSED:
            return None
    return None


def refusal(module: Any) -> str | None:
    """Why a neuron cannot be read; None for those that can, and for what is no neuron."""
    for name in _names(module):
        if name in _KNOWN:
            return None
        if name in _REFUSED:
            return _REFUSED[name]
    return None


def _names(module: Any) -> list[str]:
    return [f"{c.__module__.partition('.')[0]}.{c.__name__}" for c in type(module).__mro__]


def _snntorch(module: Any, outputs: Sequence[Any]) -> Any:
    """Spikes and states, or spikes alone where the module keeps its states itself."""
    return outputs[0] if module.init_hidden and not module.output else tuple(outputs)


def _added(module: Any, spikes: Any) -> Any:
    return module.recurrent(spikes)


register("snntorch.Leaky", model="lif", states=1, answer=_snntorch, reset="reset_mem")
register("snntorch.Lapicque", model="lif", states=1, answer=_snntorch, reset="reset_mem")
register("snntorch.Synaptic", model="cubalif", states=2, answer=_snntorch, reset="reset_mem")
register("snntorch.Alpha", model="alpha", states=3, answer=_snntorch, reset="reset_mem")
register("snntorch.RLeaky", model="lif", states=1, answer=_snntorch, recurrent=_added, reset="reset_mem")
register("snntorch.RSynaptic", model="cubalif", states=2, answer=_snntorch, recurrent=_added, reset="reset_mem")
_OWN = "it is no plain integrate-and-fire neuron"
refuse("snntorch.SpikingNeuron", "snntorch.DeltaLeaky", "snntorch.LeakyParallel", "snntorch.LeakyKernel", reason=_OWN)


def _steps(module: Any) -> bool:
    return getattr(module, "step_mode", "s") == "m"


def _always(module: Any) -> bool:
    return True


def _last(module: Any, outputs: Sequence[Any]) -> Any:
    """Read-out over time: one result for all timesteps."""
    return outputs[0][-1]


def _most_spikes(module: Any) -> int:
    return int(getattr(module.surrogate_function, "max_spike_count", 4))


register("spikingjelly.IFNode", "spikingjelly.SimpleIFNode", "spikingjelly.HalfThresholdIFNode", model="if", multi_step=_steps)
register("spikingjelly.LIFNode", "spikingjelly.SimpleLIFNode", model="lif", multi_step=_steps)
register("spikingjelly.ILIFNode", model="lif", multi_step=_steps, levels=_most_spikes)
register("spikingjelly.ParametricLIFNode", "spikingjelly.KLIFNode", model="plif", multi_step=_steps)
register("spikingjelly.ComplementaryLIFNode", model="adlif", multi_step=_steps)
register("spikingjelly.CUBALIFNode", model="cubalif", multi_step=_steps)
register("spikingjelly.QIFNode", model="qif", multi_step=_steps)
register("spikingjelly.IzhikevichNode", model="izhikevich", multi_step=_steps)
register("spikingjelly.NonSpikingIFNode", model="i", multi_step=_always, answer=_last)
register("spikingjelly.NonSpikingLIFNode", model="li", multi_step=_always, answer=_last)
register("spikingjelly.MultiStepIFNode", model="if", multi_step=_always)
register("spikingjelly.MultiStepLIFNode", model="lif", multi_step=_always)
register("spikingjelly.MultiStepParametricLIFNode", model="plif", multi_step=_always)
refuse("spikingjelly.BaseNode", "spikingjelly.SimpleBaseNode", "spikingjelly.NonSpikingBaseNode", reason=_OWN)
refuse("spikingjelly.ILCBaseNode", "spikingjelly.NoisyBaseNode", "spikingjelly.NoisyNonSpikingBaseNode", reason=_OWN)
refuse(*(f"spikingjelly.{n}" for n in ("GatedLIFNode", "DSRIFNode", "DSRLIFNode", "FlexSN", "FewSpikeNode", "STBIFNode")), reason=_OWN)
refuse(*(f"spikingjelly.{n}" for n in ("LIAFNode", "MPBNLIFNode", "ActivationAwareIFNode")), reason=_OWN)
refuse(*(f"spikingjelly.{n}" for n in ("PSN", "MaskedPSN", "SlidingPSN")), reason="it mixes timesteps by a matrix")
