"""Costs on a device that is known only from a few measurements, learned from devices that are known well.

A cost is taken as a sum over features (counts of operations, operations by position), so a device is a vector of weights. The known devices
say how such vectors look: each of them, or their mean, times any factor; plus what is common in how they differ; plus a little of anything.
The few measurements choose among these by their evidence, so that a noisy device is smoothed and a precise one is followed.

Source: Bayesian linear regression with a mixture of Gaussian priors; Bishop 2006, Pattern Recognition and Machine Learning, chapter 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np

from hwsim.errors import InputError

LEVEL = 0.9
"""Share of further measurements that a range holds."""
NOISE = (0.003, 0.01, 0.03, 0.06, 0.12, 0.25)
"""Standard deviation of a measurement over the mean of the few, to choose from."""
COMMON = (0.1, 0.3, 1.0)
"""Variance along the directions in which known devices differ, over what was seen, to choose from."""
OWN = (0.03, 0.1, 0.3, 1.0)
"""Variance of each weight by itself, over what was seen, to choose from."""
RIDGE = 1e-3
"""Shrinkage of the weights of known devices, over the mean square of the features."""
FACTOR = 30.0
"""Standard deviation of the factor to a known device."""


@dataclass(frozen=True)
class Shrinkage:
    """How far a new device may be from the known ones."""

    common: float = 0.3
    own: float = 0.3


@dataclass(frozen=True)
class Prediction:
    """Costs of rows, in the unit of the measurements; shape `(rows,)` each."""

    mean: np.ndarray
    low: np.ndarray
    """A further measurement lies between `low` and `high` as often as `LEVEL`, as it did on known devices that were left out."""
    high: np.ndarray


@dataclass(frozen=True)
class Adapted:
    """A new device."""

    scale: float
    """Mean of the measurements."""
    center: np.ndarray
    width: np.ndarray
    """Of the features, shape `(features,)` each."""
    weights: np.ndarray
    """Mean of the weights, shape `(features + 1,)`."""
    covariance: np.ndarray
    """Of the weights, over all priors, shape `(features + 1, features + 1)`."""
    noise: float
    """Variance of a measurement over the square of `scale`."""
    reach: float
    """Standard deviations to either side of a range."""

    def predict(self, features: np.ndarray) -> Prediction:
        """Costs of rows of features, shape `(rows, features)`."""
        mean, variance = self.moments(features)
        half = self.reach * np.sqrt(variance)
        return Prediction(mean, np.maximum(mean - half, 0.0), mean + half)

    def moments(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(mean, variance) of a measurement of each row."""
        x = _design(features, self.center, self.width)
        variance = np.maximum(np.sum((x @ self.covariance) * x, axis=1), 0.0) + self.noise
        return x @ self.weights * self.scale, variance * self.scale**2


