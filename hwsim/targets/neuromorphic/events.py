"""Events of spiking populations on cores, their energy and their time, timestep by timestep (the event model of SANA-FE, arXiv:2309.08073).

A neuron is looked at every timestep, updated while its state is not at rest (it received something after its last spike, or the input
drives it), and fires. A spike is a packet to every core that holds one of its targets, over the rows and columns of the mesh that lie
between them, and a synaptic operation a target. A core sends while others receive: it is busy for the longer of the two.

Pure array functions: device quantities are scalars or `(points, 1)`, rows are the last axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.arrays import Array
from hwsim.targets.neuromorphic.device import NeuroDevice
from hwsim.targets.neuromorphic.lower import ConnectionColumns


@dataclass(frozen=True)
class Events:
    """What happens in one timestep, shape `(rows,)` or `(points, rows)`."""

    accesses: Array
    updates: Array
    spikes: Array
    synaptic_operations: Array
    packets: Array
    hops_east: Array
    """In the rows of the mesh, both directions."""
    hops_north: Array
    """In its columns."""

    @property
    def hops(self) -> Array:
        """Both together."""
        return self.hops_east + self.hops_north


@dataclass(frozen=True)
class Pieces:
    """How the populations behind the rows are cut: one piece a core, pieces of an image along its channels, rows and columns."""

    cores: Array
    """Cores that hold a piece."""
    reached: Array
    """Cores that hold targets of a spike, on average."""
    share: Array
    """Share of the neurons in the largest piece."""
    inlet: Array
    """Share of the spikes that come to it."""


@dataclass(frozen=True)
class Traffic:
    """What a mapping says of every spike; see `traffic`."""

    own: Array
    """Cores of the population that a row ends in, 0 where another row has counted them."""
    pieces: Pieces
    connected: Array
    """Share of the sources that have a target."""
    east: Array
    """Mean distance of source and target along the rows of the mesh."""
    north: Array
    senders: Array
    """Share of the spikes of a row that come from the population of each row, `(rows, rows)`."""
    population: Array
    """Row that counts the neurons in which a row ends, `(rows,)`."""
    peak: Array
    """Synaptic operations of a busiest core, over what its share of the neurons says."""

    def together(self, values: Array) -> Array:
        """Sums over all rows that end in the same population, in each of them."""
        if np.array_equal(self.population, np.arange(len(self.population))):
            return values
        return values @ (self.population[:, None] == self.population[None, :]).astype(float)

    def sent(self, values: Array) -> Array:
        """Sums over the rows that a population feeds, in the row of the population."""
        return values @ self.senders


def traffic(c: ConnectionColumns, *, used: Array, own: Array, device: NeuroDevice, split: str = "rows") -> Traffic:
    """Where the spikes of each row go.

    Args:
        c: connections and populations.
        used: cores of the population that each row ends in.
        own: the same, 0 where another row has counted them; populations lie one after the other in the columns of the mesh, unless their
            statistics say where.
        device: the chip.
        split: what of an image a core holds: some `rows`, some `channels`, or an `even` part of everything.
    """
    weighted = c.feeds * c.neurons
    senders = weighted / np.maximum(np.sum(weighted, axis=-1, keepdims=True), 1e-300)
    population = np.asarray(c.population).astype(int)
    known = c.activity
    start = np.cumsum(own, axis=-1) - own
    if known is not None:
        start = np.where(np.isnan(known.first_core), start, known.first_core)
    east, north = distances(start, start + own, senders, population, device)
    met = _before(c.height, c.kernel_height, c.stride_height) * _before(c.width, c.kernel_width, c.stride_width)
    connected = np.where(c.conv > 0, np.minimum(met * c.depth * c.groups / np.maximum(c.sources, 1.0), 1.0), 1.0)
    peak = np.ones_like(c.neurons) if known is None else np.where(np.isnan(known.peak), 1.0, known.peak)
    return Traffic(own, cut(c, used, split=split), connected, east, north, senders, population, peak)


def cut(c: ConnectionColumns, used: Array, *, split: str) -> Pieces:
    """Pieces of each population.

    Images are cut along rows (or channels) first and along the next side where that does not give enough pieces. A kernel of k at stride s
    over n inputs: a piece of b outputs sees (b - 1) s + k of them, and a cut lies between the targets of k - s.
    """
    image = (c.conv > 0) & (split != "even")
    rows = np.minimum(used, c.height) if split == "rows" else np.minimum(np.floor(used / np.minimum(used, c.channels)), c.height)
    first = rows if split == "rows" else np.minimum(used, c.channels)
    columns = np.clip(np.floor(used / (first if split == "rows" else first * rows)), 1.0, c.width)
    channels = np.clip(np.floor(used / (rows * columns)), 1.0, c.channels) if split == "rows" else first
    down = _side(c.height, c.kernel_height, c.stride_height, rows)
    across = _side(c.width, c.kernel_width, c.stride_width, columns)
    groups = np.maximum(c.groups, 1.0)
    deep = np.ceil(c.channels / channels) / c.channels
    whole = np.maximum(c.population_neurons, 1.0)
    return Pieces(
        cores=np.where(image, channels * rows * columns, used),
        reached=np.where(image, (1.0 + (channels - 1.0) / groups) * down[0] * across[0], used),
        share=np.where(image, deep * down[1] * across[1], np.ceil(whole / used) / whole),
        inlet=np.where(image, np.minimum(np.maximum(deep, 1.0 / groups) * groups, 1.0) * down[2] * across[2], 1.0),
    )


def _side(size: Array, kernel: Array, stride: Array, pieces: Array) -> tuple[Array, Array, Array]:
    """Along one side of an image: pieces that a source meets, share of the largest piece, share of the sources that it sees."""
    longest = np.ceil(size / pieces)
    before = _before(size, kernel, stride)
    met = 1.0 + (pieces - 1.0) * np.maximum(kernel - stride, 0.0) / before
    return met, longest / size, _before(longest, kernel, stride) / before


def _before(size: Array, kernel: Array, stride: Array) -> Array:
    """Inputs under so many outputs of a side."""
    return np.maximum((size - 1.0) * stride + kernel, 1.0)


def distances(start: Array, stop: Array, senders: Array, population: Array, device: NeuroDevice) -> tuple[Array, Array]:
    """Mean distance from a source to a target core of each row, along the rows and along the columns of the mesh.

    Populations take the tiles of a column of the mesh from its first row to its last, then the next column. With A and B the shares of
    source and target cores before a line of the mesh, a packet crosses it with chance A (1 - B) + B (1 - A); the sum is exact for
    spikes spread evenly. What comes from outside enters at the first tile.
    """
    size = np.maximum(stop - start, 1.0)
    inside = np.sum(senders, axis=-1) > 0
    tile, height = device.cores_per_tile, device.mesh_height
    east = north = 0.0 * size

    def crossed(before: Array) -> Array:
        source = np.where(inside, before @ senders.T, 1.0)
        target = np.take(before, population, axis=-1)
        return source * (1.0 - target) + target * (1.0 - source)

    for line in range(1, int(np.max(device.mesh_width))):
        column = line * tile * height
        share = (np.clip(column, start, stop) - start) / size
        east = east + np.where(line < device.mesh_width, crossed(share), 0.0)
    for line in range(1, int(np.max(height))):
        share = (_above(stop, line, tile, height) - _above(start, line, tile, height)) / size
        north = north + np.where(line < height, crossed(share), 0.0)
    return east, north


def _above(cores: Array, line: int, tile: Array, height: Array) -> Array:
    """Of the first so many cores, those in the rows of the mesh before a line."""
    column = tile * height
    return np.floor(cores / column) * tile * line + np.minimum(cores % column, tile * line)


def events(c: ConnectionColumns, t: Traffic, *, rate: Array, rate_out: Array, awake: Array, operations: Array) -> Events:
    """Events of one timestep.

    Args:
        c: connections and populations.
        t: where spikes go.
        rate: spikes a source.
        rate_out: spikes a neuron of the population behind.
        awake: share of its neurons that are updated.
        operations: share of the synapses that a spike comes to; more than `rate` where those sources fire that have more targets.
    """
    connected = np.minimum(t.connected * np.maximum(operations / np.maximum(rate, 1e-12), 1.0), 1.0)
    packets = c.sources * rate * connected * t.pieces.reached
    return Events(
        accesses=c.neurons + 0 * packets,
        updates=c.neurons * awake + 0 * packets,
        spikes=c.neurons * rate_out + 0 * packets,
        synaptic_operations=c.synapses * operations + 0 * packets,
        packets=packets,
        hops_east=packets * t.east,
        hops_north=packets * t.north,
    )


def heard(c: ConnectionColumns, t: Traffic, rate: Array) -> Array:
    """Share of the neurons of each row's population that receive a spike in a timestep, all rows that end in it together."""
    quiet = np.maximum(c.fan_in, 1.0) * np.log1p(-np.minimum(rate, 1.0 - 1e-12)) * (c.synapses > 0)
    return -np.expm1(t.together(quiet))


