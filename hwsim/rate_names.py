"""Names of layers in a file of firing rates, matched with the layers of a graph, whoever wrote the file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hwsim.errors import InputError
from hwsim.rates import Rates

Rate = Mapping[str, float]
_WRAPPERS = frozenset({"module", "model", "net", "network", "backbone", "encoder", "_orig_mod", "snn"})
_ENDS = re.compile(r"_(conv|linear|lin)(?=\d*(\.|$))")
_ATTENTION = re.compile(r"(^|_)(ssa|sdsa\d?|attn|attention|qkv)$")
_RENAMED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"^MS_SPS_lif(\d*)$", r"patch_embed.proj_lif\1"),
        (r"^MS_SSA_Conv(\d+)_first_lif$", r"block.\1.attn.proj_lif"),
        (r"^MS_SSA_Conv(\d+)_x_after_qkv$", r"block.\1.attn.gate"),
        (r"^MS_SSA_Conv(\d+)_kv_before$", r"block.\1.attn.kv_mask"),
        (r"^MS_SSA_Conv(\d+)_kv$", r"block.\1.attn.kv_lif"),
        (r"^MS_SSA_Conv(\d+)_(\w+)$", r"block.\1.attn.\2"),
        (r"^MS_MLP_Conv(\d+)_(\w+)$", r"block.\1.mlp.\2"),
        (r"\battn\.shortcut_lif$", "attn.proj_lif"),
        (r"\bpatch_embed\.(block|proj)4_conv$", "patch_embed.rpe_conv"),
        (r"\bpatch_embed\.(block|proj)0_conv$", "patch_embed.proj_conv"),
        (r"\bpatch_embed\.(block|proj)(\d)_conv$", r"patch_embed.proj_conv\2"),
        (r"\bpatch_embed\.(block|proj)1_lif$", "patch_embed.proj_lif"),
        (r"\bpatch_embed\.(block|proj)2_lif$", "patch_embed.proj_lif1"),
        (r"\bpatch_embed\.(block|proj)3_lif$", "patch_embed.proj_lif2"),
        (r"\bpatch_embed\.(block|proj)4_lif$", "patch_embed.proj_lif3"),
        (r"\bmlp(\d)_(conv|linear|lif)$", r"fc\1_\2"),
        (r"\bblocks\.", "block."),
        (r"^layers\.", "block."),
    )
)
"""Names of the authors' code for the same layers (Spike-driven Transformer's hooks, both tokenizers of Spikingformer)."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer on spikes that wants a rate."""

    path: str
    kind: Literal["layer", "product", "sum"]
    """A layer with weights, a product of two activations, or the column sums of attention without products."""
    sources: tuple[tuple[str, ...], ...] = ()
    """For each spiking operand, the paths whose output it is, nearest first."""


def aligned(rates: Rates, layers: Sequence[Layer], *, others: Iterable[str] = ()) -> Rates:
    """`rates` under the paths of `layers`; as it is where it holds none.

    A name of the file matches a layer if it is its path, up to wrappers (`module.`), brackets, `blocks` for `block` and endings (`q` and
    `q_linear` for `q_conv`). A layer without a name takes the rate of the neurons that fire into it, and then that of the block around it;
    a merged layer that of the first layer in it. Column sums, which are no module and little work, may do without.

    Args:
        others: further layers of the network, which need no rate.

    Raises:
        InputError: no name of the file, or not that of every layer, is found.
    """
    if not rates.by_path:
        return rates
    names = _Names(rates.by_path, [layer.path for layer in layers] + [p for layer in layers for s in layer.sources for p in s])
    found = {layer.path: rate for layer in layers if (rate := names.rate(layer)) is not None}
    lost = [layer.path for layer in layers if layer.path not in found and layer.kind != "sum"]
    if lost:
        raise InputError(_lost(rates, lost, known=[*(layer.path for layer in layers), *others]))
    return replace(rates, by_path=found)