@dataclass(frozen=True)
class FewShot:
    """What known devices say about devices."""

    center: np.ndarray
    width: np.ndarray
    known: np.ndarray
    """Weights of each known device over its mean cost, shape `(devices, features + 1)`."""
    shrinkage: Shrinkage = Shrinkage()
    reach: float = 1.645

    @classmethod
    def fit(cls, features: np.ndarray, costs: Sequence[np.ndarray], *, relevance: np.ndarray | float = 1.0) -> FewShot:
        """Learn from `costs` of the rows on each known device, not a number where a row was not measured.

        Args:
            features: shape `(rows, features)`; rows are architectures.
            costs: one array of shape `(rows,)` for each device, in any unit.
            relevance: how much more a feature is expected to matter than another, shape `(features,)`.

        Raises:
            InputError: fewer than three devices, or a device with fewer rows than ten.
        """
        if len(costs) < 3:
            raise InputError(f"found {len(costs)} known devices; expected 3 or more to say how devices differ")
        center, width = features.mean(axis=0), np.where(np.ptp(features, axis=0) > 0, features.std(axis=0), 1.0) / relevance
        x = _design(features, center, width)
        return cls(center, width, np.stack([_weights(x, np.asarray(y, dtype=float)) for y in costs]))

    @cached_property
    def priors(self) -> np.ndarray:
        """Covariance of the weights for each start, shape `(starts, features + 1, features + 1)`.

        Starts are the mean of the known devices, and each of them.
        """
        mean = self.known.mean(axis=0)
        away = self.known - mean
        common = away.T @ away / (len(away) - 1)
        own = np.maximum(np.diag(common), 0.1 * np.mean(np.diag(common)))
        starts = np.concatenate([mean[None], self.known])
        return FACTOR**2 * starts[:, :, None] * starts[:, None] + self.shrinkage.common * common + self.shrinkage.own * np.diag(own)

    def choose(self, features: np.ndarray, *, count: int = 10) -> tuple[int, ...]:
        """Rows that are worth measuring on a new device: each the one that shrinks the variance of all rows most, given those before.

        Args:
            features: of the candidates, shape `(rows, features)`.
            count: rows to choose.

        Raises:
            InputError: fewer candidates than `count`.
        """
        if count > len(features):
            raise InputError(f"found {len(features)} candidates for {count} samples; expected as many or more")
        x = _design(features, self.center, self.width)
        covariance, chosen = self.priors.mean(axis=0), []
        spread = x.T @ x / len(x)
        for _ in range(count):
            seen = x @ covariance
            gain = np.sum((seen @ spread) * seen, axis=1) / (np.sum(seen * x, axis=1) + NOISE[2] ** 2)
            gain[chosen] = -np.inf
            row = int(np.argmax(gain))
            chosen.append(row)
            covariance = covariance - np.outer(seen[row], seen[row]) / (seen[row] @ x[row] + NOISE[2] ** 2)
        return tuple(chosen)

    def adapt(self, features: np.ndarray, costs: np.ndarray) -> Adapted:
        """A new device from a few measurements.

        Args:
            features: shape `(samples, features)`.
            costs: shape `(samples,)`, positive, in the unit that predictions are wanted in.

        Raises:
            InputError: fewer than three samples, shapes that differ, or costs that are not positive numbers.
        """
        y = np.asarray(costs, dtype=float)
        _check(features, y, self.center)
        scale = float(np.mean(y))
        x, y = _design(features, self.center, self.width), y / scale
        cross = self.priors @ x.T
        noise = np.square(NOISE)
        total = (x @ cross)[:, None] + noise[:, None, None] * np.eye(len(y))
        inverse = np.linalg.inv(total)
        evidence = -0.5 * (np.einsum("i,snij,j->sn", y, inverse, y) + np.linalg.slogdet(total)[1])
        share = np.exp(evidence - evidence.max())
        start, level = np.nonzero(share > 1e-4 * share.sum())
        held = share[start, level] / share[start, level].sum()
        gain = cross[start] @ inverse[start, level]
        means = gain @ y
        mean = held @ means
        learned = np.einsum("k,kfi,kgi->fg", held, gain, cross[start], optimize=True)
        apart = (means - mean) * np.sqrt(held)[:, None]
        prior = np.tensordot(np.bincount(start, held, len(self.priors)), self.priors, axes=1)
        return Adapted(scale, self.center, self.width, mean, prior - learned + apart.T @ apart, float(held @ noise[level]), self.reach)


