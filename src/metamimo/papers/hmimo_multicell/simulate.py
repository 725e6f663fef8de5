"""One task of an experiment: draw scenes, place an array on them, design and score."""

import functools
from typing import Literal, get_args

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Key

from metamimo.channels.clustered import clustered_paths, log_distance_gain, path_channel
from metamimo.conventions import dbm_to_watt
from metamimo.errors import ConfigError
from metamimo.experiments.config import Experiment, scenario_at
from metamimo.experiments.tasks import Task
from metamimo.geometry.cells import cell_sites, users_around
from metamimo.geometry.planar import strip_positions
from metamimo.metrics.evaluate import evaluate
from metamimo.metrics.power import emitted_power
from metamimo.papers.chunks import Scene, Score, history_at, largest_fall, run_chunk
from metamimo.papers.hmimo_multicell.scenario import HolographicCells
from metamimo.physics.guides import strip_wave
from metamimo.physics.patterns import Isotropic
from metamimo.problem import Consumption, Limit, Link, Problem, Solution
from metamimo.randomness import purpose_key
from metamimo.surfaces.base import Surface
from metamimo.surfaces.digital import FullyDigital
from metamimo.surfaces.feasible import UnitModulus
from metamimo.surfaces.hologram_sets import LorentzianCircle, OnOff
from metamimo.surfaces.strips import StripArray

Kind = Literal["binary left", "binary centre", "Lorentz left", "Lorentz centre", "hybrid", "digital"]


class Numbers(eqx.Module):
    """What may change without another compilation.

    Attributes:
        positions: elements of a station's array [m].
        sites: stations [m].
        limits: power limits of a station [W].
        area: factor of the channel's power.
        noise, bandwidth: noise power [W] and bandwidth [Hz].
        carrier, wavelength: [Hz], [m].
        r_min, r_max: annulus of the users [m].
        loss_db, exponent, shadowing_db: large-scale loss.
        spread, elevation: angles of the paths [rad].
    """

    positions: Float[Array, "element 3"]
    sites: Float[Array, "bs 2"]
    limits: tuple[Limit, ...]
    area: Float[Array, ""]
    noise: Float[Array, ""]
    bandwidth: Float[Array, ""]
    carrier: Float[Array, ""]
    wavelength: Float[Array, ""]
    r_min: Float[Array, ""]
    r_max: Float[Array, ""]
    loss_db: Float[Array, ""]
    exponent: Float[Array, ""]
    shadowing_db: Float[Array, ""]
    spread: Float[Array, ""]
    elevation: Float[Array, ""]


class Sizes(eqx.Module):
    """What shapes depend on."""

    cells: int = eqx.field(static=True)
    users: int = eqx.field(static=True)
    rx: int = eqx.field(static=True)
    clusters: int = eqx.field(static=True)
    rays: int = eqx.field(static=True)


