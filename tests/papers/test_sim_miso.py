"""The SIM MISO paper: its model against its own numbers, its figures as studies, one task end to end."""

import math
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metamimo.bounds.rate_targets import power_for_rates, targets_are_impossible
from metamimo.channels.rayleigh import path_gain
from metamimo.conventions import NAT_TO_BIT, dbm_to_watt
from metamimo.errors import ConfigError
from metamimo.experiments.config import scenario_at
from metamimo.experiments.tasks import Task, all_tasks, program_of
from metamimo.geometry.planar import grid_positions, line_positions
from metamimo.metrics.effective import effective_channel
from metamimo.metrics.evaluate import evaluate
from metamimo.papers import registry
from metamimo.papers.quantities import VARIABLES
from metamimo.papers.sim_miso_ee import simulate
from metamimo.papers.sim_miso_ee.scenario import SimMiso
from metamimo.physics.diffraction import propagation_matrix
from metamimo.problem import Design
from metamimo.randomness import trial_key

PAPER = SimMiso()
FIGURES = registry.names("sim-miso-ee/all")
WAVELENGTH = simulate.LIGHT / PAPER.carrier
scored = eqx.filter_jit(evaluate)
draw = jax.jit(simulate.draw_problem, static_argnames=("users", "objective"))


@cache
def stack(**changes):
    scenario = PAPER.replace(**changes)
    return simulate.stack(scenario, scenario.n_layers)


@cache
def physical(**changes):
    return simulate.physical(PAPER.replace(**changes), stack(**changes))


def drawn(trial=0, **changes):
    key = trial_key(7, trial)
    return draw(stack(**changes), physical(**changes), key, users=PAPER.n_users, objective=PAPER.objective)


def phases(*shape):
    return np.exp(2j * np.pi * np.random.default_rng(1).random(shape))


def random_design():
    """Random phases and a weak random precoder, both on the host."""
    rng = np.random.default_rng(2)
    shape = (1, 1, 4, 6, 1)
    f = 0.1 * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)
    return phases(PAPER.n_layers, PAPER.n_elements), f


def design(state, f):
    return Design((jnp.asarray(state)[None],), jnp.asarray(f))


def test_norms_of_the_hops_are_those_of_the_spec():
    """Acceptance check (b): quasi-passive hops at the paper's thickness."""
    norms = {}
    for layers in range(1, 11):
        hop = np.asarray(stack(n_layers=layers).hops[0])
        np.testing.assert_allclose(hop, hop.T, rtol=0, atol=1e-12)
        norms[layers] = np.linalg.norm(hop, 2)
    assert max(norms.values()) <= 1.02
    for layers, norm in ((1, 0.959), (2, 0.999), (3, 1.000), (5, 1.000), (10, 1.017)):
        assert norms[layers] == pytest.approx(norm, abs=1e-3)


def test_entries_of_the_first_hop_are_the_conjugate_of_equation_1():
    surface, d = stack(n_layers=5), WAVELENGTH
    x = (np.arange(6) - 2.5) * WAVELENGTH / 2
    y, row = np.divmod(np.arange(36), 6)
    atoms = np.column_stack([(row - 2.5) * WAVELENGTH / 2, (y - 2.5) * WAVELENGTH / 2])
    r = np.sqrt((atoms[:, :1] - x) ** 2 + atoms[:, 1:] ** 2 + d**2)
    area = WAVELENGTH**2 / 4
    w = area * d / r**2 * (1 / (2 * math.pi * r) - 1j / WAVELENGTH) * np.exp(2j * math.pi * r / WAVELENGTH)
    np.testing.assert_allclose(np.asarray(surface.first), w.conj(), rtol=1e-12)


def captured_power(first):
    """Of every antenna, by the first layer."""
    return (np.abs(np.asarray(first)) ** 2).sum(0)


def plane(layers):
    """What a layer without end would capture."""
    return math.pi / 4 + (layers / 5) ** 2 / (32 * math.pi)


def test_captured_power_grows_with_the_layers_and_stays_below_the_whole_plane():
    captured = np.array([captured_power(stack(n_layers=layers).first) for layers in range(1, 11)])
    assert (np.diff(captured, axis=0) > 0).all()
    assert (captured.max(1) < [plane(layers) for layers in range(1, 11)]).all()
    assert captured[-1].max() == pytest.approx(0.7567, abs=1e-3)  # of a central antenna


