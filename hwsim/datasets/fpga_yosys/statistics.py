"""What the constants of a design look like: the columns that closed forms of constant arithmetic need."""

from __future__ import annotations

import numpy as np

from hwsim.datasets.fpga_yosys import da, dense
from hwsim.datasets.fpga_yosys.design import Design
from hwsim.datasets.fpga_yosys.netlist import signed_digits


def statistics(design: Design) -> dict[str, float]:
    """Columns by name; empty for circuits without weights."""
    if not design.weight_bits or design.template == "table":
        return {}
    matrices = [w for w, _ in da.layers(design)] if design.template.endswith("_da") else [design.weights]
    return of_matrices(matrices, reuse=design.reuse)


def of_matrices(matrices: list[np.ndarray], *, reuse: int = 1) -> dict[str, float]:
    """Statistics of integer matrices `(n_in, n_out)` that share one design.

    `single_frac` is the share of weights that are a power of two or its negative,
    `digits_out_max` is the most signed digits of all weights of a neuron, `terms_max` its most weights other than 0,
    `sum_bits` the mean binary logarithm of the sum of a neuron's magnitudes.
    `odd_constants` counts, over all inputs, the different odd factors above 1 of the constants that multiply it (w, -w and 2w share one);
    `product_adders` the two-operand adders that build them by signed digits; `sum_adders` those that sum the products of each neuron;
    `multipliers` is what a ROM-fed circuit has.
    """
    flat = np.concatenate([m.ravel() for m in matrices])
    digits = {int(w): len(signed_digits(int(w))) for w in np.unique(flat)}
    counts = np.array([digits[int(w)] for w in flat])
    terms = [(m != 0).sum(0) for m in matrices]
    sums = [np.vectorize(digits.__getitem__)(m).sum(0) for m in matrices]
    magnitudes = [(total := np.abs(m).sum(0))[total > 0] for m in matrices]
    odd = [odd_factors(row) for m in matrices for row in m]
    return {
        "zeros_frac": round(float((flat == 0).mean()), 4),
        "single_frac": round(float((counts == 1).mean()), 4),
        "digits_mean": round(float(counts.mean()), 4),
        "digits_max": int(counts.max()),
        "digits_out_max": int(max(s.max() for s in sums)),
        "sum_bits": round(float(np.mean([np.log2(m).mean() if len(m) else 0.0 for m in magnitudes])), 4),
        "terms_max": int(max(t.max() for t in terms)),
        "multipliers": -(-len(flat) // reuse) if reuse > 1 else int((counts > 1).sum()),
        "odd_constants": sum(map(len, odd)),
        "product_adders": sum(len(signed_digits(w)) - 1 for row in odd for w in row),
        "sum_adders": int(sum(np.maximum(t - 1, 0).sum() for t in terms)),
    }


def odd_factors(row: np.ndarray) -> list[int]:
    """Different odd factors above 1 in a row of constants.

    >>> odd_factors(np.array([3, -6, 12, 4, 0, 5]))
    [3, 5]
    """
    values = np.unique(np.abs(row[row != 0]))
    return sorted({int(v) // (int(v) & -int(v)) for v in values} - {1})


def rom_statistics(design: Design) -> dict[str, float]:
    """Bit columns of the weight ROM that are not constant (`rom_bits`), and the different ones among them (`rom_columns`)."""
    words = np.array([dense.rom_word(design, r) for r in range(design.reuse)])
    bits = (words[:, :, None] >> np.arange(design.weight_bits)) & 1
    columns = bits.reshape(design.reuse, -1).T
    changing = columns[columns.min(1) != columns.max(1)]
    return {"rom_bits": len(changing), "rom_columns": len(np.unique(changing, axis=0)) if len(changing) else 0}
