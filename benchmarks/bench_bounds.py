"""Bounds against the default designs of the same problems: a tight one costs at most as much, a cheap one 2 % of it."""

import jax
import jax.numpy as jnp
import pytest
from measure import CPU_TIME, interleave, report

from metamimo.bounds.of_problem import upper_bound
from metamimo.papers.dma_cell_free import simulate as dma
from metamimo.papers.dma_cell_free.figures import REDUCED
from metamimo.papers.hmimo_multicell import simulate as cells
from metamimo.papers.hmimo_multicell.scenario import HolographicCells
from metamimo.papers.sim_broadcast_ee import simulate as broadcast
from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast
from metamimo.papers.sim_miso_ee import simulate as miso
from metamimo.papers.sim_miso_ee.scenario import SimMiso
from metamimo.randomness import trial_key
from metamimo.schemes.multistart import best_of_starts
from metamimo.schemes.registry import SCHEMES

pytestmark = CPU_TIME

SEED, DRAWS, STARTS, ROUNDS = 77, 4, 4, 5


def of_miso(layers):
    scenario = SimMiso(n_layers=layers)
    surface = miso.stack(scenario, layers)
    numbers = miso.physical(scenario, surface)
    return "hybrid-joint", lambda key: miso.draw_problem(surface, numbers, key, scenario.n_users, scenario.objective)


def of_broadcast():
    scenario = SimBroadcast()
    surface = broadcast.stack(scenario, scenario.n_layers)
    numbers = broadcast.physical(scenario, surface)
    return "sim-lp", lambda key: broadcast.draw_problem(surface, numbers, key, scenario.n_users, scenario.n_rx)


def of_cells(kind, scheme):
    scenario = HolographicCells()
    surface, positions = cells.array_of(scenario, kind)
    numbers, sizes = cells.physical(scenario, surface, positions), cells.sizes_of(scenario)
    return scheme, lambda key: cells.draw_problem(surface, numbers, key, sizes)


def of_slots(**changes):
    scenario = REDUCED.replace(**changes)
    surface = dma.antenna_of(scenario)
    numbers = dma.physical(scenario, surface)
    sizes = dma.Sizes(scenario.n_users, scenario.taps, scenario.fading, scenario.pathloss)
    return "network-joint", lambda key: dma.draw_problem(surface, numbers, key, sizes)


ONE_LINK = {"n_stations": 1, "n_users": 1, "n_subcarriers": 1}
CASES = {
    "stack, 2 layers of 36": lambda: of_miso(2),
    "stack, 5 layers of 36": lambda: of_miso(5),
    "broadcast, 4 layers of 100": of_broadcast,
    "Lorentzian cells": lambda: of_cells("Lorentz left", "wmmse-mm"),
    "binary cells": lambda: of_cells("binary left", "wmmse-hc"),
    "one link of 16 slots": lambda: of_slots(**ONE_LINK),
    "3 stations of 16 slots, half a wave apart": lambda: of_slots(slot_spacing=0.5),
    "3 stations of 16 slots": of_slots,
}


@pytest.mark.parametrize("case", CASES)
def test_bounds_against_a_design_from_four_starts(benchmark, case):
    scheme, draw = CASES[case]()

    keys = jax.lax.map(lambda trial: trial_key(SEED, trial), jnp.arange(DRAWS))
    problems = jax.jit(lambda keys: jax.lax.map(draw, keys))(keys)

    def over_draws(value):
        run = jax.jit(lambda problems, keys: jax.lax.map(lambda pair: value(*pair), (problems, keys)))
        return lambda: run(problems, keys)

    design = over_draws(lambda p, key: best_of_starts(SCHEMES.get(scheme), p, key=key, starts=STARTS).value)
    cheap = over_draws(lambda p, key: upper_bound(p, "cheap").value)
    tight = over_draws(lambda p, key: upper_bound(p, "tight").value)
    own, others = interleave(benchmark, tight, {"design": design, "cheap": cheap}, ROUNDS)
    ratios = [float((f() / design()).mean()) for f in (cheap, tight)]
    print(f"\n{case}: bound over design, cheap {ratios[0]:.3f}, tight {ratios[1]:.3f}, n = {DRAWS}")
    times = (others["design"], others["cheap"], own)
    print("ms a draw: design {:.1f}, cheap {:.2f}, tight {:.1f}".format(*(1e3 * t.mean() / DRAWS for t in times)))
    least = 1 - 1e-9
    assert ratios[0] >= ratios[1] * least >= least**2
    report(benchmark, f"{case}, tight bound over design", own / others["design"], 1.0, "<=")
    report(benchmark, f"{case}, cheap bound over design", others["cheap"] / others["design"], 0.02, "<=")
