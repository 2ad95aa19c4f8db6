"""The torch front end: live modules, exported programs, `timm:`, `torchvision:` and `hf:` names -> Graph.

Nothing is downloaded and no weights are made: models are built on the meta device and captured with `torch.export`.
torch, timm and transformers are imported when a source is loaded, not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from hwsim.errors import InputError, MissingExtra
from hwsim.graph import Graph

PREFIXES = ("timm:", "torchvision:", "hf:")
PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".pt2", ".ckpt", ".bin")


class TorchFrontend:
    """Reads `torch.nn.Module`, `ExportedProgram`, `timm:resnet50`, `hf:bert-base-uncased`, `hf:LlamaConfig?hidden_size=2048`."""

    name = "torch"

    def accepts(self, source: Any) -> bool:
        """By the prefix, by the class, or a pickle (which `load` refuses)."""
        if isinstance(source, str | PurePath):
            return str(source).startswith(PREFIXES) or PurePath(source).suffix in PICKLES
        names = {f"{c.__module__}.{c.__name__}" for c in type(source).__mro__}
        if any(name.startswith("keras.") for name in names):  # with torch as its backend
            return False
        return bool(names & {"torch.nn.modules.module.Module", "torch.export.exported_program.ExportedProgram"})

    def load(
        self,
        source: Any,
        *,
        batch: int | None,
        seq_len: int | None,
        dims: Mapping[str, int],
        allow_unsupported: bool,
        **options: Any,
    ) -> Graph:
        """The graph of a network at inference.

        Args:
            source: a module, an exported program, or a name with options after `?` (`timm:vit_base_patch16_224?img_size=384`).
            batch: samples; default 1, or what `inputs` says.
            seq_len: tokens of a text model; default 128.
            options: `inputs` (tensors or shapes, a sequence or a mapping by argument), for modules that name none themselves;
                `timesteps` of an inference, for a module of spiking neurons that runs one; those after `?` may be given here as well.

        Raises:
            InputError: a file with pickled code, an option that is wrong, a module that cannot be captured.
            UnknownName: no such timm model or transformers configuration.
            MissingExtra: torch, timm or transformers is not installed.
            UnsupportedOp: operators without a rule.
        """
        if isinstance(source, str | PurePath) and not str(source).startswith(PREFIXES):
            raise _refused(str(source))
        try:
            import torch  # noqa: F401
        except ImportError as error:
            raise MissingExtra("torch", "torch") from error
        from hwsim.frontends.torch.load import load

        return load(source, batch=batch, seq_len=seq_len, allow_unsupported=allow_unsupported, options=dict(options))


def _refused(source: str) -> InputError:
    return InputError(
        f"{source!r} is a pickle or an archive that may hold one, and reading it can run any code; nothing was read or executed. "
        "Expected a live module, an exported program, a `timm:`, `torchvision:` or `hf:` name, or an ONNX file: "
        "load the file yourself and pass the module to hwsim.load."
    )


FRONTEND = TorchFrontend()
