"""One design point of ResNet-18 in ZigZag or SCALE-Sim: CPU seconds. Run by an interpreter that has the tool.

    python benchmarks/sweep_peers.py zigzag
    python benchmarks/sweep_peers.py scalesim TOPOLOGY.csv

ZigZag: `pip install zigzag-dse six`. SCALE-Sim: `pip install 'numpy<2' scalesim`. Prints a JSON object.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import logging
import sys
import tempfile
import time
from pathlib import Path


def zigzag() -> dict[str, object]:
    """The `tpu_like` accelerator and mapping that come with it, its own ResNet-18, one temporal mapping search a layer."""
    import zigzag as package
    from zigzag.api import get_hardware_performance_zigzag

    inputs = Path(package.__file__).parent / "inputs"
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        get_hardware_performance_zigzag(
            workload=str(inputs / "workload/resnet18.onnx"),
            accelerator=str(inputs / "hardware/tpu_like.yaml"),
            mapping=str(inputs / "mapping/tpu_like.yaml"),
            opt="latency",
            dump_folder=folder,
            loma_show_progress_bar=False,
        )
        return {"tool": f"ZigZag {importlib.metadata.version('zigzag-dse')}", "cpu_s": time.process_time() - start}


CONFIG = """[general]
run_name = resnet18
[architecture_presets]
ArrayHeight = 32
ArrayWidth = 32
IfmapSramSzkB = 512
FilterSramSzkB = 512
OfmapSramSzkB = 256
IfmapOffset = 0
FilterOffset = 10000000
OfmapOffset = 20000000
Bandwidth = 16
Dataflow = ws
MemoryBanks = 1
ReadRequestBuffer = 32
WriteRequestBuffer = 32
[layout]
IfmapCustomLayout = False
IfmapSRAMBankBandwidth = 10
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterCustomLayout = False
FilterSRAMBankBandwidth = 10
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = false
SparseRep = ellpack_block
OptimizedMapping = false
BlockSize = 8
RandomNumberGeneratorSeed = 40
[run_presets]
InterfaceBandwidth = CALC
UseRamulatorTrace = False
"""


def scale_sim(topology: str) -> dict[str, object]:
    """A 32 x 32 weight-stationary array, demand traces not written."""
    from scalesim.scale_sim import scalesim

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "scale.cfg"
        config.write_text(CONFIG)
        layout = Path(folder) / "layout.csv"  # must be there, though the configuration does not use it
        names = [line.split(",")[0] for line in Path(topology).read_text().splitlines()]
        layout.write_text("".join(f"{name},{'1,' * 20}\n" for name in names))
        start = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            tool = scalesim(
                save_disk_space=True, verbose=False, config=str(config), topology=topology, layout=str(layout), input_type_gemm=False
            )
            tool.run_scale(top_path=folder)
        return {"tool": f"SCALE-Sim {importlib.metadata.version('scalesim')}", "cpu_s": time.process_time() - start}


if __name__ == "__main__":
    found = zigzag() if sys.argv[1] == "zigzag" else scale_sim(sys.argv[2])
    print(json.dumps(found))
