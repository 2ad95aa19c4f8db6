"""FPGA family: hls4ml-style templates, a layer at a time, before any tool is started."""

from __future__ import annotations

from hwsim.targets.fpga.target import FpgaTarget

TARGET = FpgaTarget()
