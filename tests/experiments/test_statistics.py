"""Statistics against hand-computed numbers and SciPy."""

import math

import numpy as np
import pytest
import scipy.stats

from metamimo.experiments.statistics import (
    TooFewTrials,
    cdf,
    jain_index,
    mean_estimate,
    ordering,
    outage,
    paired_difference,
    ratio_of_means,
)

NAN = float("nan")
A = np.array([2.0, 4.0, 7.0, NAN, 3.0])
B = np.array([1.0, 2.0, 3.0, 5.0, NAN])


def test_mean_by_hand():
    found = mean_estimate([1.0, 2.0, 3.0, 6.0])
    assert (found.n, found.mean) == (4, 3.0)
    # Squared deviations 4, 1, 0, 9: variance 14/3, standard error sqrt(14/3/4).
    assert found.stderr == pytest.approx(math.sqrt(14 / 12), rel=1e-14)


def test_mean_against_scipy():
    values = np.random.default_rng(1).normal(size=30)
    found = mean_estimate(values, level=0.9)
    assert found.stderr == pytest.approx(scipy.stats.sem(values), rel=1e-12)
    low, high = scipy.stats.t.interval(0.9, 29, values.mean(), scipy.stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)


def test_paired_difference_uses_common_realisations_only():
    found = paired_difference(A, B)
    # Differences 1, 2, 4: mean 7/3, variance 7/3, standard error sqrt(7)/3.
    assert found.n == 3
    assert found.mean == pytest.approx(7 / 3)
    assert found.stderr == pytest.approx(math.sqrt(7) / 3)
    test = scipy.stats.ttest_rel(A[:3], B[:3])
    assert found.mean / found.stderr == pytest.approx(test.statistic)
    interval = test.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_pairing_sees_what_means_hide():
    common = np.random.default_rng(2).normal(scale=10.0, size=50)
    a = common + 0.1 + 0.01 * np.random.default_rng(3).normal(size=50)
    assert mean_estimate(a).stderr > 1.0
    assert ordering(a, common) == "above"
    assert ordering(common, a) == "below"


@pytest.mark.parametrize(
    ("shift", "expected"), [(2.1, "above"), (1.9, "unresolved"), (-1.9, "unresolved"), (-2.1, "below")]
)
def test_ordering_asserts_beyond_two_standard_errors(shift, expected):
    noise = np.array([-1.0, 1.0, -1.0, 1.0])
    stderr = noise.std(ddof=1) / 2
    assert ordering(noise + shift * stderr, np.zeros(4)) == expected


def test_ratio_of_means():
    found = ratio_of_means(A, B)
    assert found.n == 3
    assert found.mean == pytest.approx(13 / 6)
    assert found == ratio_of_means(A, B), "the bootstrap has a fixed seed"
    draws = np.random.default_rng(5).normal(10.0, 1.0, size=(2, 400))
    wide = ratio_of_means(*draws)
    assert wide.low < 1.0 < wide.high
    # Delta method for independent values: sqrt(2) * 0.1 / sqrt(400).
    assert wide.stderr == pytest.approx(math.sqrt(2) * 0.1 / 20, rel=0.15)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, NAN], [NAN, NAN]])
def test_one_realisation_has_no_standard_error(values):
    with pytest.raises(TooFewTrials):
        mean_estimate(values)
    with pytest.raises(TooFewTrials):
        ratio_of_means(values, values)


def test_cdf_and_outage():
    values, share = cdf([3.0, 1.0, NAN, 2.0, 2.0])
    assert values.tolist() == [1.0, 2.0, 2.0, 3.0]
    assert share.tolist() == [0.25, 0.5, 0.75, 1.0]
    with pytest.raises(TooFewTrials):
        cdf([NAN])
    found = outage([[0.5, 2.0], [0.5, 0.5], [NAN, NAN]], threshold=1.0)
    assert (found.n, found.mean) == (2, 0.75)


def test_jain_index():
    found = jain_index([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [NAN, 1.0, 1.0], [1.0, 2.0, 3.0]])
    assert found[[0, 1, 4]] == pytest.approx([1.0, 1 / 3, 36 / (3 * 14)])
    assert np.isnan(found[[2, 3]]).all()
