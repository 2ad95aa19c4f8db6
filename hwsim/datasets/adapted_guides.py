"""Adapter of the performance tables of the FasterTransformer guides."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from hwsim.datasets.adapted_fpga import columns
from hwsim.datasets.sources import SUSPECT, table

Row = dict[str, Any]
DEVICES = {"T4": "t4", "V100": "v100-pcie-16gb", "A10": "a10", "A100": "a100-sxm-40gb", "A100 MIG": "a100-mig"}
"""The guides state V100-PCIE-16GB and A100-SXM4-40GB for single GPUs."""
KEYS = {
    "batch_size": "protocol.batch", "batch size": "protocol.batch", "seq_len": "seq_len", "sequence length": "seq_len",
    'sequence length"': "seq_len", "precision": "mapping.dtype", "beam width": "protocol.beams", "beamsearch": "protocol.beams",
    "sampling": "protocol.sampling", "input seqlen": "protocol.input_tokens", "input length": "protocol.input_tokens",
    "output seqlen": "protocol.output_tokens", "output length": "protocol.output_tokens",
}  # fmt: skip
"""Keys of table rows to columns; `seq_len` goes into the graph."""
RATIO = re.compile(r"speedup", re.IGNORECASE)
SIZES = ("TINY", "SMALL", "BASE", "LARGE")
SWIN = {
    None: "swinv2_{}_window8_256", "8": "swinv2_{}_window8_256", "16": "swinv2_{}_window16_256", "24": "swinv2_{}_window12to24_192to384",
}  # fmt: skip
"""Version 2 by window; version 1 has one."""
VIT = {
    "B_16": "vit_base_patch16_384",
    "B_16-224": "vit_base_patch16_224",
    "L_16": "vit_large_patch16_384",
    "L_16-224": "vit_large_patch16_224",
}
SHIFTED_NAME = re.compile(r"[\d.]+|OOM")
TABLE_KEYS = ("Batch_size", "Input Seqlen", "Output Seqlen")
UNNAMED = "the names of this table's rows are missing"
UNSTATED = "the table does not say on which GPU"


def guides(tell: Callable[[str], None]) -> dict[str, Any]:
    """Latency or tokens a second of transformers on T4, V100, A10 and A100; ratios between two of them are no rows."""
    found = table("gpu", "fastertransformer.parquet", need=("doc", "section", "note", "row_keys", "column", "value"))
    entries = [e for _, part in found.groupby("section", sort=False) for e in _mended(part.to_dict("records"))]
    memory = {(e["section"], e["row_keys"]): 1e9 * e["value"] for e in entries if e["column"].startswith("Memory Usage")}
    rows: list[Row] = []
    ratios = 0
    for entry in entries:
        texts = {k: "" if v != v or v is None else str(v) for k, v in entry.items() if k != "value"}
        if RATIO.search(texts["column"]):
            ratios += 1
        elif not texts["column"].startswith(("Memory Usage", "Topk")):
            rows += _rows(texts, float(entry["value"]), memory)
    tell(f"read {len(rows):,} entries; {ratios:,} ratios of two of them are left out")
    return columns(rows)


def _mended(part: list[Row]) -> list[Row]:
    """Entries of a section of the GPT guide; cells under the numbers of a first row that was taken for the header get their names back.

    Each row of such a table has batch, input and output, then the columns of the section's first table; a cell that ran out of memory is
    missing. The header itself is a row, too.
    """
    named = [e for e in part if not SHIFTED_NAME.fullmatch(e["column"])]
    cells = [e for e in part if SHIFTED_NAME.fullmatch(e["column"])]
    if not cells or part[0]["doc"] != "gpt_guide":
        return part
    labels = list(dict.fromkeys(e["column"] for e in named))
    width = len(TABLE_KEYS) + len(labels)
    header: list[str] = []
    made: list[Row] = []
    at = 0
    while at < len(cells):
        if [e["column"] for e in cells[at : at + 2]] != header[:2]:
            header = [e["column"] for e in cells[at : at + width]]
            made += _table_row(part[0], labels, [float("nan") if name == "OOM" else float(name) for name in header])
        row, at = _next_row(cells, at, header)
        made += _table_row(part[0], labels, row)
    return named + made


def _next_row(cells: list[Row], at: int, header: list[str]) -> tuple[list[float], int]:
    """(values in the order of the header, where the next row begins)."""
    found = []
    for name in header:
        there = at < len(cells) and cells[at]["column"] == name
        found.append(float(cells[at]["value"]) if there else float("nan"))
        at += there
    return found, at


def _table_row(like: Row, labels: list[str], values: list[float]) -> list[Row]:
    keys = "; ".join(f"{name}={value:.0f}" for name, value in zip(TABLE_KEYS, values, strict=False))
    pairs = zip(labels, values[len(TABLE_KEYS) :], strict=True)
    return [{**like, "row_keys": keys, "column": label, "value": value} for label, value in pairs if value == value]


def _rows(texts: Mapping[str, str], value: float, memory: Mapping[tuple[str, str], float]) -> list[Row]:
    """An entry as a row, and those latencies that stand in its key."""
    keys, own = _keys(texts["row_keys"])
    made = [_row(texts, keys, texts["column"], value)]
    made[0]["memory_b"] = memory.get((texts["section"], texts["row_keys"]))
    first = texts["column"].startswith("TINY")
    return made + [_row(texts, keys, column, latency) for column, latency in own.items() if first and column[-6:] == texts["column"][-6:]]


def _keys(text: str) -> tuple[Row, dict[str, float]]:
    """(columns, latencies) of the key of a table row, such as `Batch_size=1; Seq_len=32` or `<batch_size, seq_len>=<1, 32>`."""
    pair = re.fullmatch(r"<batch_size, seq_len>=<(\d+), (\d+)>", text)
    if pair:
        return {"protocol.batch": int(pair[1]), "seq_len": int(pair[2])}, {}
    made: Row = {}
    own: dict[str, float] = {}
    for part in text.split("; ") if text else ():
        name, _, value = part.partition("=")
        if re.fullmatch(r"[A-Z]+ \(\w+\)", name):
            own[name] = float(value)
        else:
            key = KEYS.get(name.lower(), name.lower())
            made[key] = int(value) if value.isdigit() and key != "protocol.sampling" else value
    return made, own


def _row(texts: Mapping[str, str], keys: Row, column: str, value: float) -> Row:
    place = texts["section"].split(" > ")
    graph, group = _graph(texts["doc"], place, column, keys)
    device = _device(texts, column)
    suspect = UNNAMED if "Applications" in texts["section"] else UNSTATED if device is None else None
    stated = str(keys.get("mapping.dtype") or "")
    rate = re.search(r"throughput", column, re.IGNORECASE)
    made = {name: keys[name] for name in keys if name.startswith("protocol.")}
    if "V2" in " ".join(place) and "window_size" in keys:
        made["protocol.batch"] = 32  # the same figures as those of batch 32 in the guide's other tables
    return {
        "graph": graph,
        "device": device or "unstated",
        "group": group,
        "mapping.dtype": _dtype(column, stated, place[-1], texts["note"]),
        "protocol.tool": _tool(column, texts),
        "protocol.batch": None,
        **made,
        "protocol.section": " > ".join(place[1:]),
        "protocol.note": texts["note"].lstrip("* ") or None,
        "protocol.column": column,
        SUSPECT: suspect,
        "tokens_hz" if rate else "latency_s": value if rate else value * 1e-3,
    }


def _graph(doc: str, place: list[str], column: str, keys: Row) -> tuple[str, str]:
    """(graph, group): names that hwsim reads where the guide's network has one."""
    title = " > ".join(place)
    name = doc.removesuffix("_guide")
    if name == "bert":
        if "6B" in title or "Applications" in title:
            return f"fastertransformer:{place[-1].lower().replace(' ', '_')}", "bert"
        return "bert_base" + (f"?seq_len={keys['seq_len']}" if "seq_len" in keys else ""), "bert"
    if name == "swin":
        return f"timm:{_swin(title, column, keys)}", "swin"
    if name == "vit":
        size = column.partition(" ")[0] if column.startswith(("B_", "L_")) else "B_16"
        return f"timm:{VIT.get(size, size)}", "vit"
    model = re.search(r"(GPT-[\d.]+[BM]|Megatron-530B|T5-\w+)", place[-1])
    length = f"?seq_len={keys['seq_len']}" if "seq_len" in keys else ""
    return f"fastertransformer:{(model[1] if model else name).lower()}{length}", name


