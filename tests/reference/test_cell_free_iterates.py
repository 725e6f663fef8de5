"""`ssca` walks where plain NumPy walks, one station and subcarrier at a time: two programs that share no code."""

import dataclasses
import importlib
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metamimo.channels.csi import FreshEstimates
from metamimo.papers.dma_cell_free import simulate
from metamimo.papers.dma_cell_free.scenario import CellFreeDma
from metamimo.problem import Design
from metamimo.randomness import purpose_key, trial_key
from metamimo.schemes.cell_free_network import CellFreeNetwork
from metamimo.schemes.stochastic_sca import ssca

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
reference = importlib.import_module("numpy_cell_free")

SIZES = {"n_stations": 2, "n_users": 3, "n_subcarriers": 2, "n_slots": 9, "n_feeds": 2, "taps": 2, "guide_modes": 3}
ITERATIONS, STEP = 40, 0.3
KEY = jax.random.key(4)


@pytest.fixture(scope="module")
def truth():
    """A small scene at 15 dBm with unequal budgets."""
    scenario = CellFreeDma().replace(**SIZES)
    antenna = simulate.antenna_of(scenario)
    sizes = simulate.Sizes(scenario.n_users, scenario.taps, scenario.fading, scenario.pathloss)
    numbers = simulate.physical(scenario, antenna)
    problem = jax.jit(lambda key: simulate.draw_problem(antenna, numbers, key, sizes))(trial_key(2605, 0))
    limit = dataclasses.replace(problem.limits[0], power=problem.limits[0].power * jnp.array([1.0, 0.6]))
    return dataclasses.replace(problem, limits=(limit,))


def start_of(problem):
    """Return phases, some of them at the ends of the box, and precoders (station, subcarrier, feed, user)."""
    rng = np.random.default_rng(7)
    theta = np.arctan(rng.uniform(0, 3, (2, 9)))
    theta[:, 0], theta[:, 1] = 0, np.arctan(problem.link.surfaces[0].feasible.most)
    v = rng.normal(size=(2, 2, 2, 3)) + 1j * rng.normal(size=(2, 2, 2, 3))
    size = np.sqrt((np.abs(v) ** 2).sum((1, 2, 3)) / [0.5, 1.0])
    return theta, v / size[:, None, None, None]


@pytest.mark.parametrize("sampled", [False, True], ids=["constant channel", "fresh estimates"])
def test_stochastic_approximation(truth, sampled):
    """Both see the same samples, which every station draws by itself."""
    problem = dataclasses.replace(truth, csi=FreshEstimates(truth.link.channel, jnp.asarray(0.1))) if sampled else truth
    theta, v = start_of(problem)
    budgets = np.asarray(problem.limits[0].power)
    sent = (np.sqrt(budgets)[:, None, None, None] * v).transpose(1, 0, 3, 2)[..., None]
    begin = Design((jnp.asarray(np.tan(theta)),), jnp.asarray(sent))
    options = {"safeguard": False, "tolerance": 0.0, "max_iterations": ITERATIONS, "step_state": STEP}
    found = jax.jit(lambda p, start: ssca(p, key=KEY, start=start, **options))(problem, begin)

    network = CellFreeNetwork.of(problem, "test", step_state=STEP)
    draws = jax.jit(lambda n, t: n.sample(purpose_key(KEY, "scheme"), t))
    surface = problem.link.surfaces[0]
    arrays = (np.asarray(getattr(surface, name)) for name in ("guide", "feed", "detuning", "damping"))
    history, theta, v = reference.run(
        reference.Antenna(*arrays, most=surface.feasible.most),
        reference.Rules(float(problem.link.noise_power), budgets, STEP),
        lambda t: np.asarray(draws(network, t)),
        theta,
        v,
        ITERATIONS,
    )
    assert history[-5:].mean() > 1.5 * history[0], "a run that stands still proves nothing"
    np.testing.assert_allclose(found.history, history, rtol=1e-9)
    if sampled:  # without samples the best iterate is returned, which need not be the last
        np.testing.assert_allclose(np.arctan(found.design.state[0]), theta, atol=1e-9)
        sent = (np.sqrt(budgets)[:, None, None, None] * v).transpose(1, 0, 3, 2)[..., None]
        np.testing.assert_allclose(found.design.precoder, sent, atol=1e-9 * np.abs(sent).max())
