"""The stacked-surface schemes against the paper's algorithm, oracles and scaling laws."""

import functools
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from schemes_problems import problem

from metamimo.errors import ConfigError, PhysicsWarning
from metamimo.metrics.evaluate import evaluate
from metamimo.precoders.antenna_map import all_antennas, random_antennas
from metamimo.problem import Design, Limit, Problem, Status
from metamimo.schemes.common import check_phase_stage
from metamimo.schemes.design import design
from metamimo.schemes.multistart import best_of_starts
from metamimo.schemes.sim_lp import sim_lp
from metamimo.schemes.sim_nolp import sim_nolp, sim_nolp_redrf
from metamimo.surfaces.digital import FullyDigital

KEY = jax.random.key(11)
# Every other set of options is another program to compile: tests share two unless they ask for more.
FINE = {"tolerance": 1e-10}
PLAIN = FINE | {"phase_stage": "projected_gradient", "max_iterations": 20_000}
solve = eqx.filter_jit(sim_lp)
without_precoding = eqx.filter_jit(functools.partial(best_of_starts, sim_nolp))


@eqx.filter_jit
def energy_efficiency(p, phases, precoder):
    return evaluate(p, Design(state=(phases[None],), precoder=precoder[None, None])).energy_efficiency


@pytest.mark.parametrize("line_search", ["sufficient_increase", "quadratic_model"])
@pytest.mark.parametrize("restart", [False, True])
def test_algorithm_4_is_monotone_with_both_line_searches(line_search, restart):
    # The defaults by name would be another program.
    chosen = {"line_search": line_search, "restart": restart}
    others = {name: value for name, value in chosen.items() if value not in ("sufficient_increase", False)}
    solution = solve(problem(0), key=KEY, **PLAIN, **others)
    history = np.asarray(solution.history)
    assert (np.diff(history) >= -1e-12 * history[1:]).all()
    assert int(solution.status) == Status.CONVERGED


def test_strict_precoder_stage_is_monotone_and_feasible():
    solution = solve(problem(1, fixed=50.0), key=KEY, **PLAIN | {"strict": True, "max_iterations": 60})
    history = np.asarray(solution.history)
    assert (np.diff(history) >= -1e-12 * history[1:]).all()
    assert float(solution.ledger.accepted[0]) <= 1 + 1e-9


def test_accelerated_stage_is_stationary_where_the_plain_one_ends():
    """Started from the plain method's end, the accelerated stage gains next to nothing, and never loses."""
    p = problem(2)
    plain = solve(p, key=KEY, **PLAIN)
    polished = solve(p, key=KEY, start=plain.design, **FINE)
    assert 1 - 1e-9 <= float(polished.value / plain.value) <= 1 + 1e-5


def test_mean_of_the_accelerated_stage_is_not_below_the_plain_one():
    draws = [(problem(s), jax.random.fold_in(KEY, s)) for s in range(8)]
    plain, accelerated = (np.mean([solve(p, key=key, **how).value for p, key in draws]) for how in (PLAIN, FINE))
    assert accelerated >= 0.995 * plain


def test_phases_of_one_user_with_one_antenna_and_one_port_reach_the_closed_form():
    """L = 1, one port, one user: every term g_n w_n can be aligned, so |h B| = sum |g_n| |w_n|.

    The other layers, ports, users and antennas are padding: absent or without a channel.
    """
    from metamimo.physics.patterns import Isotropic
    from metamimo.surfaces.stacked import StackedSurface

    surface = StackedSurface.build(
        n_layers=1, max_layers=3, n_elements=9, n_ports=4, wavelength=1.0, element_spacing=0.5, antenna_spacing=0.5,
        layer_spacing=0.5, pattern=Isotropic(),
    )  # fmt: skip
    p = problem(3, surface=surface)
    alone = np.zeros((1, 1, 2, 2, 1))
    alone[0, 0, 0, 0] = 1
    one_port = jnp.arange(4)[None] == 0
    p = eqx.tree_at(lambda q: (q.link.channel, q.link.ports), p, (p.link.channel * alone, one_port))
    best = (jnp.abs(p.link.channel[0, 0, 0, 0]) * jnp.abs(surface.first[:, 0])).sum() ** 2
    solution = solve(p, key=KEY, **FINE)
    snr_of_full_power = float(best)
    grid = np.linspace(1e-6, 1.0, 200_001)
    fixed = 5.0 + 0.1 + 0.09
    oracle = (np.log2(1 + grid * snr_of_full_power) / (fixed + grid)).max() * 1e6
    np.testing.assert_allclose(float(solution.value), oracle, rtol=1e-7)


