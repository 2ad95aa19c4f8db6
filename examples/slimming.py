"""Latency-driven slimming: cut a network block by block until it meets a budget on a device.

    python examples/slimming.py --on l4 --budget-ms 1.5

The importance of a design is yours to say: here it is a stand-in that grows with width and depth. With a trained supernet it is the
accuracy of the sub-network on a few batches; with a trained network the drop of its loss when a block is left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from hwsim.search.slimming import Cut, slim
from hwsim.sweep.build import space

SIZES = {
    "blocks": "C-C-CT-T,C-CC-CCT-T,CC-CCC-CCTT-TT,CC-CCC-CCCTTT-TTT",
    "widths": "(32,64,128,256),(48,96,192,384),(64,128,256,512)",
    "expansion": "2,3,4",
    "mlp_frac": "0.25,0.5,1.0",
}
"""Values of every option, from the smallest network to the largest."""


def importance(axes: Mapping[str, Any]) -> float:
    """A stand-in for an accuracy: more of everything is better, with less and less return."""
    depth = len(axes["model.blocks"].replace("-", ""))
    return 1 - 1 / (depth * sum(axes["model.widths"]) ** 0.5 * axes["model.expansion"] ** 0.3 * axes["model.mlp_frac"] ** 0.2)


def run(on: str, *, budget_s: float, batch: int = 8, image_size: int = 224) -> tuple[Cut, ...]:
    """The cuts from the largest network to one that meets the budget."""
    made = space(f"hybrid?image_size={image_size}", on, vary={}, model_axes=SIZES, load={"batch": batch})
    return slim(made, importance, budget=budget_s)


def main() -> None:
    """Print the cuts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", default="l4")
    parser.add_argument("--budget-ms", type=float, default=2.0)
    parser.add_argument("--batch", type=int, default=8)
    given = parser.parse_args()
    for cut in run(given.on, budget_s=given.budget_ms * 1e-3, batch=given.batch):
        print(
            f"{cut.cost * 1e3:8.3f} ms  importance {cut.importance:.5f}  {cut.axis.removeprefix('model.') or 'start':10}  {dict(cut.axes)}"
        )


if __name__ == "__main__":
    main()
