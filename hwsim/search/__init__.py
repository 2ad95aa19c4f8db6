"""Search where a grid is too large, or a builder or a training run is in the loop: Optuna, slimming, gradients."""

import sys
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    """The package, which may be called: `hwsim.search("resnet50", "l4", vary=...)` is `hwsim.api.search`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from hwsim.api import search

        return search(*args, **kwargs)


sys.modules[__name__].__class__ = _Verb