class _Names:
    """The entries of a file under comparable names."""

    def __init__(self, given: Mapping[str, Rate], paths: Sequence[str]) -> None:
        self.given = given
        heads = {part for path in paths for part in canonical(path).split(".")[:1]}
        self.table: dict[str, Rate] = {}
        for name, rate in given.items():
            self.table.setdefault(_without_wrappers(canonical(name), heads), rate)

    def rate(self, layer: Layer) -> Rate | None:
        """Rate of a layer, as `Rates` keeps it: `rate`, or `q`, `k` and `v` apart."""
        own = self.table.get(canonical(layer.path))
        if layer.kind != "layer":
            own = own or self._attention(layer.path)
        if own is not None and ("rate" in own or layer.kind != "layer"):
            return own if "rate" in own else {"rate": _product(layer, own)}
        if (fired := self._fired(layer)) is not None:
            return {"rate": fired}
        return self._inside(layer.path) or self._around(layer.path)

    def _attention(self, path: str) -> Rate | None:
        """An entry with q, k and v under the same module (`attn.ssa_qkv`, `attn`), that of their neurons, or one rate for all of it."""
        scope = canonical(path).rpartition(".")[0]
        entries = {name: rate for name, rate in self.table.items() if name == scope or name.rpartition(".")[0] == scope}
        parts = next((rate for rate in entries.values() if "q" in rate and "k" in rate), None)
        neurons = {letter: entries[f"{scope}.{letter}_lif"].get("rate") for letter in "qkv" if f"{scope}.{letter}_lif" in entries}
        if parts is None and len(known := {n: r for n, r in neurons.items() if r is not None}) == 3:
            return known
        return parts or next((r for n, r in entries.items() if n != scope and _ATTENTION.search(n.rpartition(".")[2])), None)

    def _fired(self, layer: Layer) -> float | None:
        """From the outputs of the neurons before it; a product is charged where the sparser operand fires, column sums with both."""
        rates = [self._output(paths) for paths in layer.sources]
        if not rates or any(r is None for r in rates):
            return None
        return min(r for r in rates if r is not None)

    def _output(self, paths: Sequence[str]) -> float | None:
        entries = (self.table.get(canonical(p)) for p in paths)
        return next((entry["rate"] for entry in entries if entry is not None and "rate" in entry), None)

    def _inside(self, path: str) -> Rate | None:
        """The first of the layers that were merged into this one: what it reads, the merged one reads."""
        scope = canonical(path) + "."
        return next((rate for name, rate in self.table.items() if name.startswith(scope) and "rate" in rate), None)

    def _around(self, path: str) -> Rate | None:
        """The innermost module around a layer that has a rate of its own."""
        scope = canonical(path)
        while scope:
            scope = scope.rpartition(".")[0]
            entry = self.table.get(scope)
            if entry is not None and "rate" in entry:
                return entry
        return None


def _product(layer: Layer, rates: Rate) -> float:
    """Rate of an attention from q, k and v: column sums are charged with their sum (arXiv:2307.01694, table 1), a product of two spiking
    operands where the sparser one fires, one of spikes with sums where the spikes do."""
    if layer.kind == "sum":
        return sum(rates.values())
    letters = [path.rpartition(".")[2][:1] for source in layer.sources for path in source[-1:]]
    if not letters or any(letter not in rates for letter in letters):
        letters = ["k", "v"] if len(layer.sources) > 1 or layer.path.endswith("_kv") else ["q"]
    return min(rates[letter] for letter in letters)


def canonical(name: str) -> str:
    """A name without brackets, endings and other people's words for the same module.

    >>> canonical("blocks[0].attn.q_linear"), canonical("block.0.attn.q"), canonical("MS_MLP_Conv3_fc1_lif")
    ('block.0.attn.q', 'block.0.attn.q', 'block.3.mlp.fc1_lif')
    """
    name = re.sub(r"[\[/](\w+)\]?", r".\1", name.strip()).strip(".")
    for pattern, new in _RENAMED:
        name = pattern.sub(new, name)
    return _ENDS.sub("", name.removesuffix(".weight"))


def _without_wrappers(name: str, heads: set[str]) -> str:
    """`module.backbone.block.0` as `block.0`."""
    parts = name.split(".")
    while len(parts) > 1 and parts[0] not in heads and (parts[0] in _WRAPPERS or parts[1] in heads):
        parts = parts[1:]
    return ".".join(parts)


def _lost(rates: Rates, lost: Sequence[str], *, known: Sequence[str]) -> str:
    first, more = sorted(lost)[0], f" and {len(lost) - 5} more" if len(lost) > 5 else ""
    belong = {canonical(p) for p in known}
    strange = [name for name in rates.by_path if canonical(name) not in belong]
    close = difflib.get_close_matches(first, strange, n=1, cutoff=0.5)
    hint = f"; did you mean {first!r} by its {close[0]!r}?" if close else (f"; it has {', '.join(strange[:3])}" if strange else "")
    return (
        f"{rates.source or 'the rates'}: no rate for {', '.join(sorted(lost)[:5])}{more}{hint}; add a line a layer "
        f"(or one for the block around it), or leave the file out for the default of {rates.default:g}"
    )
