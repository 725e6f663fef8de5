"""The scheme `ssca`: what it promises, what it reaches where the optimum is known, and what it refuses."""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cell_free_problems import CoupledElements, cell_free
from network_problems import network

from metamimo.channels.csi import FreshEstimates, Posterior, mean_square
from metamimo.errors import ConfigError
from metamimo.metrics.evaluate import evaluate
from metamimo.metrics.power import power_matrices, station_power
from metamimo.problem import Design, Limit, Status
from metamimo.schemes.design import design
from metamimo.schemes.multistart import best_of_starts
from metamimo.schemes.stochastic_sca import ssca
from metamimo.surfaces.digital import FullyDigital

KEY = jax.random.key(5)


@functools.cache
def compiled(**options):
    return jax.jit(lambda p, key: ssca(p, key=key, **options))


def solve(p, key=KEY, **options):
    return compiled(**{"max_iterations": 60} | options)(p, key)


OWN = {"tune_states": False, "first_precoder": "own"}


@pytest.mark.parametrize(
    ("kind", "options"),
    [("accepted", {}), ("accepted", OWN), ("radiated", {}), ("radiated", {"surrogate": "best"})],
    ids=str,
)
def test_design_is_feasible_scored_right_and_its_history_never_falls(kind, options):
    p = cell_free(3, kind=kind, power=10.0)
    solution = solve(p, **options)
    used = station_power(p.link, power_matrices(p.link, solution.design.state, kind), solution.design.precoder)
    assert (np.asarray(used) <= np.asarray(p.limits[0].power) * (1 + 1e-9)).all()
    assert (np.asarray(used) >= 0.9 * np.asarray(p.limits[0].power)).all()
    assert p.link.surfaces[0].feasible.contains(solution.design.state[0], 1e-12)
    assert float(solution.value) == pytest.approx(float(evaluate(p, solution.design).sum_rate), rel=1e-12)
    history = np.asarray(solution.history)
    assert (np.diff(history) >= 0).all()
    assert history[-1] > history[0]
    assert float(solution.value) == pytest.approx(history[-1], rel=1e-9)
    assert int(solution.status) in (Status.CONVERGED, Status.ITERATION_LIMIT)
    assert int(solution.trials) > int(solution.iterations)


def test_precoders_alone_ascend_without_a_safeguard():
    """Check 13: full steps of the separable minorant never lower the rate, whatever the start."""
    p = cell_free(1, power=3.0)
    solution = solve(
        p, first_precoder="own", tune_states=False, safeguard=False, tracking=0.0, stepping=0.0, tolerance=0.0
    )
    history = np.asarray(solution.history)
    assert (np.diff(history) >= -1e-13 * history[1:]).all()
    assert history[-1] > 1.05 * history[0]
    used = station_power(p.link, power_matrices(p.link, solution.design.state, "accepted"), solution.design.precoder)
    assert (np.asarray(used) <= np.asarray(p.limits[0].power) * (1 + 1e-14)).all()


@functools.cache
def from_start(surrogate):
    options = {"tune_states": False, "safeguard": False, "tracking": 0.0, "stepping": 0.0, "tolerance": 0.0}
    return jax.jit(lambda p, start: ssca(p, key=KEY, start=start, surrogate=surrogate, max_iterations=300, **options))


@pytest.mark.parametrize(("surrogate", "power"), [("linear", 1.0), ("linear", 1e4), ("structured", 1.0)])
def test_one_user_gets_the_matched_filter(surrogate, power):
    """Check 15."""
    p = cell_free(7, stations=1, users=1, freq=1, power=power)
    state = jnp.full(5, 0.7)
    rows = np.asarray(p.link.channel[0, 0, 0] @ p.link.surfaces[0].response(state)[0])[0]
    start = Design((state[None],), jax.random.normal(KEY, (1, 1, 1, 2, 1), dtype=complex))
    solution = from_start(surrogate)(p, start)
    gain = np.linalg.norm(rows) ** 2
    assert float(solution.value) == pytest.approx(np.log2(1 + power * gain), rel=1e-6)
    w = np.asarray(solution.design.precoder)[0, 0, 0, :, 0]
    assert abs(rows @ w) ** 2 == pytest.approx(power * gain, rel=1e-6)


def test_samples_without_error_give_the_run_on_the_channel_itself():
    """Check 20: to the last bit for two kinds of samples; the run without samples is another program."""
    p = cell_free(2)
    fresh = dataclasses.replace(p, csi=FreshEstimates(p.link.channel, jnp.zeros(())))
    sure = dataclasses.replace(p, csi=Posterior(p.link.channel, mean_square(p.link.channel), jnp.zeros(())))
    plain = solve(p, safeguard=False)
    for other in (solve(fresh), solve(sure)):
        np.testing.assert_allclose(other.history, plain.history, rtol=1e-12)
    np.testing.assert_array_equal(solve(fresh).history, solve(sure).history)


