"""Rules by class name."""

from __future__ import annotations

from hwsim.frontends.keras.context import Rule
from hwsim.frontends.keras.rules import attention, conv, dense, layout, merge, norms, pointwise, pooling, recurrent, wrappers

RULES: dict[str, Rule] = {}
for _module in (attention, conv, dense, layout, merge, norms, pointwise, pooling, recurrent, wrappers):
    for _name, _rule in _module.RULES.items():
        if _name in RULES:
            raise ValueError(f"two rules for the Keras layer {_name!r}; remove one")
        RULES[_name] = _rule

__all__ = ["RULES"]