def test_scaling_law():
    """G -> cG, P_max -> P_max / c^2, P_fix -> P_fix / c^2 multiplies EE by c^2 and keeps the rate (check 13)."""
    c = 2.0
    base = problem(4, fixed=5.0, power=1.0)
    scaled = eqx.tree_at(lambda q: q.link.channel, base, base.link.channel * c)
    scaled = eqx.tree_at(
        lambda q: (q.limits[0].power, q.consumption.per_chain, q.consumption.static, q.consumption.per_element),
        scaled,
        replace_fn=lambda x: x / c**2,
    )
    a = solve(base, key=KEY, **FINE)
    b = solve(scaled, key=KEY, **FINE)
    np.testing.assert_allclose(float(b.value), c**2 * float(a.value), rtol=1e-6)
    np.testing.assert_allclose(float(b.rates.sum()), float(a.rates.sum()), rtol=1e-6)


def test_energy_efficiency_saturates_with_the_power_limit():
    """From some limit on it does not bind any more (check 13)."""
    values = []
    for power in (10.0, 1e3, 1e5):
        solution = solve(problem(5, power=power, fixed=1.0), key=KEY, **FINE)
        values.append(float(solution.value))
        assert float(solution.ledger.accepted[0]) < power
    np.testing.assert_allclose(values, values[0], rtol=0.02)


def test_common_phase_of_a_layer_changes_nothing():
    p = problem(6)
    solution = solve(p, key=KEY, **FINE)
    phases, precoder = solution.design.state[0][0], solution.design.precoder[0, 0]
    turned = phases.at[1].multiply(jnp.exp(0.7j))
    assert abs(energy_efficiency(p, turned, precoder) / float(solution.value) - 1) < 1e-12


def test_fine_quantisation_is_harmless_and_coarse_is_not():
    from metamimo.surfaces.feasible import QuantizedPhase

    p = problem(7)
    solution = solve(p, key=KEY, **FINE)
    phases, precoder = solution.design.state[0][0], solution.design.precoder[0, 0]

    def rounded(bits):
        return energy_efficiency(p, QuantizedPhase(shape=phases.shape, bits=bits).project(phases), precoder)

    assert abs(rounded(12) / float(solution.value) - 1) < 1e-3
    assert rounded(1) < rounded(12)


def test_more_starts_never_lose_and_report_their_spread():
    p = problem(8)
    one = without_precoding(p, key=KEY, **FINE)
    three = without_precoding(p, key=KEY, starts=3, **FINE)
    # Two programs round differently: the same start ends in the same optimum, not in the same last digit.
    np.testing.assert_allclose(float(three.start_values[0]), float(one.value), rtol=1e-6)
    assert float(three.value) == float(three.start_values.max())
    two = without_precoding(p, key=KEY, starts=2, **FINE)
    assert two.start_values.tolist() == three.start_values[:2].tolist()
    assert float(three.value) >= float(two.value)
    assert three.start_values.shape == (3,)
    assert "starts: 3" in str(three)
    with pytest.raises(ConfigError, match="starts: must be at least 1, got 0"):
        best_of_starts(sim_lp, p, key=KEY, starts=0)


