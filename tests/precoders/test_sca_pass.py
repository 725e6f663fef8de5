"""The quadratic transform behind a pass of the successive convex approximation."""

import numpy as np
import pytest

from metamimo.precoders.sca_pass import Point, Task

USERS, PORTS = 3, 4


def gaussian(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((USERS, PORTS)) + 1j * rng.standard_normal((USERS, PORTS))


def g(y: float, point: Point) -> float:
    """Eq. (17), 2 y sqrt(R) - y^2 P."""
    return 2 * y * np.sqrt(point.rate) - y**2 * point.consumed


def test_transform_touches_the_energy_efficiency_and_is_a_bound() -> None:
    """At y = sqrt(R) / P, eq. (19), it is the energy efficiency; what a pass maximises is g at the last point's y."""
    rng = np.random.default_rng(0)
    limits = {"sum_limit": 1.0, "port_limits": np.full(PORTS, 0.5), "least_rate": np.zeros(USERS)}
    power = {"fixed": 0.5, "per_chain": 0.14, "indicator": None, "epsilon": 1e-5}
    task = Task(10 * gaussian(rng), objective="energy_efficiency", **limits, **power)
    points = [task.measure(task.within_limits(10 ** rng.uniform(-2, 0) * gaussian(rng))) for _ in range(10)]
    for before in points:
        best = np.sqrt(before.rate) / before.consumed
        assert g(best, before) == pytest.approx(before.value, rel=1e-12)
        assert all(g(best * factor, before) <= before.value for factor in rng.uniform(0, 3, 100))
        for after in points:
            assert before.value * (1 + task.gain(before, after)) == pytest.approx(g(best, after), rel=1e-12)
