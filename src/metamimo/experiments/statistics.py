"""Statistics of Monte Carlo curves. Arrays hold one value a realisation; nan marks one that does not count."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from metamimo.errors import MetamimoError

RESAMPLES = 2000
_BOOTSTRAP_SEED = 20240901


class TooFewTrials(MetamimoError, ValueError):
    """Fewer than two realisations count, so there is no standard error."""


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error, its interval, and the count of realisations behind it."""

    n: int
    mean: float
    stderr: float
    low: float
    high: float


def mean_estimate(values: ArrayLike, level: float = 0.95) -> Estimate:
    """Return mean, standard error and Student interval over the realisations that count.

    Args:
        values: One value a realisation, shape (trial,); nan is left out.
        level: Probability content of the interval.

    Raises:
        TooFewTrials: Fewer than two realisations count.

    >>> e = mean_estimate([1.0, 2.0, 3.0, float("nan")])
    >>> e.n, e.mean, round(e.stderr, 4)
    (3, 2.0, 0.5774)
    """
    from scipy.special import stdtrit

    kept = np.asarray(values, dtype=float)
    kept = kept[np.isfinite(kept)]
    if kept.size < 2:
        raise TooFewTrials(f"{kept.size} realisation(s) count here, a standard error needs at least 2")
    mean = float(kept.mean())
    stderr = float(kept.std(ddof=1) / np.sqrt(kept.size))
    half = float(stdtrit(kept.size - 1, 0.5 + level / 2)) * stderr
    return Estimate(int(kept.size), mean, stderr, mean - half, mean + half)


def paired_difference(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Estimate:
    """Return the mean of a - b over the realisations that count in both, with standard error and interval.

    Equal realisations share their channel, so the pair's difference varies much less than either value.

    Raises:
        TooFewTrials: Fewer than two realisations count in both.

    >>> paired_difference([2.0, 3.0, 4.5], [1.0, 2.0, 3.0]).n
    3
    """
    return mean_estimate(np.asarray(a, dtype=float) - np.asarray(b, dtype=float), level)


def ordering(a: ArrayLike, b: ArrayLike) -> Literal["above", "below", "unresolved"]:
    """Say how a lies to b; asserted only beyond 2 standard errors of the paired difference.

    >>> ordering([2.0, 3.0, 4.5], [1.0, 2.0, 3.0]), ordering([1.0, 2.0], [2.0, 1.0])
    ('above', 'unresolved')
    """
    difference = paired_difference(a, b)
    if difference.mean > 2 * difference.stderr:
        return "above"
    if difference.mean < -2 * difference.stderr:
        return "below"
    return "unresolved"


def ratio_of_means(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Estimate:
    """Return mean(a)/mean(b) over common realisations, with the interval of a paired bootstrap.

    The bootstrap redraws realisations 2000 times with a fixed seed, so the answer is a function of the data alone.

    Raises:
        TooFewTrials: Fewer than two realisations count in both.

    >>> round(ratio_of_means([2.0, 4.0, 6.0], [1.0, 2.0, 3.0]).mean, 3)
    2.0
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    common = np.isfinite(a) & np.isfinite(b)
    a, b = a[common], b[common]
    if a.size < 2:
        raise TooFewTrials(f"{a.size} realisation(s) count in both, an interval needs at least 2")
    draws = np.random.default_rng(_BOOTSTRAP_SEED).integers(a.size, size=(RESAMPLES, a.size))
    ratios = a[draws].mean(axis=1) / b[draws].mean(axis=1)
    low, high = np.quantile(ratios, [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(int(a.size), float(a.mean() / b.mean()), float(ratios.std(ddof=1)), float(low), float(high))


def cdf(values: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the empirical distribution: sorted finite values, and the share that is at most each of them.

    >>> cdf([3.0, 1.0, float("nan")])
    (array([1., 3.]), array([0.5, 1. ]))
    """
    kept = np.asarray(values, dtype=float).ravel()
    kept = np.sort(kept[np.isfinite(kept)])
    if kept.size == 0:
        raise TooFewTrials("no realisation counts here, so there is no distribution")
    return kept, np.arange(1, kept.size + 1) / kept.size


def outage(values: ArrayLike, threshold: float) -> Estimate:
    """Return the share of values below a threshold, with its standard error over realisations.

    Args:
        values: Shape (trial,) or (trial, user); a realisation with a nan does not count. Users of one realisation are
            averaged first, because they share a channel draw and are not independent.
        threshold: In the unit of the values.
    """
    values = np.asarray(values, dtype=float)
    share = np.where(np.isfinite(values), values < threshold, np.nan)
    return mean_estimate(share.reshape(len(values), -1).mean(axis=1))


def jain_index(rates: ArrayLike) -> np.ndarray:
    """Return Jain's fairness (sum r)^2 / (K sum r^2) of each realisation, between 1/K and 1.

    Args:
        rates: Shape (trial, user). All-zero rates have no fairness and give nan, like realisations that do not count.

    >>> jain_index([[1.0, 1.0], [1.0, 0.0]])
    array([1. , 0.5])
    """
    rates = np.asarray(rates, dtype=float)
    squares = rates.shape[-1] * np.sum(rates**2, axis=-1)
    return np.divide(np.sum(rates, axis=-1) ** 2, squares, out=np.full(rates.shape[:-1], np.nan), where=squares > 0)