def test_unknown_options_are_refused():
    with pytest.raises(ConfigError, match="phase_stage: must be one of lbfgs, projected_gradient, got 'adam'"):
        check_phase_stage("adam")
    with pytest.raises(ConfigError, match="did you mean sim-lp"):
        design(problem(0), "simlp", key=KEY)


def test_antenna_map_spreads_all_antennas():
    f = np.abs(jax.jit(lambda power: all_antennas(KEY, 10, 4, 2, power))(1.0))
    assert (f > 0).sum((1, 2)).tolist() == [3, 3, 2, 2]
    assert ((f > 0).sum((0, 2)) == 1).all()
    np.testing.assert_allclose((f**2).sum(), 1.0, rtol=1e-12)


def test_antenna_map_with_too_few_antennas_serves_some_users():
    f = np.abs(jax.jit(lambda power: all_antennas(KEY, 4, 3, 2, power))(2.0))
    assert ((f > 0).sum((1, 2)) > 0).sum() == 2
    np.testing.assert_allclose((f**2).sum(), 2.0, rtol=1e-12)
    with pytest.raises(ConfigError, match="n_ports: SIM-NoLP needs at least 2 antennas"):
        all_antennas(KEY, 1, 3, 2, jnp.asarray(1.0))


def test_reduced_chains_use_and_charge_one_antenna_a_stream():
    f = jax.jit(lambda power: random_antennas(KEY, 6, 2, 2, power))(1.0)
    assert (np.abs(f) > 0).sum() == 4
    p = problem(9, users=1)
    # Consumption does not depend on the phases: the compiler leaves their optimisation out.
    all_on, few = jax.jit(lambda p: [f(p, key=KEY).ledger.consumed for f in (sim_nolp, sim_nolp_redrf)])(p)
    np.testing.assert_allclose(float(all_on - few), 2 * 0.1, rtol=1e-9)
    with pytest.raises(ConfigError, match="needs an antenna for each of 6 streams, got 4"):
        random_antennas(KEY, 4, 3, 2, jnp.asarray(1.0))


def test_design_refuses_what_the_scheme_would_ignore():
    p = problem(0)
    rates = eqx.tree_at(lambda q: q.min_rate, p, jnp.ones(2))
    with pytest.raises(ConfigError, match=r"min_rate: lp-nosim takes 0 throughout, got \[1.0, 1.0\]"):
        design(rates, "lp-nosim", key=KEY)
    weights = eqx.tree_at(lambda q: q.link.weights, p, jnp.asarray([1.0, 2.0]))
    with pytest.raises(ConfigError, match="weights: sim-lp takes 1 throughout"):
        design(weights, "sim-lp", key=KEY)
    with pytest.raises(ConfigError, match="objective: sim-lp maximises energy efficiency, got 'sum_rate'"):
        design(Problem(p.link, p.limits, p.consumption, p.min_rate, objective="sum_rate"), "sim-lp", key=KEY)
    with pytest.raises(ConfigError, match=r"power: a power must not be negative, got \[-1.0\] W"):
        Limit(jnp.asarray([-1.0]))


def test_design_of_a_matched_array_does_not_blame_its_model():
    with warnings.catch_warnings():
        warnings.simplefilter("error", PhysicsWarning)
        design(problem(0, surface=FullyDigital.example()), "lp-nosim", key=KEY)


def test_design_warns_of_a_stack_that_creates_energy():
    from metamimo.physics.patterns import Isotropic
    from metamimo.surfaces.stacked import StackedSurface

    hot = StackedSurface.build(
        n_layers=3, n_elements=9, n_ports=4, wavelength=1.0, element_spacing=0.5, antenna_spacing=0.5,
        layer_spacing=0.25, pattern=Isotropic(),
    )  # fmt: skip
    with pytest.warns(PhysicsWarning, match="creates energy"):
        design(problem(10, surface=hot), "lp-nosim", key=KEY)