def awake(c: ConnectionColumns, t: Traffic, *, rate: Array, rate_out: Array, steps: float) -> Array:
    """Mean share of neurons that are updated where every timestep is alike.

    A neuron rests until it hears something for the first time, and from a spike until the next time: with the chance h to hear and f to
    fire the share at rest goes towards f / h, from 1 by a factor of 1 - h a timestep.
    """
    h = np.maximum(heard(c, t, rate), 1e-12)
    rest = np.minimum(rate_out / h, 1.0)
    settling = (1.0 - (1.0 - h) ** steps) / (h * steps)
    found = 1.0 - (1.0 - h) * (rest + (1.0 - rest) * settling)
    return np.where(driven(c, t), 1.0, found)


def driven(c: ConnectionColumns, t: Traffic) -> Array:
    """Populations that the input drives: no connection ends in them."""
    return t.together(c.synapses) == 0


def event_energy_j(e: Events, c: ConnectionColumns, device: NeuroDevice) -> dict[str, Array]:
    """Energy of events by cause."""
    synapse = np.where(c.conv > 0, device.synapse_conv_j, np.where(c.sparse > 0, device.synapse_sparse_j, device.synapse_dense_j))
    return {
        "soma_access": e.accesses * device.soma_access_j,
        "soma_update": e.updates * device.soma_update_j,
        "soma_spike": e.spikes * device.soma_spike_j,
        "synapse": e.synaptic_operations * synapse,
        "packet": e.packets * device.packet_j,
        "hop": e.hops_east * device.hop_east_j + e.hops_north * device.hop_north_j,
    }


