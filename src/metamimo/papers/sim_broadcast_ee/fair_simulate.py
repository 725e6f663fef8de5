"""One task of `fair`: an architecture on the common aperture, in the common world, at the common prices."""

import functools
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from metamimo.batching import map_realisations
from metamimo.errors import ConfigError
from metamimo.experiments.config import Experiment, SchemeChoice, scenario_at
from metamimo.experiments.tasks import Task
from metamimo.geometry.planar import grid_positions, grid_shape
from metamimo.metrics.evaluate import evaluate
from metamimo.metrics.physics import energy_gain
from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast
from metamimo.papers.sim_broadcast_ee.simulate import Numbers, draw_problem, physical
from metamimo.physics.patterns import ElementPattern, FieldSample
from metamimo.problem import Link
from metamimo.randomness import trial_key
from metamimo.schemes.multistart import best_of_starts
from metamimo.schemes.registry import SCHEMES
from metamimo.surfaces.base import Surface
from metamimo.surfaces.digital import FullyDigital
from metamimo.surfaces.hybrid import FullyConnectedHybrid, SubConnectedHybrid
from metamimo.surfaces.stacked import StackedSurface

FLUX = 6 / np.pi
"""Power at the input of a stack per radiated watt of its antennas, if each radiates alone: 2.8 dB.

The antennas accept |a|^2; the flux that leaves them is a^H C a with the diagonal pi/6 (fair comparison, section 2).
"""

_HYBRIDS: dict[str, tuple[type[FullyConnectedHybrid] | type[SubConnectedHybrid], dict[str, Any]]] = {
    "hybrid-full": (FullyConnectedHybrid, {}),
    "hybrid-full-decoupled": (FullyConnectedHybrid, {"combiner_loss": False, "matching": "ports"}),
    "hybrid-full-no-combiners": (FullyConnectedHybrid, {"combiner_loss": False}),
    "hybrid-sub": (SubConnectedHybrid, {"matching": "elements"}),
    "hybrid-sub-decoupled": (SubConnectedHybrid, {}),
}
ARCHITECTURES = ("stack", "stack-flux", *_HYBRIDS, "digital-aperture", "digital-bare")


class Transmitter(eqx.Module):
    """An architecture and where it stands on the aperture.

    Attributes:
        surface: the architecture.
        elements: which elements of the aperture it drives.
        aperture: all elements; the channel is drawn for them, whoever uses it.
    """

    surface: Surface
    elements: Int[Array, " element"]
    aperture: FullyDigital


def compute(experiment: Experiment, task: Task) -> dict[str, np.ndarray]:
    """Return the results of one task, with a leading axis of `task.count` trials.

    Args:
        experiment: the experiment, whose scenario is a `SimBroadcast` and whose scheme options name an architecture.
        task: scheme, grid point and trials.

    Returns:
        One array a variable of `fair.VARIABLES`.
    """
    scenario = _scenario(experiment, task.index)
    lowest = min(_scenario(experiment, index).element_power for index in experiment.grid())
    # The last chunk is padded, so that one program serves all chunks.
    trials = tuple(min(task.first + i, task.first + task.count - 1) for i in range(task.chunk))
    choice = experiment.schemes[task.scheme]
    found = _designed(choice, tuple(scenario.replace(element_power=lowest)), experiment.seed, trials)
    if found["at_limit"].all():
        found = repriced(found, scenario.element_power - lowest)
    else:
        found = _designed(choice, tuple(scenario), experiment.seed, trials)
    return {name: values[: task.count] for name, values in found.items() if name != "at_limit"}


def repriced(found: dict[str, np.ndarray], rise: float) -> dict[str, np.ndarray]:
    """Return results at a higher price of a tunable element, for designs that the power limit holds at full power.

    There a higher consumption moves no design: it stays stationary, only the multiplier of the limit grows.

    Args:
        found: results at the lower price.
        rise: higher minus lower price [W].

    Returns:
        The same with the other consumption and energy efficiency.
    """
    consumed = found["consumed"] + found["n_tunable"] * rise
    efficiency = found["energy_efficiency"] * found["consumed"] / consumed
    return found | {"consumed": consumed, "energy_efficiency": efficiency}


def transmitter(architecture: str, scenario: SimBroadcast) -> Transmitter:
    """Return an architecture on the aperture of a scenario, the element grid of a metasurface layer.

    All elements are field samples, for drawing and for budgeting. Antennas and hybrid arrays are matched, so that they
    lose nothing by coupling.

    Args:
        architecture: one of `ARCHITECTURES`.
        scenario: geometry, number of chains, kernel and insertion loss.

    Returns:
        The transmitter.

    Raises:
        ConfigError: if there is none of that name.
    """
    pitch = scenario.element_spacing * scenario.wavelength
    pattern = FieldSample(pitch**2)
    coupling = pattern.coupling(grid_positions(scenario.n_elements, pitch), scenario.wavelength)
    elements = np.arange(scenario.n_elements)
    if architecture in ("stack", "stack-flux"):
        surface: Surface = _stack(scenario, pattern, FLUX if architecture == "stack-flux" else 1.0)
    elif architecture in _HYBRIDS:
        kind, options = _HYBRIDS[architecture]
        surface = kind.build(coupling, scenario.n_ports, insertion_loss_db=scenario.insertion_loss_db, **options)
    elif architecture == "digital-aperture":
        surface = FullyDigital.build(coupling, matched=True)
    elif architecture == "digital-bare":
        elements = _middle(scenario.n_elements, scenario.n_ports)
        surface = FullyDigital.build(coupling[np.ix_(elements, elements)], matched=True)
    else:
        raise ConfigError(f"architecture: must be one of {', '.join(ARCHITECTURES)}, got {architecture!r}")
    return Transmitter(surface, jnp.asarray(elements), FullyDigital.build(coupling))


