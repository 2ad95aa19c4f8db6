"""Joint search of architecture and bit widths, layer by layer, with an accuracy of one's own.

    python examples/joint_search.py --trials 400

Every trial takes widths of the layers, a number format for each of them and the reuse factors of an FPGA design. `accuracy` is asked
only of designs that fit and meet the latency, once each: put a short training, a supernet or a predictor there. Here it is a stand-in
that falls with the bits that are dropped and with the width.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from typing import Any

import hwsim
from hwsim.zoo.mlp import mlp

FORMATS = "ap_fixed<16,6>,ap_fixed<12,5>,ap_fixed<8,3>,ap_fixed<6,2>"


def network(width1: int = 64, width2: int = 32, width3: int = 32) -> hwsim.Graph:
    """The family of networks: three hidden layers."""
    return mlp(name="tagger", widths=(width1, width2, width3))


def accuracy(axes: Mapping[str, Any]) -> float:
    """A stand-in for a training: the narrower the layers and the fewer the bits, the worse."""
    bits = [int(re.findall(r"\d+", axes[f"mapping.precision[fc{i}]"])[0]) for i in (1, 2, 3)]
    lost = sum(0.3 / 2 ** (b - 4) for b in bits) + sum(0.4 / axes[f"model.width{i}"] for i in (1, 2, 3))
    return max(0.2, 0.77 - lost)


def run(*, trials: int, on: str = "pynq-z2", latency: str = "200 ns", seed: int = 0) -> Any:
    """The search."""
    formats = {f"mapping.precision[fc{i}]": FORMATS for i in (1, 2, 3)}
    reuse = {f"mapping.reuse_factor[fc{i}]": "1,2,4,8" for i in (1, 2, 3)}
    return hwsim.search(
        network,
        on,
        trials=trials,
        vary={**formats, **reuse},
        model_axes={f"width{i}": "8:64:8" for i in (1, 2, 3)},
        metrics={"accuracy": accuracy},
        where=f"fits and latency < {latency}",
        pareto="max:accuracy,lut,latency",
        best="max:accuracy",
        run={"sampler": "nsga3", "seed": seed},
        strategy="resource",
    )


def main() -> None:
    """Print the front."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--on", default="pynq-z2")
    given = parser.parse_args()
    found = run(trials=given.trials, on=given.on)
    print(f"{found.counts.points} designs, {found.counts.kept} fit and meet the latency, {len(found.pareto())} on the front")
    for design in list(found.pareto())[:10]:
        m = design.metrics
        print(f"{m['accuracy']:.4f}  {m['lut']:8,.0f} LUT  {m['latency_s'] * 1e9:5.0f} ns  {', '.join(map(str, design.axes.values()))}")


if __name__ == "__main__":
    main()
