"""An open ground truth for FPGA resources: our own Verilog, checked in Verilator, synthesised by Yosys."""