@pytest.mark.parametrize(
    ("elements", "captured"), [(36, 0.7567), (100, 0.7981), (196, 0.8102), (400, 0.8167), (900, 0.8203)]
)
def test_larger_layers_capture_more_but_less_than_the_whole_plane(elements, captured):
    """Ten layers; the first hop alone, as a whole stack of that size takes seconds."""
    half = WAVELENGTH / 2
    to, source = grid_positions(elements, half, half), line_positions(6, half)
    most = captured_power(propagation_matrix(to, source, WAVELENGTH, half**2)).max()
    assert most == pytest.approx(captured, abs=1e-3)
    assert most < plane(10) == pytest.approx(0.825, abs=1e-3)


def test_spacings_are_knobs_of_their_own():
    far = stack(layer_spacing=1.0, feed_distance=2.0)
    near = stack(layer_spacing=1.0, feed_distance=1.0)
    np.testing.assert_allclose(far.hops, near.hops, rtol=1e-12)
    assert np.abs(np.asarray(far.first - near.first)).max() > 0.01
    assert PAPER.replace(n_layers=5).spacing == 1.0
    assert PAPER.replace(n_layers=5, layer_spacing=0.5).feeding == 0.5


def test_common_phases_of_a_layer_or_a_stream_change_nothing():
    """Acceptance check (c)."""
    p = drawn()
    state, f = random_design()
    layers = np.arange(len(state))[:, None]
    turned = [design(np.where(layers == layer, np.exp(0.7j), 1) * state, f) for layer in range(3)]
    streams = f * np.exp(1j * np.arange(4.0))[None, None, :, None, None]
    reference = scored(p, design(state, f))
    for other in (*turned, design(state, streams)):
        metrics = scored(p, other)
        np.testing.assert_allclose(metrics.rates, reference.rates, rtol=1e-12)
        assert float(metrics.energy_efficiency) == pytest.approx(float(reference.energy_efficiency), rel=1e-12)


def test_channel_and_noise_scale_together():
    """Acceptance check (e)."""
    p, c = drawn(), 300 - 400j
    same = design(*random_design())
    louder = eqx.tree_at(lambda q: q.link.channel, p, c * p.link.channel)
    scaled = eqx.tree_at(lambda q: q.link.noise_power, louder, abs(c) ** 2 * p.link.noise_power)
    reference, loud, both = (scored(q, same).rates for q in (p, louder, scaled))
    np.testing.assert_allclose(both, reference, rtol=1e-12)
    assert (loud > 1.01 * reference).all()


def test_cheaper_elements_gain_at_most_the_ratio_of_their_powers():
    """5 against 20 mW an element, with random designs whose elements cost from next to nothing to nearly everything."""
    p = drawn()
    state, f = random_design()
    ratios = []
    cost = 5e-3, 2e-2
    for static in (jnp.asarray(w, float) for w in (0.0, 1.0, 100.0)):
        for size in (1e-3, 1.0, 10.0):
            given = eqx.tree_at(lambda q: (q.consumption.static, q.consumption.per_chain), p, (static, static))
            cheap, dear = (eqx.tree_at(lambda q: q.consumption.per_element, given, jnp.asarray(w, float)) for w in cost)
            sized = design(state, size * f)
            ratios.append(float(scored(cheap, sized).energy_efficiency) / float(scored(dear, sized).energy_efficiency))
    assert 1 <= min(ratios) < 1.1
    assert 3 < max(ratios) <= 4


def test_least_rates_out_of_reach_at_the_papers_size():
    """The certificate at the mean gain of the channel, were the stack passive: 10 bit/s/Hz need more than 10 dBm."""

    @jax.jit
    def certificate(bits):
        gain = path_gain(jnp.full(1, 50.0), WAVELENGTH, 2.2) / dbm_to_watt(PAPER.noise_dbm)
        channel, one, limit = jnp.sqrt(gain) * jnp.ones((4, 1, 36), complex), jnp.asarray(1.0), jnp.asarray(0.01)
        least = jnp.full(4, bits / NAT_TO_BIT)
        return power_for_rates(channel, one, least), targets_are_impossible(channel, one, least, limit)

    for bits, power, impossible in ((10.0, 34e-3, True), (8.0, 8.5e-3, False)):
        needed, refused = certificate(bits)
        assert float(needed) == pytest.approx(power, rel=0.02)
        assert bool(refused) == impossible