def compute(experiment: Experiment, task: Task, checkpoints: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    """Return the results of one task, with a leading axis of `task.count` trials.

    Args:
        experiment: the experiment, whose scenario is a `HolographicCells`; the scheme option `array` names a `Kind`.
        task: scheme, grid point and trials.
        checkpoints: iterations at which the history is kept, with the number that 95 % of its end take; none leaves
            both out.

    Returns:
        One array a variable of `figures.VARIABLES`.
    """
    scenario = _scenario(experiment, task)
    score = measured_with_history(checkpoints) if checkpoints else measured
    choice = experiment.schemes[task.scheme].without("array")
    return run_chunk(choice, scene_of(experiment, task), score, task, scenario.n_cells * scenario.n_users)


def scene_of(experiment: Experiment, task: Task) -> Scene:
    """Return what a task draws; see `compute`."""
    scenario = _scenario(experiment, task)
    surface, positions = array_of(scenario, str(experiment.schemes[task.scheme].options["array"]))
    numbers = physical(scenario, surface, positions)
    return Scene(draw_problem, (sizes_of(scenario),), surface, numbers, experiment.seed)


def _scenario(experiment: Experiment, task: Task) -> HolographicCells:
    scenario = scenario_at(experiment, task.index)
    assert isinstance(scenario, HolographicCells)
    return scenario


def sizes_of(scenario: HolographicCells) -> Sizes:
    """Return what the shapes of a scenario depend on."""
    return Sizes(scenario.n_cells, scenario.n_users, scenario.n_rx, scenario.clusters, scenario.rays)


def array_of(scenario: HolographicCells, kind: str) -> tuple[Surface, np.ndarray]:
    """Return the array of a station and the positions of its elements.

    Conventional arrays have elements half a wavelength apart on the same length; their chains feed a row each.

    Raises:
        ConfigError: if the kind is unknown.
    """
    if kind not in get_args(Kind):
        raise ConfigError(f"array: must be one of {', '.join(get_args(Kind))}, got {kind!r}")
    wavelength, conventional = scenario.wavelength, kind in ("hybrid", "digital")
    count = scenario.columns if conventional else scenario.per_strip
    spacing = (0.5 if conventional else scenario.element_spacing) * wavelength
    positions = strip_positions(scenario.n_chains, count, spacing, scenario.strip_spacing * wavelength)
    coupling = Isotropic().coupling(positions, wavelength)
    elements = len(positions)
    if kind == "digital":
        return FullyDigital.build(coupling), positions
    if kind == "hybrid":
        divider = np.full((scenario.n_chains, count), count**-0.5)
        return StripArray.build(divider, coupling, feasible=UnitModulus((elements,))), positions
    centre = kind.endswith("centre")
    wave = strip_wave(
        count,
        spacing,
        attenuation=scenario.attenuation,
        wavenumber=scenario.wavenumber,
        feeding="centre" if centre else "left",
        split=centre and scenario.budget == "split wave",
    )
    binary = kind.startswith("binary")
    feasible = OnOff((elements,), amplitude=scenario.amplitude) if binary else LorentzianCircle((elements,))
    return StripArray.build(np.tile(wave, (scenario.n_chains, 1)), coupling, feasible=feasible), positions


def power_limits(scenario: HolographicCells, surface: Surface) -> tuple[Limit, ...]:
    """Return the limits of a station whose elements together radiate P on average, or exactly.

    With a unit wave at every element, half of whose states' power is on average gone, a chain may have 2 P / (S N);
    lossless dividers give P / S a chain, and P / M an element (section 12 of the specification).
    """
    power, stations = dbm_to_watt(scenario.power_dbm), scenario.n_cells
    if scenario.budget == "field":
        return (Limit(jnp.full(stations, power), "radiated"),)
    unit_wave = isinstance(surface, StripArray) and not isinstance(surface.feasible, UnitModulus)
    chain = 2 * power / surface.n_elements if unit_wave else power / surface.n_ports
    return (Limit(jnp.full((stations, surface.n_ports), chain)),)


def physical(scenario: HolographicCells, surface: Surface, positions: np.ndarray) -> Numbers:
    """Return the traced numbers of a scenario."""
    hologram = isinstance(surface, StripArray) and not isinstance(surface.feasible, UnitModulus)
    return Numbers(
        positions=jnp.asarray(positions),
        sites=jnp.asarray(cell_sites(scenario.n_cells, scenario.cell_distance)),
        limits=power_limits(scenario, surface),
        area=jnp.asarray(scenario.area if hologram else 1.0),
        noise=jnp.asarray(dbm_to_watt(scenario.noise_dbm)),
        bandwidth=jnp.asarray(scenario.bandwidth),
        carrier=jnp.asarray(scenario.carrier),
        wavelength=jnp.asarray(scenario.wavelength),
        r_min=jnp.asarray(scenario.r_min),
        r_max=jnp.asarray(scenario.cell_distance / 2),
        loss_db=jnp.asarray(scenario.path_loss_db),
        exponent=jnp.asarray(scenario.path_loss_exponent),
        shadowing_db=jnp.asarray(scenario.shadowing_db),
        spread=jnp.asarray(np.deg2rad(scenario.spread)),
        elevation=jnp.asarray(np.deg2rad(scenario.elevation)),
    )


def draw_problem(surface: Surface, numbers: Numbers, key: Key[Array, ""], sizes: Sizes) -> Problem:
    """Draw one realisation: users, shadowing and paths before the array, so that every array meets the same scene.

    Args:
        surface: the array of every station.
        numbers: traced numbers of the scenario.
        key: key of the trial.
        sizes: cells, users of each, antennas of a user, clusters and rays.

    Returns:
        Problem (9) with equal weights.
    """
    links = sizes.cells * sizes.users
    users = users_around(purpose_key(key, "users"), numbers.sites, sizes.users, numbers.r_min, numbers.r_max)
    distance = jnp.sqrt(((numbers.sites[:, None] - users) ** 2).sum(-1))
    gain = log_distance_gain(
        purpose_key(key, "large_scale"),
        distance,
        loss_db=numbers.loss_db,
        exponent=numbers.exponent,
        shadowing_db=numbers.shadowing_db,
    )
    paths = clustered_paths(
        purpose_key(key, "fading"),
        numbers.area * gain,
        clusters=sizes.clusters,
        rays=sizes.rays,
        spread=numbers.spread,
        elevation=numbers.elevation,
    )
    channel: Complex[Array, "bs user rx element"]
    channel = path_channel(paths, numbers.positions, numbers.wavelength, sizes.rx)
    link = Link(
        surfaces=(surface,),
        channel=channel[None],
        serves=jnp.repeat(jnp.eye(sizes.cells, dtype=bool), sizes.users, axis=1),
        ports=jnp.ones((sizes.cells, surface.n_ports), bool),
        noise_power=numbers.noise,
        bandwidth=numbers.bandwidth,
        frequencies=numbers.carrier[None],
        weights=jnp.ones(links),
    )
    nothing = Consumption.of(static=1.0)
    return Problem(link, numbers.limits, nothing, min_rate=jnp.zeros(links), objective="sum_rate")


def measured(problem: Problem, solution: Solution) -> dict[str, Array]:
    """Score a design and return one number a stored quantity, but the wall time."""
    scored = evaluate(problem, solution.design)
    return {
        "sum_rate": scored.sum_rate,
        "rate": scored.rates,
        "served": scored.served,
        "accepted": scored.ledger.accepted.sum(),
        "emitted": emitted_power(problem.link, solution.design).sum(),
        "radiated": scored.ledger.radiated.sum(),
        "status": solution.status,
        "iterations": solution.iterations,
        "nodes": solution.trials,
        "largest_fall": largest_fall(solution),
        "start_spread": solution.start_values.max() - solution.start_values.min(),
    }


@functools.cache
def measured_with_history(checkpoints: tuple[int, ...]) -> Score:
    """Return `measured` with the history at the checkpoints and the iterations that 95 % of its end take.

    Args:
        checkpoints: iterations at which the history is kept.
    """

    def score(problem: Problem, solution: Solution) -> dict[str, Array]:
        needed = jnp.argmax(solution.history >= 0.95 * solution.history[-1])
        return measured(problem, solution) | {
            "history": history_at(checkpoints, solution),
            "iterations_95": needed.astype(float),
        }

    return score
