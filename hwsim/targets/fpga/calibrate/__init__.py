"""Fits of the FPGA constants, and the rows of the accuracy tables."""
