"""One task of the study: design in one model of the stack, score in the coupled one."""

import functools
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int, Key

from metamimo.batching import map_realisations
from metamimo.bounds.of_problem import upper_bound
from metamimo.channels.plane_waves import (
    PlaneWaves,
    aperture_channel,
    co_polar,
    dipole_channel,
    scattered_waves,
)
from metamimo.conventions import SPEED_OF_LIGHT
from metamimo.errors import ConfigError
from metamimo.experiments.config import Experiment, scenario_at
from metamimo.experiments.tasks import Task
from metamimo.geometry.planar import grid_positions
from metamimo.metrics.evaluate import evaluate
from metamimo.papers.sim_physical.scenario import LAYERS, SimPhysical
from metamimo.physics.kernels import Kernel
from metamimo.physics.patterns import FieldSample
from metamimo.problem import Consumption, Design, Limit, Link, Problem, Solution
from metamimo.randomness import purpose_key, trial_key
from metamimo.schemes.fixed_state import behind_surface, best_precoder, with_start
from metamimo.schemes.hybrid_joint import dirty_paper_phases, hybrid_joint
from metamimo.surfaces.coupled import CoupledStack
from metamimo.surfaces.dipole_stack import Budget, DipoleStack
from metamimo.surfaces.stacked import StackedSurface

STARTS = 4
"""Random starts of a design."""
ERRORS = (0.05, 0.2)
"""Phase errors [rad rms]."""
DETUNING = (0.98, 0.99, 1.01, 1.02)
EXAMINED = ("phase_error_5", "phase_error_20", "lossy", "one_percent_off", "two_percent_off")
"""Sum rates away from what a design was made for."""

_STOP = {"tolerance": 1e-6, "window": 10}

States = Complex[Array, "trial *state"]
Results = Mapping[str, np.ndarray | Array]


class Antenna(eqx.Module):
    """A model of the antenna and where its elements are.

    Attributes:
        surface: stack of dipoles, or of ideal layers.
        positions: of the last layer's elements, for ideal layers [m].
        area: of a cell of that layer [m^2].
        wavelength: [m].
    """

    surface: DipoleStack | StackedSurface
    positions: Float[Array, "element 3"]
    area: Float[Array, ""]
    wavelength: Float[Array, ""]


class Chunk(NamedTuple):
    """What all programs of a task share: scenario, seed, and its trials."""

    scenario: SimPhysical
    seed: int
    trials: tuple[int, ...]

    @property
    def sizes(self) -> tuple[int, int]:
        """Users, and waves a user; none stands for one user straight ahead."""
        return self.scenario.n_users, 0 if self.scenario.broadside else self.scenario.paths


class Designed(NamedTuple):
    """Best designs of a chunk, trials first."""

    state: States
    measured: dict[str, Array]


def compute(experiment: Experiment, task: Task) -> dict[str, np.ndarray]:
    """Return the results of one task, with a leading axis of `task.count` trials.

    Args:
        experiment: the experiment, whose scenario is a `SimPhysical`; the scheme option `model` names a curve.
        task: scheme, grid point and trials.

    Returns:
        One array a variable of `layers.VARIABLES`; what a model does not know is nan.
    """
    scenario = scenario_at(experiment, task.index)
    assert isinstance(scenario, SimPhysical)
    # The last chunk is padded, so that one program serves all chunks.
    trials = tuple(min(task.first + i, task.first + task.count - 1) for i in range(task.chunk))
    began = time.perf_counter()
    model = str(experiment.schemes[task.scheme].options["model"])
    if model not in MODELS:
        raise ConfigError(f"model: must be one of {', '.join(MODELS)}, got {model!r}")
    found = MODELS[model](Chunk(scenario, experiment.seed, trials))
    results = {name: np.asarray(values)[: task.count] for name, values in found.items()}
    seconds = (time.perf_counter() - began) / task.chunk
    return results | {"seconds": np.full(task.count, seconds)}


