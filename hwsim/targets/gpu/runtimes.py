"""What a runtime does to a graph on a GPU: which fusions, how kernels are launched, how much memory it keeps."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.errors import UnknownName

MIB = 1024.0**2


@dataclass(frozen=True)
class Runtime:
    """The habits of a runtime; numbers that were fitted stand in `targets/gpu/fitted/networks.yaml`."""

    name: str
    summary: str
    fuses_pointwise: bool
    """Point-wise operators and reductions of one size run as one kernel."""
    fuses_epilogue: bool
    """Point-wise operators run inside the convolution or matrix product before them."""
    folds_constants: bool
    """What depends on constants only is computed once, before the first inference."""
    separate_conv_bias: bool
    """The bias of a convolution is added by a kernel of its own (PyTorch over cuDNN)."""
    graph_launch: bool
    """Kernels are replayed from a recorded graph, so that the host's time per call does not count."""
    reserved_b: float
    """Memory of context and libraries (assumed)."""


RUNTIMES = {
    r.name: r
    for r in (
        Runtime("eager", "PyTorch, one kernel an operator", False, False, False, True, False, 500 * MIB),
        Runtime("compile", "torch.compile (Inductor): point-wise fusion", True, False, True, True, False, 500 * MIB),
        Runtime("tensorrt", "TensorRT: epilogues in convolutions and products", True, True, True, False, True, 400 * MIB),
    )
}


def runtime(name: str) -> Runtime:
    """The runtime called `name`.

    Raises:
        UnknownName: there is none.
    """
    try:
        return RUNTIMES[name]
    except KeyError:
        raise UnknownName("runtime", name, RUNTIMES) from None
