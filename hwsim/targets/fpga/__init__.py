"""FPGA family: hls4ml-style templates, a layer at a time, before any tool is started."""
