"""Mapping choices of the optical family."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from hwsim.errors import InputError, UnknownName

TILINGS = ("auto", "batch", "channel")
"""What the tiles of a frame hold: images of a batch, or channels whose results the optics adds up; auto: the faster one, layer by layer."""
SIGNS = {"unsigned": (1, 1), "kernel": (2, 1), "both": (2, 2)}
"""Masks and inputs a signed operation: light is not negative, so positive and negative parts are frames of their own."""
LINEAR = ("electronics", "valid", "same")
"""Where linear layers run: in the co-processor, or as shared depthwise convolutions over the token image (`ShareConvolutions`)."""


@dataclass(frozen=True)
class OpticalMapping:
    """How a network is run on a 4f bench."""

    tiling: str = "auto"
    """What the tiles of a frame hold: batch, channel, auto."""
    signs: str = "kernel"
    """unsigned (1 frame an operation), kernel (2: positive and negative kernel), both (4: signed inputs too)."""
    split_kernels: bool = True
    """Whether a kernel that is larger than the aperture may be split into passes."""
    linear: str = "electronics"
    """Linear layers: electronics, or rewritten to convolutions with valid or same padding; `same` is another network."""
    electronics: str = ""
    """Module paths of convolutions that stay in electronics, joined by commas; a path covers what lies below it."""

    error_model: bool = True
    """Whether the error of each layer is estimated too; it takes half of the time of a large sweep."""

    def __post_init__(self) -> None:
        for name, known in (("tiling", TILINGS), ("signs", tuple(SIGNS)), ("linear", LINEAR)):
            if getattr(self, name) not in known:
                raise UnknownName(f"{name} of an optical bench", str(getattr(self, name)), known)
        for name in ("split_kernels", "error_model"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} is {getattr(self, name)!r}; expected true or false")

    @classmethod
    def of(cls, **options: Any) -> OpticalMapping:
        """From plain options; those that are None take the default.

        Raises:
            UnknownName: an option, or a value of one, that does not exist.
            InputError: a value of the wrong kind.
        """
        known = [f.name for f in fields(cls)]
        for name in options:
            if name not in known:
                raise UnknownName("mapping option of an optical bench", name, known)
        return cls(**{name: value for name, value in options.items() if value is not None})

    @property
    def masks_per_operation(self) -> int:
        """Masks of one signed operation."""
        return SIGNS[self.signs][0]

    @property
    def inputs_per_operation(self) -> int:
        """Inputs of one signed operation."""
        return SIGNS[self.signs][1]

    @property
    def words(self) -> str:
        """The choices, for the heading of a report."""
        shown = [f"{self.tiling} tiling", f"signs of {self.signs}" if self.signs != "unsigned" else "unsigned"]
        shown += [] if self.split_kernels else ["kernels not split"]
        shown += [] if self.linear == "electronics" else [f"linear layers as {self.linear} convolutions"]
        return ", ".join(shown + ([f"{self.electronics} in electronics"] if self.electronics else []))

    def keeps(self, path: str) -> bool:
        """Whether the convolution at a module path stays in electronics."""
        kept = [p.strip() for p in self.electronics.split(",") if p.strip()]
        return any(path == p or path.startswith(f"{p}.") for p in kept)
