"""One iteration of the cell-free scheme: against plain NumPy, LAPACK's factorisations, and the number of slots.

Yardsticks: the LU of the same matrices I - G A, one a station and subcarrier, by LAPACK (SciPy), measured beside it.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measure import CPU_TIME, flops_of_zgemm, interleave, report, zgemm
from numpy_cell_free import Antenna, Rules, run
from scipy.linalg import lapack

from metamimo.papers.dma_cell_free import simulate
from metamimo.papers.dma_cell_free.figures import REDUCED
from metamimo.papers.dma_cell_free.scenario import CellFreeDma
from metamimo.randomness import trial_key
from metamimo.schemes.cell_free import no_track
from metamimo.schemes.cell_free_network import CellFreeNetwork
from metamimo.schemes.stochastic_sca import ssca

pytestmark = CPU_TIME

FULL = CellFreeDma()
ITERATIONS = 20
KEY = trial_key(2605, 0)


@functools.cache
def scene(scenario):
    """Return the problem of one draw, as its stations see it too, and where they start."""
    surface = simulate.antenna_of(scenario)
    sizes = simulate.Sizes(scenario.n_users, scenario.taps, scenario.fading, scenario.pathloss)
    numbers = simulate.physical(scenario, surface)
    problem = jax.jit(lambda key: simulate.draw_problem(surface, numbers, key, sizes))(KEY)
    network = CellFreeNetwork.of(problem, "benchmark")
    return problem, network, jax.jit(lambda n: n.first(KEY, None, "joint", n.channels))(network)


@jax.jit
def iterate(network, points, tracks):
    heard = network.listen(points, network.channels)
    tracks, goals = network.step(points, tracks, heard, heard.amplitudes.sum(0), jnp.asarray(1))
    return network.move(points, jax.tree.map(lambda a: a[0], goals), network.rules.gamma(1)), tracks


def iteration(scenario):
    """Return one iteration of all stations."""
    _, network, points = scene(scenario)
    tracks = jax.vmap(no_track)(points)
    return lambda: iterate(network, points, tracks)


def in_numpy(scenario):
    """Return antenna, rules, channels and start of the NumPy implementation."""
    _, network, points = scene(scenario)
    surface, stations = network.surface, network.stations
    arrays = (np.asarray(getattr(surface, name)) for name in ("guide", "feed", "detuning", "damping"))
    channels = np.asarray(network.channels)
    return (
        Antenna(*arrays, most=surface.feasible.most),
        Rules(float(network.rules.noise_power), np.asarray(stations.budget), float(network.rules.step_state)),
        lambda t: channels,
        np.asarray(points.state),
        np.asarray(points.precoder).swapaxes(2, 3),
    )


@functools.cache
def systems(scenario):
    """Return the matrices of all stations and subcarriers at the start, and their right-hand sides."""
    antenna, _, channels, theta, _ = in_numpy(scenario)
    matrices, sides = [], []
    for b, x in enumerate(np.tan(theta)):
        for k, guide in enumerate(antenna.guide):
            alpha = x / (antenna.detuning[k] + 1j * antenna.damping[k] * x)
            matrices.append(np.asfortranarray(np.eye(len(x)) - guide * alpha))
            sides.append(np.asfortranarray(np.hstack([antenna.feed[k], channels(0)[b, k].T])))
    return matrices, sides


def factorised(scenario):
    matrices, _ = systems(scenario)
    return lambda: [lapack.zgetrf(matrix) for matrix in matrices]


def factorised_by_xla(scenario):
    """Return all factorisations by XLA: one program, subcarrier after subcarrier, all stations of one together."""
    matrices = np.stack(systems(scenario)[0]).reshape(scenario.n_stations, scenario.n_subcarriers, -1)
    shape = (scenario.n_subcarriers, scenario.n_stations, scenario.n_slots, scenario.n_slots)
    batches = jnp.asarray(matrices.swapaxes(0, 1).reshape(shape))
    program = jax.jit(lambda a: jax.lax.map(lambda batch: jax.lax.linalg.lu(batch)[0], a))
    return lambda: program(batches)


def solved(scenario):
    """Return LU and solutions by LAPACK, nothing between the calls."""
    both = list(zip(*systems(scenario), strict=True))

    def solve_all():
        for matrix, sides in both:
            factors, pivots, _ = lapack.zgetrf(matrix)
            lapack.zgetrs(factors, pivots, sides)

    return solve_all


def solved_by_surface(scenario):
    """Return the fields of feeds and users in all slots, from states: matrices are built, too."""
    _, network, points = scene(scenario)
    states = jnp.tan(points.state)
    sides = jnp.asarray(np.stack(systems(scenario)[1]).reshape(scenario.n_stations, scenario.n_subcarriers, -1))
    sides = sides.reshape(*sides.shape[:2], scenario.n_slots, -1)
    program = jax.jit(lambda surface, *given: jax.lax.map(lambda own: surface.local_fields(*own), given))
    return lambda: program(network.surface, states, sides)


@pytest.mark.parametrize(("scenario", "bound"), [(FULL, 8.0), (REDUCED, None)], ids=["full size", "reduced"])
def test_iterations_against_numpy(benchmark, rounds, scenario, bound):
    """Whole runs of the scheme, start and score included, from one start.

    At full size a quarter of NumPy's time is LAPACK's LU, which any program has to do, so its LU over the whole is
    printed beside: the ratio that even a program which does nothing else would have.
    """
    problem, network, points = scene(scenario)
    options = {"safeguard": False, "tolerance": 0.0, "max_iterations": ITERATIONS}
    fast = jax.jit(lambda p, start: ssca(p, key=KEY, start=start, **options))
    start = network.design(points)
    plain = in_numpy(scenario)
    np.testing.assert_allclose(fast(problem, start).history, run(*plain, ITERATIONS)[0], rtol=1e-6)
    lu = factorised(scenario)
    seconds, others = interleave(
        benchmark, lambda: fast(problem, start), {"numpy": lambda: run(*plain, ITERATIONS), "lu": lu}, rounds
    )
    size = f"N={scenario.n_slots}, K={scenario.n_subcarriers}"
    # NumPy listens once more than it iterates.
    ceiling = others["numpy"] / (others["lu"] * (ITERATIONS + 1))
    report(benchmark, f"NumPy over its own LU, {size}", ceiling, None)
    report(benchmark, f"NumPy over ssca, {size}", others["numpy"] / seconds, bound)


def test_an_iteration_against_its_factorisations(benchmark, rounds):
    yardsticks = {"lu": factorised(FULL), "xla": factorised_by_xla(FULL)}
    seconds, others = interleave(benchmark, iteration(FULL), yardsticks, rounds)
    report(benchmark, "iteration over LU by XLA", seconds / others["xla"], None)
    assert report(benchmark, "iteration over LU by LAPACK", seconds / others["lu"], 2.5, "<=") <= 2.5


@pytest.mark.parametrize("slots", [64, 256])
def test_solutions_against_lapack(benchmark, rounds, slots):
    """Fields of all stations and subcarriers, matrices included, against bare calls of LAPACK; and against zgemm."""
    scenario = FULL.replace(n_slots=slots)
    matrices, sides = systems(scenario)
    flops = len(matrices) * (8 / 3 * slots**3 + 8 * slots**2 * sides[0].shape[1])
    yardsticks = {"lapack": solved(scenario), "zgemm": zgemm()}
    seconds, others = interleave(benchmark, solved_by_surface(scenario), yardsticks, min(rounds, 5))
    share = flops / seconds / (flops_of_zgemm() / others["zgemm"])
    report(benchmark, f"flop rate of solutions over zgemm's, N={slots}", share, None)
    at_best = flops / others["lapack"] / (flops_of_zgemm() / others["zgemm"])
    report(benchmark, f"flop rate of LAPACK's solutions over zgemm's, N={slots}", at_best, None)
    name = f"solutions over zgetrf and zgetrs, N={slots}"
    assert report(benchmark, name, seconds / others["lapack"], 1.6, "<=") <= 1.6


def test_cost_against_the_number_of_slots(benchmark, rounds):
    """A power law through all sizes, and the last step alone: the smaller the matrices, the farther below the peak."""
    sizes = (16, 64, 144, 256)
    first, *others = (iteration(FULL.replace(n_slots=n)) for n in sizes)
    more = {str(n): function for n, function in zip(sizes[1:], others, strict=True)}
    seconds, measured = interleave(benchmark, first, more, min(rounds, 5))
    times = np.stack([seconds, *measured.values()])
    for n, values in zip(sizes[1:], times[1:], strict=True):
        report(benchmark, f"iteration with {n} slots over one with 16", values / seconds, None)
    last = np.log(times[3] / times[2]) / np.log(sizes[3] / sizes[2])
    assert report(benchmark, "exponent in N, 144 to 256", last, 3.0, "<=") <= 3
    fitted = np.polyfit(np.log(sizes), np.log(times), 1)[0]
    assert report(benchmark, "exponent in N, 16 to 256", fitted, 2.0, "<=") <= 2
