"""Joint design of phases and precoder against the alternations of the SIM MISO paper: energy efficiency and time.

At the size of the paper's semidefinite runs (4 antennas, 2 layers of 16), and at 36 and 64 meta-atoms against
projected gradient. All chains stay on, so that the selection at the end does not blur the comparison.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measure import CPU_TIME, interleave, report

from metamimo.papers.sim_miso_ee.scenario import SimMiso
from metamimo.papers.sim_miso_ee.simulate import draw_problem, physical, stack
from metamimo.randomness import trial_key
from metamimo.schemes.multistart import best_of_starts
from metamimo.schemes.registry import SCHEMES

pytestmark = CPU_TIME

SEED = 2504
SMALL = SimMiso(n_ports=4, n_layers=2, n_elements=16)


def designer(scenario, scheme, draws, **options):
    """Return a function that designs for some draws, one after another, and the values of its last call [Mbit/J]."""
    surface = stack(scenario, scenario.n_layers)
    numbers = physical(scenario, surface)
    function = SCHEMES.get(scheme)

    @jax.jit
    def run(trials):
        def one(trial):
            key = trial_key(SEED, trial)
            problem = draw_problem(surface, numbers, key, scenario.n_users, scenario.objective)
            return best_of_starts(function, problem, key=key, selection="none", **options).value * 1e-6

        return jax.lax.map(one, trials)

    values = np.asarray(run(jnp.arange(draws)))
    return (lambda: run(jnp.arange(draws))), values


def test_joint_design_against_the_semidefinite_alternation(benchmark):
    draws = 3
    joint, best = designer(SMALL, "hybrid-joint", draws, starts=4)
    sdp, values = designer(SMALL, "hybrid-sdp", draws, max_rounds=10)
    low_rank, low_values = designer(SMALL, "hybrid-sdp", draws, max_rounds=10, backend="low_rank")
    seconds, others = interleave(benchmark, joint, {"clarabel": sdp, "low rank": low_rank}, rounds=1)
    report(benchmark, "energy efficiency, joint over semidefinite alternation", [best.mean() / values.mean()], 1.05)
    report(benchmark, "energy efficiency, low rank over Clarabel", [low_values.mean() / values.mean()], None)
    report(benchmark, "time, semidefinite alternation over joint", others["clarabel"] / seconds, 50)
    report(benchmark, "time of the alternation, Clarabel over low rank", others["clarabel"] / others["low rank"], None)


@pytest.mark.parametrize("elements", [36, 64])
def test_joint_design_against_projected_gradient(benchmark, elements):
    draws, scenario = 8, SimMiso(n_elements=elements)
    joint, best = designer(scenario, "hybrid-joint", draws)
    pga, values = designer(scenario, "hybrid-pga", draws)
    seconds, others = interleave(benchmark, joint, {"pga": pga}, rounds=3)
    report(
        benchmark, f"energy efficiency, N={elements}, joint over projected gradient", [best.mean() / values.mean()], 1
    )
    report(benchmark, f"time, N={elements}, projected gradient over joint", others["pga"] / seconds, 1)


@pytest.mark.parametrize("elements", [36, 64])
def test_optimal_form_against_free_entries(benchmark, elements):
    draws, scenario = 8, SimMiso(n_elements=elements)
    optimal, best = designer(scenario, "hybrid-joint", draws)
    free, values = designer(scenario, "hybrid-joint", draws, form="free")
    seconds, others = interleave(benchmark, optimal, {"free": free}, rounds=3)
    report(benchmark, f"energy efficiency, N={elements}, optimal form over free", [best.mean() / values.mean()], None)
    report(benchmark, f"time, N={elements}, free entries over optimal form", others["free"] / seconds, None)