def _promised(kernel: Kernel, chunk: Chunk) -> Results:
    """Design and score in the usual model."""
    unknown = dict.fromkeys(EXAMINED, np.full(len(chunk.trials), np.nan))
    return {**usual_design(chunk, kernel).measured, **unknown}


def _delivered(kernel: Kernel, chunk: Chunk) -> Results:
    """Phases of the usual model in the coupled one, with the precoder that is best there."""
    return examined(chunk, usual_design(chunk, kernel).state, "accepted")


def _random(chunk: Chunk) -> Results:
    """Random phases in the coupled model, the first start of the designs."""
    feasible = coupled_antenna(chunk.scenario, chunk.scenario.n_layers, budget="accepted").surface.feasible
    keys = [_start_key(trial_key(chunk.seed, trial), 0) for trial in chunk.trials]
    return examined(chunk, jnp.stack([feasible.random(key) for key in keys]), "accepted")


def _bare(chunk: Chunk) -> Results:
    """No layers: the antennas alone."""
    none = jnp.ones((len(chunk.trials), 0, chunk.scenario.elements), complex)
    return examined(chunk, none, "accepted")


def _coupled(budget: Budget, chunk: Chunk) -> Results:
    found = coupled_design(chunk, budget)
    return {**examined(chunk, found.state, budget), **found.measured}


MODELS: dict[str, Callable[[Chunk], Results]] = {
    "bare": _bare,
    "random": _random,
    "usual": functools.partial(_promised, "sampled"),
    "usual-clipped": functools.partial(_promised, "clipped"),
    "usual-band-limited": functools.partial(_promised, "band_limited"),
    "delivered": functools.partial(_delivered, "sampled"),
    "delivered-band-limited": functools.partial(_delivered, "band_limited"),
    "coupled": functools.partial(_coupled, "accepted"),
    "coupled-available": functools.partial(_coupled, "available"),
}


@functools.lru_cache(maxsize=64)
def usual_design(chunk: Chunk, kernel: Kernel) -> Designed:
    """Return the best of the random starts in the usual model."""
    antenna = usual_antenna(chunk.scenario, kernel)
    return _best(chunk, antenna, None)


@functools.lru_cache(maxsize=64)
def coupled_design(chunk: Chunk, budget: Budget) -> Designed:
    """Return the best design in the coupled model.

    Starts are random states, the usual model's design, and a third: where a stack of fewer layers is part of this one,
    the best design of that with new layers that are transparent, else the design of the band-limited usual model.
    """
    scenario = chunk.scenario
    fewer = [level for level in LAYERS if level < scenario.n_layers]
    if scenario.is_nested and fewer:
        below = coupled_design(chunk._replace(scenario=scenario.replace(n_layers=fewer[-1])), budget).state
        third = jnp.pad(below, ((0, 0), (0, scenario.n_layers - fewer[-1]), (0, 0)), constant_values=1)
    else:
        third = usual_design(chunk, "band_limited").state
    antenna = coupled_antenna(scenario, scenario.n_layers, budget=budget)
    return _best(chunk, antenna, jnp.stack([usual_design(chunk, "sampled").state, third], 1))


def examined(chunk: Chunk, states: States, budget: Budget) -> Results:
    """Score states in the coupled model: as they are, with phase errors, with loss, and off the carrier.

    The precoder is the best one on the channel that it meets, since that is what a transmitter measures.

    Args:
        chunk: scenario and trials.
        states: of every trial.
        budget: what the port waves count.
    """
    scenario, layers = chunk.scenario, states.shape[1]
    variants = [coupled_antenna(scenario, layers, budget=budget, loss=loss) for loss in (0.0, scenario.loss)]
    variants += [coupled_antenna(scenario, layers, budget=budget, detuning=x) for x in DETUNING]
    every = jax.tree.map(lambda *leaves: jnp.stack(leaves), *variants)
    program = _examination(*chunk.sizes)
    return jax.device_get(program(every, scenario.snr, chunk.seed, jnp.asarray(chunk.trials), states))