def test_one_layer_is_a_diagonal_times_the_first_hop():
    surface = stack(n_layers=1)
    state = phases(1, PAPER.n_elements)
    response = jax.jit(lambda s: surface.response(s))(state)
    np.testing.assert_allclose(response[0], state[0][:, None] * np.asarray(surface.first), rtol=1e-12)


def test_users_stay_in_their_disc_and_channels_have_the_path_gain():
    p = drawn()
    rows = np.asarray(p.link.channel)[0, 0, :, 0]
    far, near = math.hypot(60, 13.35), math.hypot(40, 13.35)
    gain = (WAVELENGTH / (4 * math.pi)) ** 2
    mean = np.mean([np.mean(np.abs(np.asarray(drawn(trial=t).link.channel)) ** 2) for t in range(30)])
    assert gain * far**-2.2 < mean < gain * near**-2.2
    assert rows.shape == (4, 36)


def test_loss_floor_and_distortion_reach_the_model():
    losses = {"insertion_loss_db": 3.0, "amplitude_floor": 0.5}
    surface, plain = stack(**losses), stack()
    first, kept = (np.abs(np.asarray(s.first)).max() for s in (surface, plain))
    assert first / kept == pytest.approx(10**-0.15)
    state = np.asarray(jax.jit(lambda: surface.feasible.random(jax.random.key(4)))())
    assert 0.5 <= np.abs(state).min() < np.abs(state).max() <= 1
    p, quiet = drawn(**losses, evm=0.05), drawn(**losses)
    weak = design(state, np.full((1, 1, 4, 6, 1), 1e-2 + 0j))
    assert float(scored(p, weak).sum_rate) < float(scored(quiet, weak).sum_rate)
    assert jax.eval_shape(effective_channel, p.link, weak.state).shape == (1, 1, 4, 1, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_users": 7}, "n_users: must not exceed n_ports = 6, got 7"),
        ({"bandwidth": 0.0}, "bandwidth"),
        ({"evm": 1.0}, "evm"),
        ({"radius": 60.0}, "radius: the users' disc"),
        ({"layers": 3}, "layers: no such field of SimMiso"),
    ],
)
def test_bad_scenarios_have_one_clear_message(changes, message):
    with pytest.raises(ConfigError, match=message):
        PAPER.replace(**changes)


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("mode", ["quick", "full"])
def test_figures_are_declared(figure, mode):
    study = registry.load(figure, mode)
    assert [claim.id for claim in study.claims] == list(study.experiment.claims)
    assert study.experiment.trials == ((8, 2) if figure.endswith("clarabel") else (100, 4))[mode == "quick"]
    assert study.converged == (0,)
    for index in study.experiment.grid():
        assert isinstance(scenario_at(study.experiment, index), SimMiso)


def test_layers_are_data():
    tasks = all_tasks(registry.load("sim-miso-ee/fig8", "quick").experiment)
    study = registry.load("sim-miso-ee/fig8", "quick")
    assert len({program_of(study.experiment, task) for task in tasks}) == 2


TOY = SimMiso(n_ports=3, n_users=2, n_layers=2, n_elements=9, noise_dbm=-120.0)


def test_a_task_runs_end_to_end_and_its_bare_twin_pays_for_no_surface():
    fig8 = registry.load("sim-miso-ee/fig8", "full").experiment
    labels = [choice.label for choice in fig8.schemes]
    toy = fig8.model_copy(update={"scenario": TOY, "axes": (), "trials": 2, "chunk": 2})
    stacked = simulate.compute(toy, Task(labels.index("Hybrid-Joint"), (), 0, 2, 2))
    bare = simulate.compute(toy, Task(labels.index("No-SIM"), (), 0, 2, 2))
    for results in (stacked, bare):
        assert set(results) == {variable.name for variable in VARIABLES}
        assert (results["status"] == 0).all()
        assert (results["energy_efficiency"] <= results["upper_bound"] * (1 + 1e-9)).all()
    assert (stacked["consumed"] - stacked["accepted"] / 0.35 > 1 + 18 * 0.01 + 0.1).all()
    assert (bare["consumed"] - bare["accepted"] / 0.35 < 1 + 3 * 0.4 + 0.021).all()
