"""Architectures built without any framework: `resnet50`, `llama3_8b?num_layers=4`, `zoo:vit_b16`."""

from __future__ import annotations

from hwsim.zoo.registry import FRONTEND, Model, info, model, names

__all__ = ["FRONTEND", "Model", "info", "model", "names"]
