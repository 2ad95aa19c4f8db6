"""Where channels stand: Keras has them last, our convolutions want them first."""

from __future__ import annotations

from hwsim.frontends.keras.network import Network

SPATIAL = ("Conv", "Pooling", "UpSampling", "ZeroPadding", "Cropping", "SpatialDropout", "BatchNormalization", "GroupNormalization")
_STOPS = ("Dense", "LSTM", "GRU", "RNN", "Attention", "Embedding", "Flatten", "Reshape", "Permute", "LayerNormalization", "Bidirectional")


def is_spatial(class_name: str) -> bool:
    """Whether layers of this class slide over space, reduce it, or treat channels alike."""
    return any(part in class_name for part in SPATIAL)


def channels_before_space(network: Network, layer: str, *, rank: int) -> bool:
    """Whether the tensor of `layer` is to have its channels before space: the first layers downstream that slide over space decide.

    Without any, images (rank 4 and more) have, and sequences have not.
    """
    readers: dict[str, list[str]] = {}
    for name, found in network.layers.items():
        for call in found.calls:
            for ref in call.refs:
                readers.setdefault(ref.layer, []).append(name)
    seen, front = {layer}, [layer]
    while front:
        following = [n for name in front for n in readers.get(name, ()) if n not in seen]
        for name in following:
            decision = _decision(network, name)
            if decision is not None:
                return decision
        seen.update(following)
        front = [n for n in following if not any(stop in network.layers[n].class_name for stop in _STOPS)]
    return rank > 3


def _decision(network: Network, name: str) -> bool | None:
    found = network.layers[name]
    class_name, config = found.class_name, found.config
    if found.network is not None:
        inner = found.network
        return channels_before_space(inner, inner.inputs[0].layer, rank=0) or None
    if class_name == "TimeDistributed" or not is_spatial(class_name):
        return None
    if "Normalization" in class_name:
        axis = config.get("axis", -1)
        return (axis[0] if isinstance(axis, list) else axis) != 1
    return config.get("data_format") != "channels_first"
