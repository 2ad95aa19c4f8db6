"""Many design points: axes, spaces of points, and their costs."""

import sys
from types import ModuleType
from typing import Any

from hwsim.sweep.evaluate import CHUNK_POINTS, Points, evaluate

__all__ = ["CHUNK_POINTS", "Points", "evaluate"]


class _Verb(ModuleType):
    """The package, which may be called: `hwsim.sweep("resnet50", "l4", vary=...)` is `hwsim.api.sweep`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from hwsim.api import sweep

        return sweep(*args, **kwargs)


sys.modules[__name__].__class__ = _Verb
