"""Discrete phases: every reading stays on the levels and keeps its place in the order."""

import equinox as eqx
import jax
import numpy as np
import pytest
from schemes_problems import problem

from metamimo.bounds.of_problem import upper_bound
from metamimo.errors import ConfigError
from metamimo.metrics.consumed import fixed_power
from metamimo.precoders.dirty_paper import DirtyPaperCoding
from metamimo.precoders.linear import LinearPrecoding
from metamimo.problem import Status
from metamimo.schemes.common import starting_state
from metamimo.schemes.joint import Joint, maximise, packed, unit_noise_channel
from metamimo.schemes.quantised import quantise

KEY = jax.random.key(13)


def digital_of(p, kind=LinearPrecoding):
    return kind(fixed_power(p), p.broadcast_limit("test"))


@eqx.filter_jit
def continuous(p, key):
    """Return the design with continuous phases and its value."""
    digital, state = digital_of(p), starting_state(p, key, None)
    found = maximise(p.link, digital, state, digital.begin(unit_noise_channel(p.link, state)), Joint.of())
    return found, packed(p, digital, found).value


def discrete(p, found, bits, reading):
    return quantise(p, digital_of(p), found.state, found.variable, bits=bits, reading=reading, status=found.status)


solved = eqx.filter_jit(discrete)
bound = jax.jit(upper_bound)


@pytest.fixture(scope="module")
def designs():
    """Return (problem, continuous design, its value, its solutions by reading) of a few draws with one bit."""
    out = []
    for seed in range(3):
        p = problem(seed)
        found, value = continuous(p, jax.random.fold_in(KEY, seed))
        readings = {r: solved(p, found, 1, r) for r in ("rounded", "reoptimised", "discrete")}
        out.append((p, found, float(value), readings))
    return out


def test_every_reading_is_on_the_levels_and_within_the_limit(designs):
    for p, _, _, readings in designs:
        for solution in readings.values():
            state = np.asarray(solution.design.state[0][0])
            np.testing.assert_allclose(state, np.sign(state.real), atol=1e-12)
            assert float(solution.ledger.accepted[0]) <= float(p.limits[0].power[0]) * (1 + 1e-9)
            assert int(solution.status) == Status.CONVERGED


def test_rounding_loses_most_and_discrete_variables_least(designs):
    for p, _, whole, readings in designs:
        values = {name: float(solution.value) for name, solution in readings.items()}
        assert values["rounded"] <= values["reoptimised"] * (1 + 1e-9)
        assert values["reoptimised"] <= values["discrete"] * (1 + 1e-9)
        assert values["discrete"] <= float(bound(p).value)
        assert values["rounded"] < whole


def test_twelve_bits_change_nothing_that_counts():
    """Acceptance check 15."""
    p = problem(4)
    found, whole = continuous(p, KEY)
    for reading in ("rounded", "reoptimised"):
        value = solved(p, found, 12, reading).value
        assert float(value / whole) == pytest.approx(1, abs=1e-3)


def test_dirty_paper_coding_is_re_optimised_too(designs):
    p, found, _, readings = designs[0]
    dpc = digital_of(p, DirtyPaperCoding)
    value = jax.jit(
        lambda p, s: quantise(p, dpc, s, dpc.begin(unit_noise_channel(p.link, s)), bits=1, reading="reoptimised").value
    )(p, found.state)
    assert float(value) >= float(readings["reoptimised"].value) * (1 - 1e-9)


def test_bad_input_is_refused(designs):
    p, found, *_ = designs[0]
    with pytest.raises(ConfigError, match="bits: a phase needs at least 1 bit, got 0"):
        quantise(p, digital_of(p), found.state, found.variable, bits=0)
    with pytest.raises(ConfigError, match="reading: 'rounded' keeps the precoder"):
        quantise(p, digital_of(p, DirtyPaperCoding), found.state, found.variable, bits=1, reading="rounded")