def test_fresh_estimates_average_the_error_away():
    """The design from many estimates beats the one from a single estimate, on the true channel."""
    gains = []
    for seed in range(4):
        p = cell_free(seed, power=100.0)
        sampler = FreshEstimates(p.link.channel, jnp.asarray(0.1))
        link = dataclasses.replace(p.link, channel=sampler.sample(jax.random.key(100 + seed)))
        robust = solve(dataclasses.replace(p, csi=sampler))
        naive = solve(dataclasses.replace(p, link=link))
        gains.append(float(evaluate(p, robust.design).sum_rate / evaluate(p, naive.design).sum_rate))
    assert np.mean(gains) > 1.1


def test_dead_users_dead_networks_zero_power_and_too_many_users_give_no_nan():
    p = cell_free(3, users=5, stations=1)
    dead = p.link.channel.at[:, :, 1].set(0)
    for channel, power in ((dead, 1.0), (0 * dead, 1.0), (p.link.channel, 0.0), (p.link.channel, 1.0)):
        link = dataclasses.replace(p.link, channel=channel)
        q = dataclasses.replace(p, link=link, limits=(Limit(jnp.asarray([power])),))
        solution = solve(q)
        assert np.isfinite(np.asarray(solution.design.precoder)).all()
        assert np.isfinite(np.asarray(solution.design.state[0])).all()
        assert np.isfinite(np.asarray(solution.history)).all()
        assert (float(solution.value) > 0) == bool(power * abs(channel).max() > 0)
        assert power > 0 or not np.asarray(solution.design.precoder).any()


def test_channels_that_are_not_finite_are_refused_or_named():
    p = cell_free(3, users=5, stations=1)
    broken = dataclasses.replace(p, link=dataclasses.replace(p.link, channel=p.link.channel.at[0, 0, 0].set(jnp.nan)))
    with pytest.raises(ConfigError, match="channel: must be finite"):
        ssca(broken, key=KEY)
    assert int(solve(broken).status) == Status.NOT_FINITE


def test_arrays_without_states_and_several_starts():
    p = cell_free(6, surface=FullyDigital.build(np.eye(4)), power=10.0)
    solution = jax.jit(lambda p: best_of_starts(ssca, p, key=KEY, starts=2, max_iterations=20))(p)
    assert float(solution.value) > 5
    assert solution.start_values.shape == (2,)


def test_the_verb_takes_the_scheme():
    assert float(design(cell_free(1), "ssca", key=KEY, max_iterations=60).value) > 0


def test_unknown_or_unfit_requests_are_refused_by_name():
    p = cell_free(0)
    sampled = dataclasses.replace(p, csi=FreshEstimates(p.link.channel, jnp.asarray(0.1)))

    class Whole(eqx.Module):
        """A sampler that cannot be split."""

        everything: jax.Array

        def sample(self, key):
            return self.everything[None, None].transpose(2, 0, 1, 3, 4)[..., None, :, 0, :] * jnp.ones((2, 2, 2, 1, 5))

    whole = dataclasses.replace(p, csi=Whole(jnp.ones((1, 1, 1))))
    cases = [
        (
            network(0, CoupledElements.build(1), joint=True, rx=2),
            {},
            "channel: ssca serves users with one antenna, got 2",
        ),
        (network(0, CoupledElements.build(1), joint=True, rx=1), {}, "limits: ssca takes one limit of every station"),
        (network(0, rx=1), {}, "feasible: ssca tunes real states .* got OnOff"),
        (dataclasses.replace(p, objective="energy_efficiency"), {}, "objective: ssca maximises"),
        (p, {"surrogate": "cubic"}, "surrogate: must be one of structured, linear, best, got 'cubic'"),
        (p, {"coordinate": "x"}, "coordinate: must be one of phase, F, got 'x'"),
        (p, {"first_precoder": "zf"}, "first_precoder: must be one of joint, own, got 'zf'"),
        (p, {"max_iterations": 0}, "max_iterations: must be at least 1, got 0"),
        (sampled, {"surrogate": "best"}, "surrogate: ssca can compare steps for a constant channel only"),
        (whole, {}, "csi: a station's sampler must give one station's channel, got 2"),
    ]
    for problem, options, message in cases:
        with pytest.raises(ConfigError, match=message):
            ssca(problem, key=KEY, **options)