def tuned(
    features: np.ndarray,
    costs: Sequence[np.ndarray],
    *,
    groups: Sequence[str],
    relevance: np.ndarray | float = 1.0,
    ideal: Sequence[np.ndarray] = (),
    samples: int = 10,
    draws: int = 4,
    seed: int = 0,
) -> FewShot:
    """`FewShot.fit` with shrinkage and reach from known devices that are left out, group by group; each is then asked from `samples` rows.

    The rows that judge are the last third, which neither the devices left in nor the samples have.

    Args:
        features: shape `(rows, features)`.
        costs: one array of shape `(rows,)` for each device, not a number where a row was not measured.
        groups: of each device; devices of a group are left out together.
        relevance: of the features, as in `FewShot.fit`.
        ideal: costs on devices that nobody has to measure (one thing alone takes time there), shape `(rows,)` each; never left out.
        samples: measurements of a device that is left out.
        draws: of such samples for each device.
        seed: of the draws.

    Raises:
        InputError: as `FewShot.fit`.
    """
    trials = list(_trials(features, costs, groups=groups, relevance=relevance, ideal=ideal, samples=samples, draws=draws, seed=seed))
    choices = [Shrinkage(*pair) for pair in product(COMMON, OWN)]
    best = min(choices, key=lambda choice: float(np.mean([trial.error(choice) for trial in trials])))
    reach = float(np.quantile(np.concatenate([trial.distances(best) for trial in trials]), LEVEL))
    return replace(FewShot.fit(features, [*costs, *ideal], relevance=relevance), shrinkage=best, reach=reach)


@dataclass(frozen=True)
class _Trial:
    """A known device as if it were new."""

    others: FewShot
    features: np.ndarray
    costs: np.ndarray
    test_features: np.ndarray
    test_costs: np.ndarray

    def error(self, shrinkage: Shrinkage) -> float:
        """Mean distance over mean cost."""
        found, _ = replace(self.others, shrinkage=shrinkage).adapt(self.features, self.costs).moments(self.test_features)
        return float(np.mean(np.abs(found - self.test_costs)) / np.mean(self.test_costs))

    def distances(self, shrinkage: Shrinkage) -> np.ndarray:
        """Distances in standard deviations."""
        mean, variance = replace(self.others, shrinkage=shrinkage).adapt(self.features, self.costs).moments(self.test_features)
        return np.abs(mean - self.test_costs) / np.sqrt(variance)


def _trials(
    features: np.ndarray,
    costs: Sequence[np.ndarray],
    *,
    groups: Sequence[str],
    relevance: np.ndarray | float,
    ideal: Sequence[np.ndarray],
    samples: int,
    draws: int,
    seed: int,
) -> Iterator[_Trial]:
    split = len(features) * 2 // 3
    test = np.arange(split, len(features))[:300]
    draw = np.random.default_rng(seed)
    for group in sorted(set(groups)):
        rest = [y[:split] for y, name in zip(costs, groups, strict=True) if name != group]
        others = FewShot.fit(features[:split], [*rest, *(y[:split] for y in ideal)], relevance=relevance)
        for y in (y for y, name in zip(costs, groups, strict=True) if name == group):
            pool, judged = np.flatnonzero(np.isfinite(y[:split])), test[np.isfinite(y[test])]
            for _ in range(draws):
                chosen = draw.choice(pool, samples, replace=False)
                yield _Trial(others, features[chosen], y[chosen], features[judged], y[judged])


def _design(features: np.ndarray, center: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Features centred and scaled, behind a column of ones."""
    return np.concatenate([np.ones((len(features), 1)), (features - center) / width], axis=1)


def _weights(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    kept = np.isfinite(y)
    if kept.sum() < 10:
        raise InputError(f"a known device has {kept.sum()} measured rows; expected 10 or more")
    seen = x[kept]
    return np.linalg.solve(seen.T @ seen + RIDGE * len(seen) * np.eye(x.shape[1]), seen.T @ (y[kept] / np.mean(y[kept])))


def _check(features: np.ndarray, y: np.ndarray, center: np.ndarray) -> None:
    if features.shape != (len(y), len(center)):
        raise InputError(f"found features of shape {features.shape} for {len(y)} samples; expected {(len(y), len(center))}")
    if len(y) < 3:
        raise InputError(f"found {len(y)} samples; expected 3 or more")
    wrong = ~(np.isfinite(y) & (y > 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"sample {row}: found a cost of {float(y[row])!r}; expected a positive number")
