"""Block descent of holograms: against plain NumPy, convex zero-forcing and restarts."""

import time

import cvxpy
import jax
import jax.numpy as jnp
import numpy as np
from measure import CPU_TIME, interleave, report
from numpy_hologram import descend

from metamimo.papers.hmimo_multicell import simulate
from metamimo.papers.hmimo_multicell.scenario import HolographicCells
from metamimo.randomness import trial_key
from metamimo.schemes.multistart import best_of_starts
from metamimo.schemes.registry import SCHEMES

pytestmark = CPU_TIME

SCENARIO = HolographicCells()
SIZES = simulate.sizes_of(SCENARIO)
ITERATIONS = 100


def draw(kind):
    surface, positions = simulate.array_of(SCENARIO, kind)
    numbers = simulate.physical(SCENARIO, surface, positions)
    return lambda trial: simulate.draw_problem(surface, numbers, trial_key(2502, trial), SIZES)


def runner(kind, scheme, **options):
    """Return the compiled designs of several scenes, one after another."""
    problem_of, function = draw(kind), SCHEMES.get(scheme)

    def one(trial):
        return best_of_starts(function, problem_of(trial), key=trial_key(2502, trial), **options)

    return jax.jit(lambda trials: jax.lax.map(one, trials))


def test_lorentzian_descent_against_numpy(benchmark, rounds):
    """The same iterations from the same start."""
    problem = draw("Lorentz left")(0)
    key = trial_key(2502, 0)
    start = SCHEMES.get("network-joint")(problem, key=key, max_iterations=1).design
    fast = jax.jit(lambda p, s: SCHEMES.get("wmmse-mm")(p, key=key, start=s, tolerance=0.0, max_iterations=ITERATIONS))
    link = problem.link
    h, v = np.asarray(link.channel[0]), np.asarray(link.surfaces[0].factors()[1])
    own = SIZES.users
    whole = np.asarray(start.precoder[0])
    f = np.stack([whole[cell, cell * own : (cell + 1) * own].transpose(1, 0, 2) for cell in range(SIZES.cells)])
    arguments = (h, v, np.asarray(start.state[0]), f, float(problem.limits[0].power[0, 0]), float(link.noise_power))
    history = descend(*arguments, ITERATIONS)[0] / np.log(2)
    np.testing.assert_allclose(fast(problem, start).history[: ITERATIONS + 1], history, rtol=1e-6)
    seconds, others = interleave(
        benchmark, lambda: fast(problem, start), {"numpy": lambda: descend(*arguments, ITERATIONS)}, rounds
    )
    report(benchmark, f"NumPy over WMMSE-MM, {ITERATIONS} iterations of a scene", others["numpy"] / seconds, 10)


def test_hidden_convexity_against_zero_forcing(benchmark, rounds):
    """A whole design by WMMSE-HC against the convex programs alone that ZF by CVXPY solves on its way."""
    trials = jnp.arange(4)
    run = runner("binary left", "wmmse-hc", max_iterations=30, returned="last")

    def convex():
        for _ in range(4 * 15 * SIZES.cells):
            p = cvxpy.Variable(4, nonneg=True)
            limits = [np.eye(4) @ p <= np.ones(4)]
            cvxpy.Problem(cvxpy.Maximize(cvxpy.sum(cvxpy.log1p(p))), limits).solve(solver="CLARABEL")

    seconds, others = interleave(benchmark, lambda: run(trials), {"cvxpy": convex}, min(rounds, 3))
    report(benchmark, "power programs of ZF by CVXPY over WMMSE-HC, whole designs", others["cvxpy"] / seconds, None)


def test_polishing_against_restarts(benchmark, rounds):
    trials = jnp.arange(20)
    polished = runner("binary left", "wmmse-hc", polish=True, max_iterations=1000)
    restarted = runner("binary left", "wmmse-hc", starts=8, max_iterations=1000)
    seconds, others = interleave(
        benchmark, lambda: polished(trials), {"restarts": lambda: restarted(trials)}, min(rounds, 3)
    )
    difference = np.asarray(polished(trials).value - restarted(trials).value)
    error = difference.std(ddof=1) / np.sqrt(difference.size)
    print(f"polishing minus 8 restarts: {difference.mean():.2f} +- {error:.2f} bit/s/Hz, n={difference.size}")
    report(benchmark, "eight restarts over polishing, time", others["restarts"] / seconds, None)


def test_time_of_a_block(benchmark):
    """Report only: one iteration of every descent."""
    run = {
        name: runner(kind, name, max_iterations=50, returned="last", tolerance=0.0)
        for name, kind in (("wmmse-hc", "binary left"), ("wmmse-mm", "Lorentz left"))
    }
    trials = jnp.arange(10)
    for name, program in run.items():
        jax.block_until_ready(program(trials))
        began = time.process_time()
        jax.block_until_ready(program(trials))
        print(f"{name}: {1e6 * (time.process_time() - began) / 500:.0f} us an iteration")
    benchmark.pedantic(lambda: run["wmmse-hc"](trials), rounds=1)
