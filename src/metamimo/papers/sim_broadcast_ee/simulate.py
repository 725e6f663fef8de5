"""One task of an experiment: draw the channels of some trials, design on each, and score; the room where JAX starts."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from metamimo.channels.rayleigh import correlated_rayleigh, path_gain
from metamimo.conventions import SPEED_OF_LIGHT, dbm_to_watt
from metamimo.experiments.config import Experiment, scenario_at
from metamimo.experiments.tasks import Task
from metamimo.geometry.planar import grid_positions
from metamimo.geometry.users import annulus_distances
from metamimo.papers.chunks import Scene, measured, measured_with_history, run_chunk
from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast
from metamimo.papers.stacks import deepest_stack, isotropic_stack
from metamimo.physics.patterns import Isotropic, psd_root
from metamimo.problem import Consumption, Limit, Link, Problem
from metamimo.randomness import purpose_key
from metamimo.surfaces.base import Surface
from metamimo.surfaces.digital import FullyDigital
from metamimo.surfaces.stacked import StackedSurface

BARE_ARRAY = ("lp-nosim", "dpc-nosim")
"""Schemes that drive the antennas without a metasurface in front."""


class Numbers(eqx.Module):
    """What may change without another compilation.

    Attributes:
        root: root of the correlation matrix of the transmitting elements, which is their coupling matrix.
        consumption: power model.
        power: limit of the accepted power [W].
        noise: noise power [W].
        bandwidth: [Hz].
        wavelength: [m].
        path_loss_exponent: exponent of the path loss.
        r_min: inner radius of the cell [m].
        r_max: outer radius [m].
    """

    root: Inexact[Array, "element element"]
    consumption: Consumption
    power: Float[Array, ""]
    noise: Float[Array, ""]
    bandwidth: Float[Array, ""]
    wavelength: Float[Array, ""]
    path_loss_exponent: Float[Array, ""]
    r_min: Float[Array, ""]
    r_max: Float[Array, ""]


def compute(experiment: Experiment, task: Task, checkpoints: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    """Return the results of one task, with a leading axis of `task.count` trials.

    Args:
        experiment: the experiment, whose scenario is a `SimBroadcast`.
        task: scheme, grid point and trials.
        checkpoints: iterations at which the history is kept; none leaves the history out.

    Returns:
        One array a variable of `metamimo.papers.quantities`.
    """
    score = measured_with_history(checkpoints) if checkpoints else measured
    users = max(_scenario(experiment, index).n_users for index in experiment.grid())
    return run_chunk(experiment.schemes[task.scheme], scene_of(experiment, task), score, task, users)


def scene_of(experiment: Experiment, task: Task) -> Scene:
    """Return what a task draws; see `compute`."""
    scenario = _scenario(experiment, task.index)
    bare = experiment.schemes[task.scheme].scheme in BARE_ARRAY
    surface = bare_array(scenario) if bare else stack(scenario, deepest_stack(experiment, scenario.n_elements))
    sizes, numbers = (scenario.n_users, scenario.n_rx), physical(scenario, surface)
    # The search for tight bounds takes as long as a design here and gains 3 %.
    return Scene(draw_problem, sizes, surface, numbers, experiment.seed, effort="cheap")


def stack(scenario: SimBroadcast, max_layers: int) -> StackedSurface:
    """Return the stacked metasurface of a scenario, with room for a deeper one."""
    wavelength = scenario.wavelength
    return isotropic_stack(
        n_layers=scenario.n_layers,
        max_layers=max_layers,
        n_elements=scenario.n_elements,
        n_ports=scenario.n_ports,
        wavelength=wavelength,
        element_spacing=scenario.element_spacing * wavelength,
        antenna_spacing=scenario.antenna_spacing * wavelength,
        layer_spacing=scenario.layer_spacing * wavelength,
        kernel=scenario.kernel,
        insertion_loss_db=scenario.insertion_loss_db,
    )


def bare_array(scenario: SimBroadcast) -> FullyDigital:
    """Return the antenna array of a scenario without metasurface; uncoupled ports, as the paper has it."""
    antennas = grid_positions(scenario.n_ports, scenario.antenna_spacing * scenario.wavelength)
    return FullyDigital.build(Isotropic().coupling(antennas, scenario.wavelength), matched=False)


def physical(scenario: SimBroadcast, surface: Surface) -> Numbers:
    """Return the traced numbers of a scenario."""
    return Numbers(
        root=jnp.asarray(psd_root(np.asarray(surface.coupling[0]))),
        consumption=Consumption.of(
            per_chain=scenario.chain_power, static=scenario.static_power, per_element=scenario.element_power
        ),
        power=jnp.asarray(dbm_to_watt(scenario.power_dbm)),
        noise=jnp.asarray(dbm_to_watt(scenario.noise_dbm)),
        bandwidth=jnp.asarray(scenario.bandwidth),
        wavelength=jnp.asarray(scenario.wavelength),
        path_loss_exponent=jnp.asarray(scenario.path_loss_exponent),
        r_min=jnp.asarray(scenario.r_min),
        r_max=jnp.asarray(scenario.r_max),
    )


def draw_problem(surface: Surface, numbers: Numbers, key: Array, users: int, rx: int) -> Problem:
    """Draw one realisation: users in the annulus, correlated Rayleigh fading, perfect channel knowledge.

    Args:
        surface: the transmitter.
        numbers: traced numbers of the scenario.
        key: key of the trial.
        users: users.
        rx: antennas of each user.

    Returns:
        The problem of maximising energy efficiency (eqs. 11 and 12).
    """
    distance = annulus_distances(purpose_key(key, "users"), users, numbers.r_min, numbers.r_max)
    gain = path_gain(distance, numbers.wavelength, numbers.path_loss_exponent)
    channel = correlated_rayleigh(purpose_key(key, "fading"), gain, rx, numbers.root)
    link = Link.broadcast(
        surface,
        channel,
        noise_power=numbers.noise,
        bandwidth=numbers.bandwidth,
        frequency=SPEED_OF_LIGHT / numbers.wavelength,
    )
    limit = Limit(power=numbers.power[None], kind="accepted")
    return Problem(link=link, limits=(limit,), consumption=numbers.consumption, min_rate=jnp.zeros(users))


def _scenario(experiment: Experiment, index: tuple[int, ...]) -> SimBroadcast:
    scenario = scenario_at(experiment, index)
    assert isinstance(scenario, SimBroadcast)
    return scenario
