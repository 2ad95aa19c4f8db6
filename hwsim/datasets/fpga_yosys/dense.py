"""Verilog of dense layers: weights in a ROM under a reuse factor, or constants in a pipelined tree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hwsim.datasets.fpga_yosys.design import Design
from hwsim.datasets.fpga_yosys.netlist import Netlist, Term, levels, part, select, signed_digits, words


def module(design: Design, *, name: str = "dut") -> str:
    """The circuit of the matrix-vector product of a design, with a valid/ready handshake at its input."""
    return resource(design, name=name) if design.reuse > 1 else latency(design, name=name)


def header(name: str, *, x_bits: int, y_bits: int) -> list[str]:
    """The ports that all circuits share."""
    return [
        f"module {name} (input clk, input rst, input in_valid, output in_ready, input [{x_bits - 1}:0] x,",
        f"  output reg out_valid, output reg [{y_bits - 1}:0] y);",
    ]


def resource(design: Design, *, name: str) -> str:
    """n_in * n_out / reuse multipliers fed from a ROM of `reuse` words; two vectors may be in flight."""
    d, rf = design, design.reuse
    steps, groups = min(rf, d.n_in), max(rf // d.n_in, 1)
    fan_in, outputs = d.n_in // steps, d.n_out // groups
    bits, depth = levels(rf), levels(fan_in)
    lines = header(name, x_bits=d.n_in * d.input_bits, y_bits=d.n_out * d.acc_bits)
    lines += _steps(d, steps=steps, groups=groups, bits=bits, depth=depth)
    lines += _rom(d)
    lines += _inputs(d, steps=steps, groups=groups)
    sums: list[str] = []
    for o in range(outputs):
        products = [_product(o * fan_in + k, k, d, lines) for k in range(fan_in)]
        sums.append(_tree(products, d.input_bits + d.weight_bits, d.acc_bits, f"s{o}", lines))
    for o in range(outputs):
        lines += _accumulate(d, o, sums[o], groups=groups, outputs=outputs, depth=depth)
    return "\n".join([*lines, "endmodule"]) + "\n"


def _steps(d: Design, *, steps: int, groups: int, bits: int, depth: int) -> list[str]:
    """Counters, the handshake, and the flags that travel with the data."""
    lines = [f"  reg busy; reg [{bits - 1}:0] step;", f"  wire last = step == {bits}'d{d.reuse - 1};", "  assign in_ready = !busy || last;"]
    advance = "step <= last ? 0 : step + 1'b1;"
    first, end = f"step == {bits}'d0", "last"
    if groups > 1:
        i, g = levels(steps), levels(groups)
        lines += [f"  reg [{max(i, 1) - 1}:0] index; reg [{g - 1}:0] group;", f"  wire row = index == {max(i, 1)}'d{steps - 1};"]
        advance += " index <= row ? 0 : index + 1'b1; if (row) group <= last ? 0 : group + 1'b1;"
        first, end = f"index == {max(i, 1)}'d0", "row"
    reset = "busy <= 0; step <= 0;" + (" index <= 0; group <= 0;" if groups > 1 else "")
    lines += [
        f"  always @(posedge clk) if (rst) begin {reset} end",
        f"    else begin if (in_ready) busy <= in_valid; if (busy) begin {advance} end end",
    ]
    for flag, source, length in (("f", first, 3), ("e", f"busy && {end}", 4), ("z", "busy && last", 4)):
        lines += chain(flag, source, length + depth)
    if groups > 1:
        lines.append(f"  reg [{levels(groups) - 1}:0] {', '.join(f'g{i}' for i in range(1, 5 + depth))};")
        lines += [
            f"  always @(posedge clk) if (rst) g{i} <= 0; else g{i} <= {f'g{i - 1}' if i > 1 else 'group'};" for i in range(1, 5 + depth)
        ]
    return lines


def chain(flag: str, source: str, length: int) -> list[str]:
    """A flag delayed by 1, 2 ... `length` clocks, with reset (which keeps it out of shift-register LUTs)."""
    names = [f"{flag}{i}" for i in range(1, length + 1)]
    body = [f"{n} <= !rst && ({p});" for n, p in zip(names, [source, *names], strict=False)]
    return [f"  reg {', '.join(names)};", f"  always @(posedge clk) begin {' '.join(body)} end"]


def _rom(d: Design) -> list[str]:
    """Weights by step; the word of a step holds those of all multipliers.

    The address has its own register: LUTs that it shares with the counter's logic would cost Yosys several more a column. In LUTs the
    words beyond the last step repeat earlier ones.
    """
    per_word = d.n_in * d.n_out // d.reuse
    width, half = per_word * d.weight_bits, 1 << (levels(d.reuse) - 1)
    depth = 2 * half if d.rom_style == "logic" else d.reuse
    lines = [
        f'  (* rom_style = "{d.rom_style}" *) reg [{width - 1}:0] rom [0:{depth - 1}];',
        f"  reg [{width - 1}:0] w;",
        "  initial begin",
    ]
    for r in range(depth):
        word = rom_word(d, r if r < d.reuse else r - half)
        lines.append(f"    rom[{r}] = {width}'h{words(word, d.weight_bits):x};")
    return [*lines, "  end", f"  reg [{levels(d.reuse) - 1}:0] at;", "  always @(posedge clk) begin at <= step; w <= rom[at]; end"]


def rom_word(d: Design, r: int) -> list[int]:
    """Weights that the multipliers take in step `r`, the first in the lowest bits."""
    steps, groups = min(d.reuse, d.n_in), max(d.reuse // d.n_in, 1)
    fan_in, outputs, i, g = d.n_in // steps, d.n_out // groups, r % steps, r // steps
    return [int(d.weights[k * steps + i, g * outputs + o]) for o in range(outputs) for k in range(fan_in)]


def _inputs(d: Design, *, steps: int, groups: int) -> list[str]:
    """The input register, and a multiplexer for each input of a step, with a register more to be as late as the ROM."""
    b, index = d.input_bits, "index" if groups > 1 else "step"
    lines = [
        f"  reg [{d.n_in * b - 1}:0] xr;",
        "  always @(posedge clk) if (in_valid && in_ready) xr <= x;",
    ]
    for k in range(d.n_in // steps):
        chosen = select([part("xr", k * steps + i, b) for i in range(steps)], index, levels(steps))
        lines += [f"  reg signed [{b - 1}:0] c{k}, x{k};", f"  always @(posedge clk) begin c{k} <= {chosen}; x{k} <= c{k}; end"]
    return lines


def _product(m: int, k: int, d: Design, lines: list[str]) -> str:
    lines += [
        f"  reg signed [{d.input_bits + d.weight_bits - 1}:0] p{m};",
        f"  always @(posedge clk) p{m} <= $signed({part('w', m, d.weight_bits)}) * x{k};",
    ]
    return f"p{m}"


def _tree(names: Sequence[str], bits: int, limit: int, prefix: str, lines: list[str]) -> str:
    """Registered pairwise sums, one bit wider a level up to `limit`; the name of the root."""
    found, level = list(names), 0
    while len(found) > 1:
        level += 1
        width = min(bits + level, limit)
        sums = [f"{found[i]} + {found[i + 1]}" for i in range(0, len(found) - 1, 2)] + ([found[-1]] if len(found) % 2 else [])
        found = [f"{prefix}_{level}_{i}" for i in range(len(sums))]
        for target, text in zip(found, sums, strict=True):
            lines += [f"  reg signed [{width - 1}:0] {target};", f"  always @(posedge clk) {target} <= {text};"]
    return found[0]


def _accumulate(d: Design, o: int, total: str, *, groups: int, outputs: int, depth: int) -> list[str]:
    """Accumulator of one multiplier group and the output registers that it writes."""
    a, t = d.acc_bits, 3 + depth
    biases = [f"{a}'h{words([int(d.bias[g * outputs + o])], a):x}" for g in range(groups)]
    bias = select(biases, f"g{t}", levels(groups))
    value = f"(a{o}[{a - 1}] ? {a}'d0 : a{o})" if d.relu else f"a{o}"
    lines = [
        f"  reg signed [{a - 1}:0] a{o};",
        f"  wire signed [{a - 1}:0] b{o} = f{t} ? {bias} : a{o};",
        f"  always @(posedge clk) a{o} <= b{o} + {total};",
    ]
    for g in range(groups):
        enable = f"e{t + 1}" + (f" && g{t + 1} == {levels(groups)}'d{g}" if groups > 1 else "")
        lines.append(f"  always @(posedge clk) if ({enable}) {part('y', g * outputs + o, a)} <= {value};")
    return [*lines, *([f"  always @(posedge clk) out_valid <= !rst && z{t + 1};"] if o == 0 else [])]


def latency(design: Design, *, name: str) -> str:
    """Constants: products by shift and add or in DSP blocks, then one tree a neuron; a vector every clock."""
    d = design
    net = Netlist(d.acc_bits)
    half = 1 << (d.input_bits - 1)
    inputs = [Term(f"x{i}", -half, half - 1) for i in range(d.n_in)]
    lines = header(name, x_bits=d.n_in * d.input_bits, y_bits=d.n_out * d.acc_bits)
    for i in range(d.n_in):
        lines += [f"  reg signed [{d.input_bits - 1}:0] x{i};", f"  always @(posedge clk) x{i} <= {part('x', i, d.input_bits)};"]
    first, second = product_levels(d), sum_levels(d)
    make = _in_dsp if d.multiplier == "dsp" else _in_fabric
    products = {(i, w): make(net, inputs[i], w, first) for i in range(d.n_in) for w in _distinct(d.weights[i])}
    ends = []
    for o in range(d.n_out):
        terms = [products[i, int(d.weights[i, o])] for i in range(d.n_in) if d.weights[i, o]]
        ends.append(_neuron(d, o, net.tree(terms, second) if terms else None))
    lines += net.lines + [line for end in ends for line in end]
    lines += ["  assign in_ready = 1'b1;", *chain("v", "in_valid", first + second + 1)]
    lines.append(f"  always @(posedge clk) out_valid <= !rst && v{first + second + 1};")
    return "\n".join([*lines, "endmodule"]) + "\n"


def _distinct(row: Iterable[int]) -> list[int]:
    return sorted({int(w) for w in row if w})


def product_levels(d: Design) -> int:
    """Clocks from an input register to the products."""
    return 1 if d.multiplier == "dsp" else levels(max((len(signed_digits(int(w))) for w in d.weights.flat), default=0))


def sum_levels(d: Design) -> int:
    """Clocks from products to the sum of a neuron."""
    return levels(int((d.weights != 0).sum(0).max()))


def _in_fabric(net: Netlist, x: Term, weight: int, clocks: int) -> Term:
    digits = signed_digits(weight)
    return net.tree([Term(x.name, x.low, x.high, shift, sign < 0) for shift, sign in digits], clocks)


def _in_dsp(net: Netlist, x: Term, weight: int, clocks: int) -> Term:
    shift = (weight & -weight).bit_length() - 1
    odd = abs(weight) >> shift
    if odd == 1:
        made = net.delay(x)
    else:
        bits = odd.bit_length() + 1
        made = net.register(x.low * odd, x.high * odd, f"{x.name} * {bits}'sd{odd}", ("times", x.name, odd))
    return Term(made.name, made.low, made.high, shift, weight < 0)


def _neuron(d: Design, o: int, total: Term | None) -> list[str]:
    """Bias and activation of one output."""
    a, bias = d.acc_bits, int(d.bias[o])
    text = f"{a}'sh{words([bias], a):x}"
    if total is not None:
        text += f" {'-' if total.negative else '+'} ({total.name} <<< {total.shift})"
    lines = [f"  wire signed [{a - 1}:0] t{o} = {text};"]
    value = f"t{o}[{a - 1}] ? {a}'d0 : t{o}" if d.relu else f"t{o}"
    return [*lines, f"  always @(posedge clk) {part('y', o, a)} <= {value};"]