@dataclass(frozen=True)
class Times:
    """How long a core of each population is busy in a timestep, `(rows,)` or `(points, rows)`; by what it does."""

    soma: Array
    """Looking at neurons, updating them, firing and sending."""
    axon: Array
    """Receiving packets."""
    synapse: Array
    """Synaptic operations."""

    @property
    def busiest(self) -> Array:
        """The longer of sending and receiving, shape `(rows,)`."""
        return np.maximum(self.soma, self.axon + self.synapse)


def times(e: Events, c: ConnectionColumns, t: Traffic, device: NeuroDevice) -> Times:
    """Time of the busiest core of each row's population.

    That is the largest piece; of the spikes of n pieces the busiest has so many deviations more than the mean as the largest of n normal
    numbers (`largest`).
    """
    synapse = np.where(c.conv > 0, device.synapse_conv_s, np.where(c.sparse > 0, device.synapse_sparse_s, device.synapse_dense_s))
    p = t.pieces
    each = device.soma_spike_s + device.axon_out_s * t.sent(e.packets) / np.maximum(e.spikes, 1e-12)
    spikes = e.spikes * p.share
    spikes = spikes + largest(p.cores) * np.sqrt(spikes * (1.0 - p.share))
    soma = (e.accesses * device.soma_access_s + e.updates * device.soma_update_s) * p.share + spikes * each
    came = e.packets / p.reached * p.inlet
    more = 1.0 + largest(p.cores) * np.sqrt((1.0 - p.inlet) / np.maximum(came, 1e-12)) * (came > 0)
    axon, synapses = (value * more for value in (came * device.axon_in_s, e.synaptic_operations * synapse * p.share * t.peak))
    return Times(soma, t.together(axon), t.together(synapses))


def largest(count: Array) -> Array:
    """Mean of the largest of so many normal numbers, in deviations; within 0.04 of the exact values from 1 to 1024."""
    log = np.log(np.maximum(count, 1.0))
    return np.maximum(np.sqrt(2.0 * log) - 0.635 + 0.023 * log, 0.0)


def barrier(tiles: Array, device: NeuroDevice) -> Array:
    """Time of the end of a timestep with so many tiles in use: it grows whenever they double, to a plateau, and far out to a limit."""
    grown = device.barrier_s + device.barrier_doubling_s * np.floor(np.log2(np.maximum(tiles, 1.0)) + 1e-9)
    cap = np.where(tiles < device.barrier_limit_tiles, device.barrier_plateau_s, device.barrier_limit_s)
    return np.where(cap > 0, np.minimum(grown, np.where(cap > 0, cap, 1.0)), grown)
