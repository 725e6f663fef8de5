"""The first paper's schemes at its default size (4 layers of 100 elements, 16 antennas, 4 users with 2 antennas each).

Plain method: Algorithm 4, alternating precoder steps and projected gradient steps; without precoding the gradient
steps alone. Both programs draw the same channels and start at the same phases, so their iterates can be compared, and
the time of the NumPy program to convergence is its time an iteration times the iterations that the equal iterates need.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measure import CPU_TIME, interleave, report, seconds_of
from numpy_reference import Options, Scenario, ascend, bit_per_joule, forward, matched_start, stack_matrices

from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast
from metamimo.papers.sim_broadcast_ee.simulate import draw_problem, physical, stack
from metamimo.randomness import purpose_key, trial_key
from metamimo.schemes.registry import SCHEMES

pytestmark = CPU_TIME

SEED = 2409
ITERATIONS = 30
PLAIN_TOLERANCE = 1e-6
WITHIN = 1e-3
SIX_DIGITS = 1e-6
SCENARIO, PLAIN = SimBroadcast(), Scenario()


@dataclass(frozen=True)
class Batch:
    """One scheme on many realisations, for the package and for the reference."""

    scheme: str
    surface: Any
    numbers: Any
    trials: Any
    hops: Any
    draws: list  # channel, phases, precoder (None: matched filter) of every realisation, in the reference's convention

    def program(self, **options: Any):
        """Return the scheme on all realisations, one after another as in production, as a compiled function."""
        scheme = SCHEMES.get(self.scheme)

        def all_trials(surface, numbers, trials):
            def one(trial):
                key = trial_key(SEED, trial)
                problem = draw_problem(surface, numbers, key, SCENARIO.n_users, SCENARIO.n_rx)
                solution = scheme(problem, key=key, **options)
                return {
                    "value": solution.value,
                    "history": solution.history,
                    "iterations": solution.iterations,
                    "status": solution.status,
                }

            return jax.lax.map(one, trials)

        compiled = jax.jit(all_trials)
        return lambda: compiled(self.surface, self.numbers, self.trials)

    def reference(self) -> list:
        """Run a fixed number of iterations of the plain method in NumPy."""
        options = Options(tolerance=0.0, max_iterations=ITERATIONS, polish=False)
        runs = []
        for g, phi, precoder in self.draws:
            limit = PLAIN.max_power if precoder is None else None
            chains = PLAIN.n_tx if precoder is None else int((np.abs(precoder) > 0).any((0, 2)).sum())
            start = matched_start(forward(self.hops, phi, g)[0], PLAIN.max_power) if precoder is None else precoder
            fixed = PLAIN.fixed_power(chains, PLAIN.layers)
            runs.append(ascend(self.hops, g, phi, start, fixed, limit, options))
        return runs


def _prepare(scheme: str, count: int) -> Batch:
    surface = stack(SCENARIO, SCENARIO.n_layers)
    numbers, trials = physical(SCENARIO, surface), jnp.arange(count)

    def start(trial):
        key = trial_key(SEED, trial)
        problem = draw_problem(surface, numbers, key, SCENARIO.n_users, SCENARIO.n_rx)
        channel = problem.link.channel[0, 0] / jnp.sqrt(problem.link.noise_power)
        # One iteration keeps a fixed precoder as it is: the scheme itself says which antennas it has drawn.
        fixed = () if scheme == "sim-lp" else (SCHEMES.get(scheme)(problem, key=key, max_iterations=1).design.precoder,)
        return channel, surface.feasible.random(purpose_key(key, "start")), fixed

    channels, phases, fixed = jax.device_get(jax.jit(lambda t: jax.lax.map(start, t))(trials))
    precoders = fixed[0][:, 0, 0].conj() if fixed else [None] * count
    draws = list(zip(channels.conj(), phases.conj(), precoders, strict=True))
    return Batch(scheme, surface, numbers, trials, stack_matrices(PLAIN), draws)


@pytest.mark.parametrize("scheme", ["sim-lp", "sim-nolp", "sim-nolp-redrf"])
def test_scheme(benchmark, rounds, batch, scheme):
    case = _prepare(scheme, batch)
    plain_options = {"phase_stage": "projected_gradient"}
    # One step instead of the final precoder stage to convergence, which the reference leaves out.
    short = {"polish": 1.0} if scheme == "sim-lp" else {}
    program = case.program(tolerance=0.0, max_iterations=ITERATIONS, **plain_options, **short)

    expected = bit_per_joule(np.array([run.history for run in case.reference()]), PLAIN.bandwidth)
    difference = np.abs(np.asarray(program()["history"])[:, 1 : ITERATIONS + 1] / expected - 1).max()
    verdict = "equal" if difference < SIX_DIGITS else "NOT EQUAL"
    growth = (expected[:, -1] / expected[:, 0]).mean()
    print(f"\n{scheme}: {verdict} to 6 digits over {ITERATIONS} iterations (largest difference {difference:.1e}),")
    print(f"in which the energy efficiency grows {growth:.1f} times")

    own, other = interleave(benchmark, program, {"numpy": case.reference}, rounds)
    steps = batch * ITERATIONS
    per_step = np.median(other["numpy"]) / steps
    print(f"{np.median(own) / steps * 1e3:.3f} ms an iteration, plain NumPy {per_step * 1e3:.3f} ms")
    bound = 2.5 if scheme == "sim-lp" else None
    report(benchmark, f"{scheme}, an iteration, plain NumPy over metamimo", other["numpy"] / own, bound)

    label = f"{scheme}, to 0.1 % of the plain method's mean EE"
    plain = jax.device_get(case.program(tolerance=PLAIN_TOLERANCE, **plain_options)())
    goal = (1 - WITHIN) * plain["value"].mean()
    history = np.asarray(case.program()()["history"]).mean(0)
    enough = _first_reaching(history, goal)
    if enough is None:
        print(f"ratio {label} = 0, MISSED: the default stage ends {1 - history[-1] * (1 - WITHIN) / goal:.2%} below it")
        return
    fast = case.program(tolerance=0.0, max_iterations=enough)
    reached = float(np.asarray(fast()["value"]).mean())
    mean_ee, needed, converged = (plain["value"].mean(), plain["iterations"].mean(), (plain["status"] == 0).mean())
    print(f"plain method: mean EE {mean_ee * 1e-6:.4f} Mbit/J after {needed:.0f} iterations, {converged:.0%} converged")
    print(f"default stage: {reached * 1e-6:.4f} after {enough} iterations, {history[-1] * 1e-6:.4f} at its end")
    seconds = np.array([seconds_of(fast) for _ in range(rounds)]) / batch
    bound = 8 if scheme == "sim-lp" else None
    far = per_step * needed
    # The goal lies below the plain history's own end, so the plain method reaches it.
    near = per_step * np.minimum(plain["iterations"], np.argmax(plain["history"].mean(0) >= goal)).mean()
    print(f"{np.median(seconds) * 1e3:.1f} ms a realisation, plain NumPy {far * 1e3:.0f} ms to convergence")
    report(benchmark, f"{label}, plain NumPy to convergence over metamimo", far / seconds, bound)
    report(benchmark, f"{label}, plain NumPy to the same 0.1 % over metamimo", near / seconds, None)


def _first_reaching(history: np.ndarray, goal: float) -> int | None:
    """Return the first iteration whose mean value reaches the goal, None if none does."""
    reached = history >= goal
    return max(1, int(reached.argmax())) if reached.any() else None