def _swin(title: str, column: str, keys: Row) -> str:
    size = next((s for s in SIZES if column.startswith(s) or keys.get("model") == s), "TINY").lower()
    if "V2" not in title:
        return f"swin_{size}_patch4_window7_224"
    window = str(keys["window_size"]) if "window_size" in keys else None
    return (
        "swinv2_large_window12to16_192to256"
        if (size, window) == ("large", "16")
        else SWIN.get(window, f"swinv2_{{}}_window{window}").format(size)
    )


def _device(texts: Mapping[str, str], column: str) -> str | None:
    if texts["doc"] == "gpt_guide" or "80GB" in texts["section"] or "6B" in texts["section"]:
        return "a100-sxm-80gb"
    own = re.match(r"(A100 MIG|T4|V100|A100) ", column)
    if own:
        return DEVICES[own[1]]
    named = re.findall(r"\b(T4|V100|A100|A10)\b", texts["section"] + " " + texts["note"])
    return DEVICES[named[-1]] if len(set(named)) == 1 else None


def _dtype(*texts: str) -> str | None:
    """Precision of what was measured: the first text that names one."""
    for text in texts:
        for form in ("INT8", "FP16", "TF32", "FP32"):
            if form in text.replace("INT8 vs. FP16", "").upper():
                return form.lower()
    return None


def _tool(column: str, texts: Mapping[str, str]) -> str:
    """What ran: `fastertransformer` unless the column names another framework."""
    others = {
        "TF ": "tensorflow", "TF-": "tensorflow", "Tensorflow": "tensorflow-xla", "TorchScript": "torchscript", "torch.jit": "torchscript",
        "torch latency": "torchscript", "PyTorch": "pytorch", "Huggingface": "huggingface", "HuggingFace": "huggingface",
        "Megatron": "megatron",
    }  # fmt: skip
    return next((tool for start, tool in others.items() if column.startswith(start)), "fastertransformer")
