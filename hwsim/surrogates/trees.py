"""Boosted regression trees as plain arrays: trained by scikit-learn, answered with numpy.

A tree's nodes stand breadth first, both children of a node side by side, so a node is a feature, a threshold and where its left child is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

LEAF = 255
"""In place of a feature: the node answers with its value. Trees over more features have the greatest number of their type there."""
CHUNK = 2048
"""Rows that are answered at once, so that memory stays small."""


@dataclass(frozen=True)
class Trees:
    """A sum of trees; every row is answered for itself, bit for bit, whatever is asked beside it."""

    feature: np.ndarray
    """Feature that a node asks for, or `LEAF`, shape `(nodes,)`, uint8 (uint16 from 255 features on)."""
    value: np.ndarray
    """Greatest value that goes left, or the answer of a leaf, shape `(nodes,)`, float32."""
    child: np.ndarray
    """Place of the left child after the root of its tree; the right child follows it; shape `(nodes,)`, uint16."""
    root: np.ndarray
    """First node of each tree, shape `(trees,)`, int32."""
    baseline: np.ndarray
    """What the sum starts from, shape `(1,)`, float32."""

    @cached_property
    def _left(self) -> np.ndarray:
        sizes = np.diff([*self.root, len(self.feature)])
        return self.child.astype(np.int64) + np.repeat(self.root.astype(np.int64), sizes)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Answers of shape `(...)`, float64, for features of shape `(..., features)`, which are read as float32."""
        rows = np.asarray(features, dtype=np.float32)
        flat = rows.reshape(-1, rows.shape[-1])
        found = np.empty(len(flat))
        for first in range(0, len(flat), CHUNK):
            found[first : first + CHUNK] = self._answers(flat[first : first + CHUNK])
        return found.reshape(rows.shape[:-1])

    def _answers(self, rows: np.ndarray) -> np.ndarray:
        node = np.broadcast_to(self.root.astype(np.int64), (len(rows), len(self.root)))
        which = np.arange(len(rows))[:, None]
        leaf = np.iinfo(self.feature.dtype).max
        while True:
            feature = self.feature[node]
            inner = feature != leaf
            if not inner.any():
                break
            right = rows[which, np.where(inner, feature, 0)] > self.value[node]
            node = np.where(inner, self._left[node] + right, node)
        total = np.cumsum(self.value[node].astype(np.float64), axis=1)[:, -1]
        return total + float(self.baseline[0])

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Arrays by name, for a store."""
        return {f"{prefix}.{name}": getattr(self, name) for name in NAMES}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> Trees:
        """From what `arrays` gave."""
        return cls(**{name: np.asarray(arrays[f"{prefix}.{name}"]) for name in NAMES})


NAMES = ("feature", "value", "child", "root", "baseline")
"""Arrays of a model."""


def exported(model: Any) -> Trees:
    """The trees of a fitted `HistGradientBoostingRegressor` with numerical features that are float32 numbers and never missing.

    Thresholds are rounded down to float32, which sends every float32 number the way the original does.
    """
    parts = [_breadth_first(tree[0].nodes) for tree in model._predictors]
    sizes = [len(feature) for feature, _, _ in parts]
    feature, value, child = (np.concatenate([part[i] for part in parts]) for i in range(3))
    root = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
    return Trees(feature, value, child, root, np.ravel(model._baseline_prediction).astype(np.float32))


def _breadth_first(nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(feature, value, child) of one tree."""
    order, at = [0], 0
    child = np.zeros(len(nodes), dtype=np.uint16)
    while at < len(order):
        node = nodes[order[at]]
        if not node["is_leaf"]:
            child[at] = len(order)
            order += [int(node["left"]), int(node["right"])]
        at += 1
    chosen = nodes[order]
    leaf = chosen["is_leaf"].astype(bool)
    feature = np.where(leaf, LEAF, chosen["feature_idx"]).astype(np.uint8)
    return feature, np.where(leaf, chosen["value"], _down(chosen["num_threshold"])).astype(np.float32), child


def _down(threshold: np.ndarray) -> np.ndarray:
    """The greatest float32 number that is not above each threshold."""
    near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)


def exported_forest(model: Any) -> Trees:
    """The trees of a fitted `ExtraTreesRegressor` (or another forest of scikit-learn) with one output, whose answers are averaged."""
    count = len(model.estimators_)
    parts = [_forest_tree(one.tree_) for one in model.estimators_]
    sizes = [len(part[0]) for part in parts]
    feature, value, child = (np.concatenate([part[i] for part in parts]) for i in range(3))
    leaf = feature < 0
    kind: Any = np.uint8 if model.n_features_in_ < LEAF else np.uint16
    coded = np.where(leaf, np.iinfo(kind).max, feature).astype(kind)
    numbers = np.where(leaf, value / count, _down(value)).astype(np.float32)
    root = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
    return Trees(coded, numbers, child, root, np.zeros(1, dtype=np.float32))


def _forest_tree(tree: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(feature or a negative number, threshold or value, place of the left child) of one tree, breadth first."""
    order, at = [0], 0
    child = np.zeros(tree.node_count, dtype=np.uint16)
    left, right = tree.children_left.tolist(), tree.children_right.tolist()
    while at < len(order):
        node = order[at]
        if left[node] >= 0:
            child[at] = len(order)
            order += [left[node], right[node]]
        at += 1
    leaf = tree.children_left[order] < 0
    return tree.feature[order], np.where(leaf, tree.value[order, 0, 0], tree.threshold[order]), child
