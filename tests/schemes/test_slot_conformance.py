"""Schemes for networks of parallel-plate antennas against the bound of their problems; none is left out."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cell_free_problems import cell_free
from test_network_schemes import SCHEME_SETS
from test_scheme_conformance import FOR_ONE_STATION

from metamimo.bounds.of_problem import upper_bound
from metamimo.schemes.registry import SCHEMES
from metamimo.surfaces.parallel_plate import ParallelPlateDMA

SHORT = {
    "cell-free-joint": {"first_steps": 10, "max_iterations": 30},
    "network-joint": {"max_iterations": 40},
    "ssca": {"max_iterations": 20},
}
"""A bound holds for designs that are not finished, too."""
SURFACE = ParallelPlateDMA.on_grid(
    4, 2, 7.5e-3, frequencies=np.array([9.98e9, 10.02e9]), height=5e-3, resonance=10.1e9, guide_modes=2
)
CASES = 10 ** np.random.default_rng(8).uniform([-2, -2], [2, 0], (200, 2))
"""Budgets and channels over several decades."""


SEARCHED = 40
"""Problems whose bound is searched for, which is dearer than a short design."""


def over_cases(one, count=200):
    """Return a function's values on random problems, from one program."""

    def of_case(case):
        seed, power, scale = case
        p = cell_free(seed, surface=SURFACE, power=power, kind="port")
        link = dataclasses.replace(p.link, channel=scale * p.link.channel)
        return one(dataclasses.replace(p, link=link), jax.random.key(seed))

    cases = jnp.arange(count), *jnp.asarray(CASES[:count]).T
    return np.asarray(jax.jit(lambda *cases: jax.lax.map(of_case, cases))(*cases))


@pytest.fixture(scope="module")
def bounds():
    cheap = over_cases(lambda p, _: upper_bound(p, "cheap").value)
    return cheap, over_cases(lambda p, _: upper_bound(p, "tight").value, SEARCHED)


@pytest.mark.parametrize("name", SHORT)
def test_no_design_of_200_random_problems_exceeds_its_bound(name, bounds):
    values = over_cases(lambda p, key: SCHEMES.get(name)(p, key=key, **SHORT[name]).value)
    cheap, tight = bounds
    assert (values > 0).all()
    assert (values <= cheap * (1 + 1e-9)).all()
    assert (values[:SEARCHED] <= tight * (1 + 1e-9)).all()
    assert (tight <= cheap[:SEARCHED]).all()


def test_every_scheme_is_examined_on_200_problems():
    assert {*FOR_ONE_STATION, *SCHEME_SETS, *SHORT} == set(SCHEMES)
