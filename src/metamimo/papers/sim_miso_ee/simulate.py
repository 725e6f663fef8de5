"""One task of an experiment: draw the channels of some trials, design on each, and score; the room where JAX starts."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from metamimo.channels.rayleigh import correlated_rayleigh, path_gain
from metamimo.conventions import NAT_TO_BIT, dbm_to_watt
from metamimo.experiments.config import Experiment, scenario_at
from metamimo.experiments.tasks import Task
from metamimo.geometry.planar import line_positions
from metamimo.geometry.users import disc_distances
from metamimo.papers.chunks import Scene, measured, measured_with_history, run_chunk
from metamimo.papers.sim_miso_ee.scenario import SimMiso
from metamimo.papers.stacks import deepest_stack, isotropic_stack
from metamimo.physics.patterns import Isotropic, psd_root
from metamimo.problem import Consumption, Limit, Link, Objective, Problem
from metamimo.randomness import purpose_key
from metamimo.surfaces.base import Surface
from metamimo.surfaces.digital import FullyDigital
from metamimo.surfaces.feasible import PhaseDependentAmplitude
from metamimo.surfaces.stacked import StackedSurface

LIGHT = 3e8
"""Speed of light of the field's public code [m/s]."""


class Numbers(eqx.Module):
    """What may change without another compilation.

    Attributes:
        root: root of the correlation matrix of the transmitting elements.
        consumption: power model.
        power, port_power: limits of the accepted power, in all and of a port [W].
        noise, evm: noise power [W], error vector magnitude.
        bandwidth, carrier: [Hz].
        distance, radius, height: where the users are [m].
        path_loss_exponent: exponent of the path loss.
        min_rate: least rate of every user [nat per channel use].
    """

    root: Inexact[Array, "element element"]
    consumption: Consumption
    power: Float[Array, ""]
    port_power: Float[Array, ""]
    noise: Float[Array, ""]
    evm: Float[Array, ""]
    bandwidth: Float[Array, ""]
    carrier: Float[Array, ""]
    distance: Float[Array, ""]
    radius: Float[Array, ""]
    height: Float[Array, ""]
    path_loss_exponent: Float[Array, ""]
    min_rate: Float[Array, ""]


def compute(experiment: Experiment, task: Task, checkpoints: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    """Return the results of one task, with a leading axis of `task.count` trials.

    Args:
        experiment: the experiment, whose scenario is a `SimMiso`. A scheme option `bare` takes the surface away.
        task: scheme, grid point and trials.
        checkpoints: rounds at which the history is kept; none leaves the history out.

    Returns:
        One array a variable of `metamimo.papers.quantities`.
    """
    score = measured_with_history(checkpoints) if checkpoints else measured
    users = max(_scenario(experiment, index).n_users for index in experiment.grid())
    choice = experiment.schemes[task.scheme].without("bare")
    return run_chunk(choice, scene_of(experiment, task), score, task, users)


def scene_of(experiment: Experiment, task: Task) -> Scene:
    """Return what a task draws; see `compute`."""
    scenario = _scenario(experiment, task.index)
    bare = bool(experiment.schemes[task.scheme].options.get("bare", False))
    surface = bare_array(scenario) if bare else stack(scenario, deepest_stack(experiment, scenario.n_elements))
    sizes = (scenario.n_users, scenario.objective)
    return Scene(draw_problem, sizes, surface, physical(scenario, surface), experiment.seed)


def stack(scenario: SimMiso, max_layers: int) -> StackedSurface:
    """Return the stacked metasurface of a scenario, with room for a deeper one."""
    wavelength = LIGHT / scenario.carrier
    surface = isotropic_stack(
        n_layers=scenario.n_layers,
        max_layers=max_layers,
        n_elements=scenario.n_elements,
        n_ports=scenario.n_ports,
        wavelength=wavelength,
        element_spacing=scenario.element_spacing * wavelength,
        antenna_spacing=scenario.antenna_spacing * wavelength,
        layer_spacing=scenario.spacing * wavelength,
        feed_distance=scenario.feeding * wavelength,
        kernel=scenario.kernel,
        insertion_loss_db=scenario.insertion_loss_db,
        antenna_array="line",
    )
    if scenario.amplitude_floor == 1:
        return surface
    feasible = PhaseDependentAmplitude.of((max_layers, scenario.n_elements), floor=scenario.amplitude_floor)
    return eqx.tree_at(lambda stacked: stacked.feasible, surface, feasible)


def bare_array(scenario: SimMiso) -> FullyDigital:
    """Return the line of antennas without metasurface (No-SIM); uncoupled ports, as the paper has it."""
    wavelength = LIGHT / scenario.carrier
    antennas = line_positions(scenario.n_ports, scenario.antenna_spacing * wavelength)
    return FullyDigital.build(Isotropic().coupling(antennas, wavelength), matched=False)


def physical(scenario: SimMiso, surface: Surface) -> Numbers:
    """Return the traced numbers of a scenario; a bare array has no controller to feed."""
    control = 0.0 if isinstance(surface, FullyDigital) else scenario.control_power
    return Numbers(
        root=jnp.asarray(psd_root(np.asarray(surface.coupling[0]))),
        consumption=Consumption.of(
            per_chain=scenario.chain_power,
            static=scenario.static_power,
            per_element=scenario.element_power,
            control=control,
            per_user=scenario.user_power,
            amplifier_efficiency=scenario.amplifier_efficiency,
        ),
        power=jnp.asarray(dbm_to_watt(scenario.power_dbm)),
        port_power=jnp.asarray(dbm_to_watt(scenario.port_power_dbm)),
        noise=jnp.asarray(dbm_to_watt(scenario.noise_dbm)),
        evm=jnp.asarray(scenario.evm),
        bandwidth=jnp.asarray(scenario.bandwidth),
        carrier=jnp.asarray(scenario.carrier),
        distance=jnp.asarray(scenario.distance),
        radius=jnp.asarray(scenario.radius),
        height=jnp.asarray(scenario.station_height - scenario.user_height),
        path_loss_exponent=jnp.asarray(scenario.path_loss_exponent),
        min_rate=jnp.asarray(scenario.min_rate / NAT_TO_BIT),
    )


def draw_problem(surface: Surface, numbers: Numbers, key: Array, users: int, objective: Objective) -> Problem:
    """Draw one realisation: users in the disc, correlated Rayleigh fading, perfect channel knowledge.

    Args:
        surface: the transmitter.
        numbers: traced numbers of the scenario.
        key: key of the trial.
        users: users, with one antenna each.
        objective: what is maximised.

    Returns:
        Problem (16).
    """
    distance = disc_distances(purpose_key(key, "users"), users, numbers.distance, numbers.radius, numbers.height)
    gain = path_gain(distance, LIGHT / numbers.carrier, numbers.path_loss_exponent)
    channel = correlated_rayleigh(purpose_key(key, "fading"), gain, 1, numbers.root)
    link = Link.broadcast(
        surface,
        channel,
        noise_power=numbers.noise,
        bandwidth=numbers.bandwidth,
        frequency=numbers.carrier,
        evm=numbers.evm,
    )
    limits = (Limit(numbers.power[None]), Limit(jnp.full((1, surface.n_ports), numbers.port_power)))
    rates = jnp.full(users, numbers.min_rate)
    return Problem(link=link, limits=limits, consumption=numbers.consumption, min_rate=rates, objective=objective)


def _scenario(experiment: Experiment, index: tuple[int, ...]) -> SimMiso:
    scenario = scenario_at(experiment, index)
    assert isinstance(scenario, SimMiso)
    return scenario