def usual_antenna(scenario: SimPhysical, kernel: Kernel) -> Antenna:
    """Return the stack of ideal layers, antennas and atoms where those of the coupled model are."""
    wavelength = SPEED_OF_LIGHT / scenario.carrier
    pitch, gap = scenario.element_spacing * wavelength, scenario.spacing * wavelength
    surface = StackedSurface.build(
        n_layers=scenario.n_layers,
        n_elements=scenario.elements,
        n_ports=scenario.n_ports,
        wavelength=wavelength,
        element_spacing=pitch,
        antenna_spacing=scenario.antenna_spacing * wavelength,
        layer_spacing=gap,
        pattern=FieldSample(pitch**2),
        kernel=kernel,
        antenna_array="line",
    )
    height = scenario.antenna_height * wavelength + scenario.n_layers * gap
    return _antenna(scenario, surface, grid_positions(scenario.elements, pitch, height, long_side="x"))


@functools.lru_cache(maxsize=64)
def coupled_antenna(
    scenario: SimPhysical, n_layers: int, *, budget: Budget, loss: float = 0.0, detuning: float = 1.0
) -> Antenna:
    """Return the stack of coupled dipoles at the carrier, or off it."""
    wavelength = SPEED_OF_LIGHT / scenario.carrier
    surface = CoupledStack.build(
        n_layers=n_layers,
        n_elements=scenario.elements,
        n_ports=scenario.n_ports,
        wavelength=wavelength,
        element_spacing=scenario.element_spacing * wavelength,
        layer_spacing=scenario.spacing * wavelength,
        antenna_spacing=scenario.antenna_spacing * wavelength,
        antenna_height=scenario.antenna_height * wavelength,
        loss=loss,
        budget=budget,
        quality=scenario.quality,
        detuning=(detuning,),
    )
    return _antenna(scenario, surface, np.zeros((0, 3)))


def _antenna(scenario: SimPhysical, surface: DipoleStack | StackedSurface, positions: np.ndarray) -> Antenna:
    wavelength = SPEED_OF_LIGHT / scenario.carrier
    area = (scenario.element_spacing * wavelength) ** 2
    return Antenna(surface, jnp.asarray(positions), jnp.asarray(area), jnp.asarray(wavelength))


def draw_problem(antenna: Antenna, snr: Array, key: Key[Array, ""], users: int, paths: int) -> Problem:
    """Draw one realisation: plane waves that are the same for every model; one watt, the sum rate."""
    if paths:
        waves = scattered_waves(purpose_key(key, "fading"), jnp.ones(users), paths)
    else:
        ahead = co_polar(jnp.ones((users, 1)), jnp.zeros((users, 1)))
        waves = PlaneWaves(*ahead, jnp.ones((users, 1), complex))
    surface = antenna.surface
    if isinstance(surface, DipoleStack):
        channel = dipole_channel(surface, waves)
    else:
        channel = aperture_channel(antenna.positions, antenna.area, antenna.wavelength, waves)
    frequency = SPEED_OF_LIGHT / antenna.wavelength
    return Problem(
        link=Link.broadcast(surface, channel, noise_power=1 / snr, bandwidth=1.0, frequency=frequency),
        limits=(Limit(jnp.ones(1)),),
        consumption=Consumption.of(per_chain=0.0, static=1.0),
        min_rate=jnp.zeros(users),
        objective="sum_rate",
    )


def _start_key(key: Key[Array, ""], number: int | Array) -> Key[Array, ""]:
    return jax.random.fold_in(purpose_key(key, "start"), number)


def _best(chunk: Chunk, antenna: Antenna, given: Complex[Array, "trial start *state"] | None) -> Designed:
    """Run the joint design from random and given states, and keep the best of every trial."""
    if given is None:
        given = jnp.zeros((len(chunk.trials), 0, *antenna.surface.feasible.shape), complex)
    return _design(*chunk.sizes)(antenna, chunk.scenario.snr, chunk.seed, jnp.asarray(chunk.trials), given)


