"""Verilog of convolutions over a stream of pixels: line buffers, a window, and the dense circuit."""

from __future__ import annotations

from hwsim.datasets.fpga_yosys import dense
from hwsim.datasets.fpga_yosys.design import Design
from hwsim.datasets.fpga_yosys.netlist import levels


def module(design: Design) -> str:
    """The circuit: a pixel a clock enters while the dense circuit can take the windows that it completes."""
    d = design
    rows = d.kernel if d.template == "conv2d" else 1
    pixel = d.channels * d.input_bits
    lines = dense.header("dut", x_bits=pixel, y_bits=d.n_out * d.acc_bits)
    lines = [line.replace("output reg", "output") for line in lines]
    lines += _positions(d, rows)
    lines += _column(d, rows, pixel)
    lines += _window(d, rows, pixel)
    lines += [
        "  dense core (.clk(clk), .rst(rst), .in_valid(full), .in_ready(core_ready), .x(window), .out_valid(out_valid), .y(y));",
        "endmodule",
    ]
    return "\n".join(lines) + "\n" + dense.module(d, name="dense")


def _positions(d: Design, rows: int) -> list[str]:
    """Column and row counters, and whether a window is full after this pixel."""
    c, r = levels(d.width), levels(d.height)
    complete = f"column >= {c}'d{d.kernel - 1}"
    lines = [
        "  wire core_ready; reg full;",
        "  assign in_ready = !full || core_ready;",
        "  wire take = in_valid && in_ready;",
        f"  reg [{c - 1}:0] column;",
        f"  wire wrap = column == {c}'d{d.width - 1};",
        f"  wire [{c - 1}:0] next = wrap ? {c}'d0 : column + 1'b1;",
        "  always @(posedge clk) if (rst) column <= 0; else if (take) column <= next;",
    ]
    if rows > 1:
        complete += f" && row >= {r}'d{rows - 1}"
        lines += [
            f"  reg [{r - 1}:0] row;",
            f"  always @(posedge clk) if (rst) row <= 0; else if (take && wrap) row <= row == {r}'d{d.height - 1} ? {r}'d0 : row + 1'b1;",
        ]
    return [*lines, f"  always @(posedge clk) if (rst) full <= 0; else if (in_ready) full <= take && {complete};"]


def _column(d: Design, rows: int, pixel: int) -> list[str]:
    """The pixels above the new one, from a memory of `rows - 1` lines; oldest row in the lowest bits."""
    if rows == 1:
        return [f"  wire [{pixel - 1}:0] stack = x;"]
    bits = (rows - 1) * pixel
    style = "block" if d.rom_style == "block" else "distributed"
    return [
        f'  (* ram_style = "{style}" *) reg [{bits - 1}:0] lines [0:{d.width - 1}];',
        f"  reg [{bits - 1}:0] above;",
        f"  wire [{bits + pixel - 1}:0] stack = {{x, above}};",
        f"  always @(posedge clk) if (take) begin lines[column] <= stack[{bits + pixel - 1}:{pixel}]; above <= lines[next]; end",
    ]


def _window(d: Design, rows: int, pixel: int) -> list[str]:
    """The last `kernel` columns, in (row, column, channel) order."""
    column = rows * pixel
    lines = [f"  reg [{d.kernel * column - 1}:0] taps;"]
    if d.kernel > 1:
        lines.append(f"  always @(posedge clk) if (take) taps <= {{stack, taps[{d.kernel * column - 1}:{column}]}};")
    else:
        lines.append("  always @(posedge clk) if (take) taps <= stack;")
    order = [f"taps[{k * column + r * pixel} +: {pixel}]" for r in range(rows) for k in range(d.kernel)]
    return [*lines, f"  wire [{d.kernel * column - 1}:0] window = {{{', '.join(reversed(order))}}};"]
