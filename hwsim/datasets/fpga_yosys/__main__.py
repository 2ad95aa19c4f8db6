"""`python -m hwsim.datasets.fpga_yosys`."""

from hwsim.datasets.fpga_yosys.command import command

if __name__ == "__main__":
    command(prog_name="python -m hwsim.datasets.fpga_yosys")