@functools.cache
def _design(users: int, paths: int) -> Callable[..., Designed]:
    def one(antenna: Antenna, snr: Array, seed: Array, trial: Array, given: Array) -> Designed:
        key = trial_key(seed, trial)
        problem = draw_problem(antenna, snr, key, users, paths)

        def fresh(number: Array) -> Array:
            random = antenna.surface.feasible.random(_start_key(key, number))
            return dirty_paper_phases(problem, random, 30)

        def improved(state: Array) -> Solution:
            return hybrid_joint(problem, key=key, start=with_start(problem, state), selection="none", **_STOP)

        starts = jnp.concatenate([jax.lax.map(fresh, jnp.arange(STARTS)), given])
        every = jax.lax.map(improved, starts)
        best = jax.tree.map(lambda a: a[jnp.nanargmax(every.value)], every)
        scored = evaluate(problem, best.design)
        measured = {
            "sum_rate": scored.sum_rate,
            "rate": scored.rates,
            "served": scored.served,
            "radiated": scored.ledger.radiated.sum(),
            "energy_gain": antenna.surface.energy_gain(best.design.state[0][0]),
            "upper_bound": _bound_of(problem),
            "start_spread": every.value.max() - every.value[:STARTS].min(),
            "best_start": jnp.nanargmax(every.value),
            "status": best.status,
            "iterations": every.iterations.sum(),
            "line_search_trials": every.trials.sum(),
        }
        return Designed(best.design.state[0][0], measured)

    return _over_trials(one)


def _bound_of(problem: Problem) -> Float[Array, ""]:
    bound = upper_bound(problem, "cheap")
    return jnp.asarray(jnp.nan) if bound is None else bound.value


@functools.cache
def _examination(users: int, paths: int) -> Callable[..., Results]:
    def one(variants: Antenna, snr: Array, seed: Array, trial: Array, state: Array) -> dict[str, Array]:
        key = trial_key(seed, trial)
        error = jax.random.normal(purpose_key(key, "scheme"), state.shape)

        def met(antenna: Antenna, state: Array) -> Solution:
            problem = draw_problem(antenna, snr, key, users, paths)
            return best_precoder(behind_surface(problem, state), key=key, **_STOP)

        wrong = [(0, state * jnp.exp(1j * x * error)) for x in ERRORS]
        cases = [(variant, state) for variant in range(2 + len(DETUNING))] + wrong
        numbers = jnp.array([variant for variant, _ in cases])
        every = jax.lax.map(
            lambda case: met(jax.tree.map(lambda a: a[case[0]], variants), case[1]),
            (numbers, jnp.stack([state for _, state in cases])),
        )
        nominal, as_it_is = (jax.tree.map(lambda a: a[0], tree) for tree in (variants, every))
        problem = draw_problem(nominal, snr, key, users, paths)
        scored = evaluate(problem, Design((state[None],), as_it_is.design.precoder))
        _, lossy, two_below, one_below, one_above, two_above, small_error, large_error = every.value
        return {
            "sum_rate": scored.sum_rate,
            "rate": scored.rates,
            "served": scored.served,
            "radiated": scored.ledger.radiated.sum(),
            "energy_gain": nominal.surface.energy_gain(state),
            "upper_bound": jnp.asarray(jnp.nan),
            "start_spread": jnp.asarray(jnp.nan),
            "best_start": jnp.asarray(-1),
            "status": as_it_is.status,
            "iterations": as_it_is.iterations,
            "line_search_trials": as_it_is.trials,
            "phase_error_5": small_error,
            "phase_error_20": large_error,
            "lossy": lossy,
            "one_percent_off": (one_below + one_above) / 2,
            "two_percent_off": (two_below + two_above) / 2,
        }

    return _over_trials(one)


def _over_trials(one: Callable) -> Callable:
    """Return the program of a chunk: the last two arguments have a leading axis of trials."""

    def chunk(antenna: Antenna, snr: Array, seed: Array, trials: Int[Array, " trial"], states: Array) -> object:
        return map_realisations(lambda pair: one(antenna, snr, seed, *pair), (trials, states))

    return jax.jit(chunk)
