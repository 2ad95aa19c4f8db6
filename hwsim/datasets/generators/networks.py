"""Sampled networks and how each is run: the same list for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

SEED = 7
NAMES = (
    "resnet18", "resnet26", "resnet34", "resnet50", "resnext50_32x4d", "seresnet50", "wide_resnet50_2", "densenet121", "vgg11",
    "regnetx_002", "regnetx_008", "regnety_002", "regnety_004", "repvgg_a0", "dla34", "mobilenetv2_050", "mobilenetv2_100",
    "mobilenetv3_small_100", "mobilenetv3_large_100", "mnasnet_100", "fbnetc_100", "lcnet_050", "ghostnet_100", "tinynet_c",
    "efficientnet_lite0", "efficientnet_b0", "convnext_atto", "convnext_femto", "convnext_pico", "mixer_s32_224", "mixer_s16_224",
    "vit_tiny_patch16_224", "vit_small_patch32_224", "deit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "poolformer_s12",
    "pit_ti_224", "edgenext_xx_small",
)  # fmt: skip
"""Models of PyTorch Image Models as they are."""
FIXED = ("mixer_", "swin_", "pit_")
"""Families that take images of their own size only."""
SIZES = (96, 128, 160, 192, 224, 256)
SAMPLED_EVERY = 3
"""One network in so many is a vision transformer of sampled depth and width."""
Draw = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True)
class Run:
    """A network and how it is run."""

    graph: str
    """Name that `hwsim.load` reads."""
    group: str
    """Its family of architectures."""
    batch: int
    dtype: str
    threads: int
    """Of PyTorch; 0 on a GPU."""
    layout: str
    """nchw or nhwc, of images in memory."""

    @property
    def key(self) -> tuple[str, ...]:
        """What tells rows apart, as texts."""
        return tuple(str(v) for name, v in asdict(self).items() if name != "group")


def runs(
    *, seed: int = SEED, dtypes: Sequence[str] = ("fp32",), batches: Sequence[int] = (1, 1, 2, 4), threads: Sequence[int] = (1,)
) -> Iterator[Run]:
    """Runs without end, each once.

    Args:
        seed: of the sampling.
        dtypes: fp32, bf16, fp16 to draw from; as all the following, a value that stands twice is drawn twice as often.
        batches: images at once.
        threads: of PyTorch.
    """
    known: set[tuple[str, ...]] = set()
    n = 0
    while True:
        random = np.random.default_rng([seed, n])

        def draw(choices: Sequence[Any], random: np.random.Generator = random) -> Any:
            return choices[int(random.integers(len(choices)))]

        graph, group = _transformer(draw) if n % SAMPLED_EVERY == SAMPLED_EVERY - 1 else _named(draw)
        made = Run(graph, group, draw(tuple(batches)), draw(tuple(dtypes)), draw(tuple(threads)), draw(("nchw", "nchw", "nhwc")))
        n += 1
        if made.key not in known:
            known.add(made.key)
            yield made


def _named(draw: Draw) -> tuple[str, str]:
    name = draw(NAMES)
    size = 224 if name.startswith(FIXED) else draw(SIZES)
    return f"timm:{name}?img_size={size}", _family(name)


def _family(name: str) -> str:
    """The letters that a name begins with.

    >>> _family("resnet18"), _family("vit_tiny_patch16_224"), _family("regnetx_002")
    ('resnet', 'vit', 'regnetx')
    """
    return "".join(c for c in name.partition("_")[0] if not c.isdigit())


def _transformer(draw: Draw) -> tuple[str, str]:
    """A vision transformer of 2 to 12 blocks, heads 64 wide."""
    heads, depth, size = draw((1, 2, 3, 4, 6)), draw((2, 3, 4, 6, 8, 12)), draw((96, 128, 160, 224))
    return f"timm:vit_tiny_patch16_224?img_size={size}&depth={depth}&embed_dim={64 * heads}&num_heads={heads}", "vit"
