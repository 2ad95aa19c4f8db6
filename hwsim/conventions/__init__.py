"""Energy by counting operations, as papers on spiking and low-bit networks do: no device, a named convention a number.

E = e_mac x (multiply-accumulates of layers whose input is no spikes) x T + e_ac x sum over the others of (firing rate x T x operations),
with published energies of arithmetic. Conventions differ in what counts as a spike, in the energies and in whether memory counts; a number
without its convention says little, so none is mixed with another or with the energy of a chip.
"""

from __future__ import annotations

from hwsim.conventions.catalogue import CONVENTIONS, Convention, convention, counted_energy_j
from hwsim.conventions.counting import LayerEnergy, OperationEnergy, Spikes, operation_energy

__all__ = [
    "CONVENTIONS",
    "Convention",
    "LayerEnergy",
    "OperationEnergy",
    "Spikes",
    "convention",
    "counted_energy_j",
    "operation_energy",
]
