"""Recurrent layers, attention, and products of two tensors."""

from __future__ import annotations

from math import prod

from hwsim.graph import Node
from hwsim.targets.fpga.composed import COMPOSED, dot, einsum_dense
from hwsim.targets.fpga.draft import Draft
from hwsim.targets.fpga.translate import NotPossibleError, Translator, Value, formats, rule, stored

CELLS = {"lstm": ("LSTM", 4), "gru": ("GRU", 3), "rnn": ("SimpleRNN", 1)}
_ROLES = ("weight", "recurrent_weight", "bias", "recurrent_bias")


@rule("recurrent")
def recurrent(t: Translator, node: Node) -> None:
    """LSTM, GRU, SimpleRNN; both directions at once as Bidirectional."""
    cell, gates = CELLS[node.attrs["cell"]]
    stored(t, node)
    weights: dict[str, str] = dict(zip(_ROLES, node.inputs[1:], strict=False))
    both = node.attrs["directions"] == 2
    steps, features = t.shape(node.inputs[0])
    last = _last_step(t, node)
    units = t.shape(node.outputs[0])[-1]
    known = formats(t, weights)
    t.add(
        node,
        "Bidirectional" if both else cell,
        [t.plain(node.inputs[0])],
        shape=(units,) if last else (steps, units),
        n_in=features,
        n_out=gates * units,
        operation=cell.lower(),
        return_sequences=not last,
        weights=weights,
        quantised={f"{d}_{v}": f for d in ("forward", "backward") for v, f in known.items()} if both else known,
    )


def _last_step(t: Translator, node: Node) -> bool:
    """Whether all readers take one step of the sequence."""
    readers = t.graph.consumers.get(node.outputs[0], ())
    takes = [r.kind in ("slice", "gather") and prod(t.shape(r.outputs[0])) == t.shape(node.outputs[0])[-1] for r in readers]
    return bool(takes) and all(takes) and node.outputs[0] not in t.graph.outputs


def take_step(t: Translator, node: Node) -> bool:
    """One step of a recurrent layer: the layer gives out only that one, if all its readers want it."""
    value = t.laid_out(node.inputs[0])
    maker = t.design.maker(value.tensor)
    if maker.kind not in ("LSTM", "GRU", "SimpleRNN", "Bidirectional") or maker.return_sequences:
        return False
    t.rename(node, Value(value.tensor, tuple(range(len(t.shape(node.outputs[0]))))))
    return True


@rule("matmul")
def matmul(t: Translator, node: Node) -> None:
    """A Dense where the second operand is stored, else an Einsum (experimental in hls4ml)."""
    a, b = node.inputs
    if not t.is_data(a):
        raise NotPossibleError("its first operand is stored; hls4ml takes a stored second one")
    if t.source_class(node) in COMPOSED:
        return dot(t, node) if t.is_data(b) else einsum_dense(t, node)
    if not t.is_data(b):
        return _dense(t, node, a, b)
    inner = t.shape(a)[-2 if node.attrs["transpose_a"] else -1]
    columns = t.shape(node.outputs[0])[-1]
    t.add(node, "Einsum", [t.plain(a), t.plain(b)], n_in=inner, n_out=columns, operation="einsum")
    return None


def _dense(t: Translator, node: Node, a: str, b: str) -> None:
    table = t.graph.tensors[b].shape
    if len(table) != 2 or node.attrs["transpose_a"]:
        raise NotPossibleError(f"a stored operand of shape {table}; hls4ml takes a matrix")
    n_in, n_out = reversed(table) if node.attrs["transpose_b"] else table
    weights: dict[str, str] = {"weight": b}
    t.add(node, "Dense", [t.plain(a)], n_in=n_in, n_out=n_out, use_bias=False, weights=weights, quantised=formats(t, weights))


@rule("attention")
def attention(t: Translator, node: Node) -> None:
    """softmax(q k) v as two Einsum and a Softmax (experimental in hls4ml)."""
    if node.attrs["kv_len"] or node.attrs["cached"] or len(node.inputs) > 3 or node.attrs["window"] is not None or node.attrs["causal"]:
        raise NotPossibleError("masked, windowed or with a cache; hls4ml's attention has neither")
    q, k, v = (t.plain(i) for i in node.inputs)
    (heads, length, size), (_, keys, _), out = (t.shape(x) for x in (*node.inputs[:2], node.outputs[0]))
    scores, count = (heads, length, keys), heads * length * keys
    names = [f"{node.name}_{part}" for part in ("QK", "softmax", "aV")]
    for draft in (
        Draft(names[0], "Einsum", [k.tensor, q.tensor], scores, n_in=size, n_out=keys, operation="einsum"),
        Draft(names[1], "Softmax", [names[0]], scores, n_in=count, n_out=count, operation="softmax"),
        Draft(names[2], "Einsum", [names[1], v.tensor], out, n_in=keys, n_out=out[-1], operation="einsum"),
    ):
        draft.nodes, draft.path, draft.in_shape = (node.name,), node.path, t.design.shape_of(draft.inputs[0])
        t.design.add(draft)
    t.values[node.outputs[0]] = Value(names[2], tuple(range(len(out))))
