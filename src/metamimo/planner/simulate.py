"""One task of a plan. Layers and antennas are data: one compiled program serves all cells of equal meta-atoms."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from metamimo.experiments.config import Experiment, scenario_at
from metamimo.experiments.tasks import Task
from metamimo.papers.chunks import Scene, measured, run_chunk
from metamimo.papers.sim_miso_ee.scenario import SimMiso
from metamimo.papers.sim_miso_ee.simulate import Numbers, bare_array, draw_problem, physical, stack
from metamimo.papers.stacks import deepest_stack
from metamimo.problem import Objective, Problem
from metamimo.surfaces.base import Surface
from metamimo.surfaces.digital import FullyDigital
from metamimo.surfaces.stacked import StackedSurface


class Masked(eqx.Module):
    """Numbers of the scenario and the antennas that exist."""

    numbers: Numbers
    ports: Bool[Array, " port"]


def compute(experiment: Experiment, task: Task) -> dict[str, np.ndarray]:
    """Return the results of one task, with a leading axis of `task.count` trials.

    Args:
        experiment: the experiment, whose scenario is a `SimMiso`. A scheme option `bare` takes the surface away.
        task: scheme, grid point and trials.
    """
    scenario = _scenario(experiment, task.index)
    most = max(_scenario(experiment, index).n_ports for index in experiment.grid())
    choice = experiment.schemes[task.scheme]
    surface = _bare(scenario, most) if choice.options.get("bare") else _padded(experiment, scenario, most)
    numbers = Masked(physical(scenario, surface), jnp.arange(most) < scenario.n_ports)
    scene = Scene(draw, (scenario.n_users, scenario.objective), surface, numbers, experiment.seed)
    return run_chunk(choice.without("bare"), scene, measured, task, scenario.n_users)


def draw(surface: Surface, masked: Masked, key: Array, users: int, objective: Objective) -> Problem:
    """Draw one realisation, with the antennas that do not exist switched off."""
    problem = draw_problem(surface, masked.numbers, key, users, objective)
    return eqx.tree_at(lambda p: p.link.ports, problem, masked.ports[None])


def _padded(experiment: Experiment, scenario: SimMiso, most: int) -> StackedSurface:
    """Return the stack with room for the most antennas and layers of the grid."""
    surface = stack(scenario, deepest_stack(experiment, scenario.n_elements))
    return _with_ports(surface, most)


def _with_ports(surface: StackedSurface, most: int) -> StackedSurface:
    first = np.pad(np.asarray(surface.first), ((0, 0), (0, most - surface.n_ports)))
    return StackedSurface(
        first,
        np.asarray(surface.hops),
        np.asarray(surface.coupling[0]),
        n_layers=int(surface.n_layers),
        max_layers=surface.feasible.shape[0],
        feasible=surface.feasible,
    )


def _bare(scenario: SimMiso, most: int) -> FullyDigital:
    """Return the line of the most antennas; the first ones of it are a shorter line."""
    return bare_array(scenario.replace(n_ports=most))


def _scenario(experiment: Experiment, index: tuple[int, ...]) -> SimMiso:
    scenario = scenario_at(experiment, index)
    assert isinstance(scenario, SimMiso)
    return scenario
