"""Parameters and multiply-accumulates of published models against counts made with torch's own counter."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from hwsim.frontends.torch import FRONTEND
from hwsim.frontends.torch.timm_models import import_timm
from hwsim.graph import Graph

TIMM_FEW = [
    "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
    "convnext_tiny",
    "poolformer_s12",
    "convit_tiny",
    "crossvit_9_240",
    "gcvit_xxtiny",
    "efficientformer_l1",
    "efficientvit_m0",
    "mixer_s16_224",
    "mobilevit_xxs",
    "mobilenetv3_large_100",
    "resnet50",
]
HEAD = "head=image_classification&num_labels=1000"
TINY_BAMBA = (
    "hidden_size=1024&intermediate_size=2048&num_hidden_layers=4&num_attention_heads=16&num_key_value_heads=8"
    "&attn_layer_indices=[1]&mamba_n_heads=32"
)
SMALL_MAMBA2 = "hidden_size=768&num_hidden_layers=24&num_heads=24&n_groups=1&head_dim=64&state_size=128"
HF: dict[str, tuple[str, dict[str, Any]]] = {
    # row of the table: (name, options); lengths and configurations follow from the names and the counts
    "BERT-base": ("bert-base-uncased", {}),
    "DistilBERT": ("distilbert-base-uncased", {}),
    "ALBERT": ("AlbertConfig", {}),
    "GPT2": ("gpt2", {}),
    "FNet": ("fnet-base", {"seq_len": 512}),
    "Swin-T": ("SwinConfig", {}),
    "SwinV2": ("Swinv2Config", {}),
    "CvT-13": (f"CvtConfig?{HEAD}", {}),
    "PVT-tiny": (f"PvtConfig?{HEAD}", {}),
    "PoolFormer": (f"PoolFormerConfig?{HEAD}", {}),
    "SegFormer-B0 512": ("SegformerConfig?head=semantic_segmentation", {"img_size": 512}),
    "MaskFormer 512": ("MaskFormerConfig?head=universal_segmentation", {"img_size": 512}),
    "Mamba-130m len128": ("MambaConfig?head=causal_lm", {}),
    "Mamba2 small len256": (f"Mamba2Config?{SMALL_MAMBA2}&head=causal_lm", {"seq_len": 256, "scans": "unrolled"}),
    "Bamba tiny": (f"BambaConfig?{TINY_BAMBA}&head=causal_lm", {"seq_len": 256, "scans": "unrolled"}),
    "BitNet 2B4T cfg 2 layers": ("BitNetConfig?num_hidden_layers=2&head=causal_lm", {}),
    "DiffLlama 2 layers": ("DiffLlamaConfig?num_hidden_layers=2&head=causal_lm", {}),
    "Gemma3n text 2 layers (MatFormer)": ("Gemma3nTextConfig?num_hidden_layers=2&num_kv_shared_layers=0&head=causal_lm", {"seq_len": 64}),
    "xLSTM 2 blocks": ("xLSTMConfig?num_blocks=2&head=causal_lm", {}),
    "RWKV 2 layers": ("RwkvConfig?num_hidden_layers=2&head=causal_lm", {"seq_len": 64}),
    "AST 128x1024": ("ASTConfig", {}),
    "Wav2Vec2-Conformer 1s": ("Wav2Vec2ConformerConfig", {}),
    "VideoMAE": ("VideoMAEConfig", {}),
    "TimeSformer 8f": ("TimesformerConfig", {}),
    "DINOv2-B": ("Dinov2Config", {}),
}
HF_FEW = ["BERT-base", "GPT2", "FNet", "PVT-tiny", "Mamba-130m len128", "BitNet 2B4T cfg 2 layers"]


@pytest.fixture
def rows(data_dir: Path) -> Any:
    def read(name: str, key: str) -> dict[str, dict[str, str]]:
        path = data_dir / "claims" / name
        if not path.exists():
            pytest.skip(f"{name} is not there")
        return _rows(path, key)

    return read


@cache
def _rows(path: Path, key: str) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return {row[key]: row for row in csv.DictReader(file) if row.get("device", "meta") == "meta" and row["params_M"]}


def load(source: str, **options: Any) -> Graph:
    given = {"batch": 1, "seq_len": None, "dims": {}, "allow_unsupported": False}
    return FRONTEND.load(source, **{**given, **options})


def differences(graph: Graph, row: dict[str, str], macs: str) -> list[str]:
    """What is off: parameters by more than 0.1 %, MACs by more than 1 % (half of the last printed digit allowed)."""
    parameters, expected = graph.parameters / 1e6, float(row["params_M"])
    found = [f"{parameters:.3f} M parameters, counted {expected}"] if abs(parameters - expected) > max(1e-3 * expected, 0.006) else []
    work, counted = graph.macs / 1e9, float(row[macs])
    return found + ([f"{work:.4f} GMACs, counted {counted}"] if abs(work - counted) > 0.01 * counted else [])


def timm_differences(row: dict[str, str]) -> list[str]:
    return differences(load(f"timm:{row['model']}", img_size=int(row["img"])), row, "gmacs_fcm")


@pytest.mark.parametrize("name", TIMM_FEW)
def test_timm(rows: Any, name: str) -> None:
    import_timm()
    assert not timm_differences(rows("timm_counts.csv", "model")[name])


@pytest.mark.slow
def test_all_of_timm(rows: Any) -> None:
    import_timm()
    wrong = {name: found for name, row in rows("timm_counts.csv", "model").items() if (found := timm_differences(row))}
    assert len(wrong) <= 3, wrong


def hf_differences(name: str, row: dict[str, str]) -> list[str]:
    source, options = HF[name]
    return differences(load(f"hf:{source}", **options), row, "gmacs")


@pytest.mark.parametrize("name", HF_FEW)
def test_transformers(rows: Any, name: str) -> None:
    pytest.importorskip("transformers")
    assert not hf_differences(name, rows("hf_counts.csv", "name")[name])


@pytest.mark.slow
def test_all_of_transformers(rows: Any) -> None:
    pytest.importorskip("transformers")
    table = rows("hf_counts.csv", "name")
    assert not set(table) - set(HF)
    assert not {name: found for name, row in table.items() if (found := hf_differences(name, row))}