def _stack(scenario: SimBroadcast, pattern: ElementPattern, input_gain: float) -> StackedSurface:
    stack = StackedSurface.build(
        n_layers=scenario.n_layers,
        n_elements=scenario.n_elements,
        n_ports=scenario.n_ports,
        wavelength=scenario.wavelength,
        element_spacing=scenario.element_spacing * scenario.wavelength,
        antenna_spacing=scenario.antenna_spacing * scenario.wavelength,
        layer_spacing=scenario.layer_spacing * scenario.wavelength,
        pattern=pattern,
        kernel=scenario.kernel,
        insertion_loss_db=scenario.insertion_loss_db,
    )
    first, hops, coupling = (np.asarray(a) for a in (stack.first, stack.hops, stack.coupling[0]))
    return StackedSurface(first * input_gain**0.5, hops, coupling, n_layers=scenario.n_layers)


def _middle(elements: int, antennas: int) -> np.ndarray:
    """Return the elements in the middle of the aperture that a small array without surface consists of."""
    (along_x, along_y), (width, height) = grid_shape(elements), grid_shape(antennas)
    if width > along_x or height > along_y:
        raise ConfigError(f"n_ports: {width} x {height} antennas must fit into {along_x} x {along_y} elements")
    left, low = (along_x - width) // 2, (along_y - height) // 2
    return np.arange(elements).reshape(along_y, along_x)[low : low + height, left : left + width].ravel()


def _scenario(experiment: Experiment, index: tuple[int, ...]) -> SimBroadcast:
    scenario = scenario_at(experiment, index)
    assert isinstance(scenario, SimBroadcast)
    return scenario


@functools.lru_cache(maxsize=64)
def _designed(choice: SchemeChoice, given: tuple, seed: int, trials: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Design and score some trials; kept, because the prices of a grid share their designs.

    Args:
        choice: options that are fields of the scenario change the scenario, the others go to the scheme.
        given: fields and values of the scenario.
        seed: seed of the experiment.
        trials: numbers of the trials.

    Returns:
        One array a variable, and `at_limit`.
    """
    options = dict(choice.options)
    architecture = str(options.pop("architecture"))
    changes = {name: options.pop(name) for name in tuple(options) if name in SimBroadcast.model_fields}
    scenario = SimBroadcast.model_validate(dict(given) | changes)
    sender = transmitter(architecture, scenario)
    program = _program(choice.scheme, tuple(sorted(options.items())), scenario.n_users, scenario.n_rx)
    began = time.perf_counter()
    out = jax.device_get(program(sender, physical(scenario, sender.aperture), seed, jnp.asarray(trials)))
    return out | {"seconds": np.full(len(trials), (time.perf_counter() - began) / len(trials))}


@functools.cache
def _program(scheme: str, options: tuple[tuple[str, Any], ...], users: int, rx: int) -> Callable[..., dict[str, Array]]:
    """Return the program of one scheme over a chunk of trials; JAX compiles it once an architecture."""
    function = SCHEMES.get(scheme)

    def chunk(sender: Transmitter, numbers: Numbers, seed: Int[Array, ""], trials: Int[Array, " trial"]) -> dict:
        def one(trial: Int[Array, ""]) -> dict[str, Array]:
            key = trial_key(seed, trial)
            world = draw_problem(sender.aperture, numbers, key, users, rx)
            link = Link.broadcast(
                sender.surface,
                world.link.channel[0, 0][..., sender.elements],
                noise_power=numbers.noise,
                bandwidth=numbers.bandwidth,
                frequency=world.link.frequencies[0],
            )
            problem = eqx.tree_at(lambda p: p.link, world, link)
            solution = best_of_starts(function, problem, key=key, **dict(options))
            scored = evaluate(problem, solution.design)
            accepted = scored.ledger.accepted.sum()
            return {
                "energy_efficiency": scored.energy_efficiency * 1e-6,
                "sum_rate": scored.sum_rate,
                "accepted": accepted,
                "radiated": scored.ledger.radiated.sum(),
                "consumed": scored.ledger.consumed,
                "energy_gain": energy_gain(problem, solution.design).max(),
                "n_tunable": jnp.asarray(sender.surface.n_tunable),
                "served": scored.served,
                "status": solution.status,
                "iterations": solution.iterations,
                "start_spread": (solution.start_values.max() - solution.start_values.min()) * 1e-6,
                "at_limit": accepted >= numbers.power * (1 - 1e-9),
            }

        return map_realisations(one, trials)

    return jax.jit(chunk)
