"""Tabular surrogates as scikit-learn estimators; needs scikit-learn.

`ResidualRegressor` learns how far a closed form is off: one column of the features holds it, and the model is a shrunken linear correction
of its logarithm. Without that column it is a plain shrunken linear model. Both say a range, and how far a row lies from the training rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from hwsim.surrogates.ridge import Ridge, fit, judged

FEWEST = 2
"""Rows that a model needs."""


class ResidualRegressor(RegressorMixin, BaseEstimator):
    """Shrunken linear model of log(y / closed form), or of y, with split-conformal ranges and an in-domain score.

    Args:
        closed_form: column of `X` with a prediction to start from, positive; None: there is none, and `y` itself is learned.
        offset: added to both sides of the ratio; 1 for counts, where zero is a number like others.
        penalty: of the squares of standardised weights; None: the strongest whose error on groups left out is within one standard error of
            the least. Infinity learns one factor.
        level: share of further rows that a range holds.

    Attributes:
        model_: the linear model (`hwsim.surrogates.ridge.Ridge`).
        reach_: half width of a range in units of what is learned; not a number where rows are too few to say (nine for 90 %).
        n_features_in_: columns of `X`.

    >>> import numpy as np
    >>> size = np.arange(1.0, 41.0)[:, None]
    >>> model = ResidualRegressor(closed_form=0).fit(size, 1.25 * size[:, 0])
    >>> [round(float(part[0]), 2) for part in model.predict_interval(np.array([[10.0]]))]
    [12.5, 12.5, 12.5]
    """

    def __init__(self, *, closed_form: int | None = None, offset: float = 0.0, penalty: float | None = None, level: float = 0.9) -> None:
        self.closed_form = closed_form
        self.offset = offset
        self.penalty = penalty
        self.level = level

    def fit(self, X: Any, y: Any, groups: Any = None) -> ResidualRegressor:
        """Learn from rows.

        Args:
            X: features, shape `(rows, features)`.
            y: measured, shape `(rows,)`.
            groups: rows that stay together when penalty and range are judged (an architecture); by default each row on its own.

        Raises:
            ValueError: values that cannot be learned from.
        """
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float64, ensure_min_samples=FEWEST)
        base = self._base(X)
        if self.closed_form is not None and np.any(y + self.offset <= 0):
            raise ValueError(f"y + offset must be above 0 to be a factor to the closed form; found {float(np.min(y + self.offset)):g}")
        labels = y if base is None else np.log((y + self.offset) / (base + self.offset))
        seen = self._seen(X, base)
        names = None if groups is None else np.asarray(groups)
        self.model_: Ridge = fit(seen, labels, groups=names, penalty=self.penalty)
        self.reach_ = self._reach(labels, judged(seen, labels, groups=names, penalty=self.penalty).found)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Values of rows, shape `(rows,)`; each row's own, whatever is asked beside it."""
        X, base = self._asked(X)
        return self._value(self.model_(self._seen(X, base)), base)

    def predict_interval(self, X: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(value, least, greatest) of rows, shape `(rows,)` each; the ends are not a number where training had too few rows."""
        X, base = self._asked(X)
        label = self.model_(self._seen(X, base))
        low, value, high = (self._value(label + shift, base) for shift in (-self.reach_, 0.0, self.reach_))
        return value, low, high

    def in_domain(self, X: Any) -> np.ndarray:
        """How far rows lie from the training rows, shape `(rows,)`: 1 among them, 0.5 at their edge, towards 0 far away."""
        X, base = self._asked(X)
        return self.model_.inside(self._seen(X, base))

    def _asked(self, X: Any) -> tuple[np.ndarray, np.ndarray | None]:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return X, self._base(X)

    def _base(self, X: np.ndarray) -> np.ndarray | None:
        if self.closed_form is None:
            return None
        base = X[:, self.closed_form]
        if np.any(base + self.offset <= 0):
            least = float(np.min(base + self.offset))
            raise ValueError(f"column {self.closed_form} of X holds the closed form and must be above 0; found {least:g}")
        return base

    def _seen(self, X: np.ndarray, base: np.ndarray | None) -> np.ndarray:
        """Features, the closed form as its logarithm."""
        if base is None:
            return X
        seen = X.copy()
        seen[:, self.closed_form] = np.log(base + self.offset)
        return seen

    def _value(self, label: np.ndarray, base: np.ndarray | None) -> np.ndarray:
        return label if base is None else (base + self.offset) * np.exp(label) - self.offset

    def _reach(self, labels: np.ndarray, found: np.ndarray) -> float:
        error = np.sort(np.abs(labels - found)[np.isfinite(found)])
        rank = int(np.ceil((len(error) + 1) * self.level - 1e-9))
        return float(error[rank - 1]) if 0 < rank <= len(error) else float("nan")
