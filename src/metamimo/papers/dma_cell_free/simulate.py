"""One task of the experiment: draw a scene, show a designer what it knows of it, design, and score on the truth."""

import dataclasses
import functools
from typing import Any, Literal, get_args

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metamimo.channels.csi import FreshEstimates, Posterior, estimate, mean_square
from metamimo.channels.dipole_field import dipole_field, wire_resistance
from metamimo.conventions import dbm_to_watt
from metamimo.errors import ConfigError
from metamimo.experiments.config import Experiment, scenario_at
from metamimo.experiments.tasks import Task
from metamimo.geometry.planar import grid_shape, line_positions
from metamimo.geometry.users import users_in_discs
from metamimo.metrics.evaluate import evaluate
from metamimo.papers.chunks import Scene, Score, View, history_at, run_chunk
from metamimo.papers.dma_cell_free.scenario import CellFreeDma
from metamimo.physics.patterns import psd_root
from metamimo.problem import Consumption, Limit, Link, Problem, Solution
from metamimo.randomness import purpose_key
from metamimo.surfaces.parallel_plate import ParallelPlateDMA
from metamimo.surfaces.resonance import ResonanceStrength

Csi = Literal["perfect", "estimate", "fresh", "posterior"]
"""What the designer knows: the channel; one estimate; a new one every iteration; channels drawn given one estimate."""
Coupling = Literal["known", "ignored", "absent"]
"""Whether slots act on each other: also for the designer; on the true antenna only; on none."""


class Numbers(eqx.Module):
    """What may change without another compilation.

    Attributes:
        sites: centres of the stations [m].
        discs: centres of the users' discs [m].
        radius: of the discs [m].
        budget: of a station's currents [A^2].
        noise: noise power [W].
        bandwidth: [Hz].
        loss_db, exponent: path loss.
        error: error power of an estimate over the channel's.
        root: root of the coupling of the slots in the half space, for correlated fading.
    """

    sites: Float[Array, "bs 3"]
    discs: Float[Array, "disc 3"]
    radius: Float[Array, ""]
    budget: Float[Array, ""]
    noise: Float[Array, ""]
    bandwidth: Float[Array, ""]
    loss_db: Float[Array, ""]
    exponent: Float[Array, ""]
    error: Float[Array, ""]
    root: Float[Array, "freq element element"] | None


class Sizes(eqx.Module):
    """What shapes and the program depend on."""

    users: int = eqx.field(static=True)
    taps: int = eqx.field(static=True)
    fading: Any = eqx.field(static=True)
    pathloss: Any = eqx.field(static=True)


def compute(experiment: Experiment, task: Task, checkpoints: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    """Return the results of one task, with a leading axis of `task.count` trials.

    Args:
        experiment: the experiment, whose scenario is a `CellFreeDma`; the options `csi` (a `Csi`) and `coupling` (a
            `Coupling`) of a scheme say what its designer knows.
        task: scheme, grid point and trials.
        checkpoints: iterations at which the history is kept; none leaves it out.

    Returns:
        One array a variable of `figures.VARIABLES`.

    Raises:
        ConfigError: if an option is unknown.
    """
    choice = experiment.schemes[task.scheme].without("csi").without("coupling")
    score = measured_with_history(checkpoints) if checkpoints else measured
    return run_chunk(choice, scene_of(experiment, task), score, task, _scenario(experiment, task).n_users)


def scene_of(experiment: Experiment, task: Task) -> Scene:
    """Return what a task draws and what its designer sees of it; see `compute`."""
    scenario, options = _scenario(experiment, task), experiment.schemes[task.scheme].options
    csi, coupling = str(options.get("csi", "perfect")), str(options.get("coupling", "known"))
    for name, given, known in (("csi", csi, get_args(Csi)), ("coupling", coupling, get_args(Coupling))):
        if given not in known:
            raise ConfigError(f"{name}: must be one of {', '.join(known)}, got {given!r}")
    surface = antenna_of(scenario, coupled=coupling != "absent")
    sizes = Sizes(scenario.n_users, scenario.taps, scenario.fading, scenario.pathloss)
    view = view_of(csi, coupling == "ignored")
    # No bound: at a quarter wavelength between slots, with several users and subcarriers, it is two to four times a
    # design (study `bounds/dma`), which says nothing, and its search takes longer than a curve at full size.
    numbers = physical(scenario, surface)
    return Scene(draw_problem, (sizes,), surface, numbers, experiment.seed, effort="none", view=view)


def antenna_of(scenario: CellFreeDma, *, coupled: bool = True) -> ParallelPlateDMA:
    """Return the antenna of every station."""
    n = scenario.n_subcarriers
    return ParallelPlateDMA.on_grid(
        scenario.n_slots,
        scenario.n_feeds,
        scenario.slot_spacing * scenario.wavelength,
        frequencies=scenario.carrier + scenario.bandwidth / n * (np.arange(n) - (n - 1) / 2),
        carrier=scenario.carrier,
        resonance=scenario.carrier + scenario.detuning,
        height=scenario.height,
        wire_radius=scenario.wire_radius,
        guide_modes=scenario.guide_modes,
        coupling=coupled,
        feasible=ResonanceStrength((scenario.n_slots,), most=scenario.largest_strength),
    )


def physical(scenario: CellFreeDma, surface: ParallelPlateDMA) -> Numbers:
    """Return the traced numbers of a scenario.

    Noise is given as the |V|^2 of an open wire, of which a matched load gets 1 / 8 R_a watts.
    """
    aperture = grid_shape(scenario.n_slots)[0] * scenario.slot_spacing
    gap = (aperture + scenario.station_gap) * scenario.wavelength
    side, distance = scenario.disc_side, scenario.disc_distance
    roots = None
    if scenario.fading == "correlated":
        roots = jnp.asarray(np.stack([psd_root(np.asarray(coupling)) for coupling in surface.coupling]))
    return Numbers(
        sites=jnp.asarray(line_positions(scenario.n_stations, gap)),
        discs=jnp.asarray([[x, side, distance] for x in (-scenario.disc_offset, scenario.disc_offset)]),
        radius=jnp.asarray(scenario.disc_radius),
        budget=jnp.asarray(dbm_to_watt(scenario.power_dbm)),
        noise=jnp.asarray(dbm_to_watt(scenario.noise_dbm) / (8 * wire_resistance(scenario.wire_length, 1.0))),
        bandwidth=jnp.asarray(scenario.bandwidth),
        loss_db=jnp.asarray(scenario.path_loss_db),
        exponent=jnp.asarray(scenario.path_loss_exponent),
        error=jnp.asarray(scenario.csi_error),
        root=roots,
    )


def draw_problem(surface: ParallelPlateDMA, numbers: Numbers, key: Key[Array, ""], sizes: Sizes) -> Problem:
    """Draw one realisation: users in discs and the true channel of all stations, which serve all users together.

    Args:
        surface: the true antenna of every station.
        numbers: traced numbers of the scenario.
        key: key of the trial.
        sizes: users, taps, and kinds of fading and path loss.

    Returns:
        Problem (14) with equal weights.
    """
    stations, users = len(numbers.sites), sizes.users
    channel = dipole_field(
        purpose_key(key, "fading"),
        surface.positions,
        numbers.sites,
        users_in_discs(purpose_key(key, "users"), users, numbers.discs, numbers.radius),
        surface.frequencies,
        fading=sizes.fading,
        pathloss=sizes.pathloss,
        loss_db=numbers.loss_db,
        exponent=numbers.exponent,
        taps=sizes.taps,
        root=numbers.root,
    )
    link = Link(
        surfaces=(surface,),
        channel=channel,
        serves=jnp.ones((stations, users), bool),
        ports=jnp.ones((stations, surface.n_ports), bool),
        noise_power=numbers.noise,
        bandwidth=numbers.bandwidth,
        frequencies=surface.frequencies,
        weights=jnp.ones(users),
    )
    budget = Limit(jnp.broadcast_to(numbers.budget, (stations,)), "port")
    return Problem(link, (budget,), Consumption.of(static=1.0), min_rate=jnp.zeros(users), objective="sum_rate")


@functools.cache
def view_of(csi: Csi, ignores_coupling: bool) -> View:
    """Return what makes the designer's problem from the true one; the same object each time.

    Args:
        csi: what is known of the channel.
        ignores_coupling: whether the designer takes slots for independent.
    """

    def view(truth: Problem, numbers: Numbers, key: Key[Array, ""]) -> Problem:
        (surface,), channel = truth.link.surfaces, truth.link.channel
        if ignores_coupling:
            surface = dataclasses.replace(surface, coupled=False)
        seen = channel if csi == "perfect" else estimate(purpose_key(key, "csi_error"), channel, numbers.error)
        sampler = None
        if csi == "fresh":
            sampler = FreshEstimates(channel, numbers.error)
        elif csi == "posterior":
            sampler = Posterior(seen, mean_square(channel), numbers.error)
        link = dataclasses.replace(truth.link, surfaces=(surface,), channel=seen)
        return dataclasses.replace(truth, link=link, csi=sampler)

    return view


def measured(truth: Problem, solution: Solution) -> dict[str, Array]:
    """Score a design on the true channel and antenna and return one number a stored quantity, but the wall time."""
    scored = evaluate(truth, solution.design)
    return {
        "sum_rate": scored.sum_rate,
        "rate": scored.rates,
        "expected_rate": solution.value,
        "accepted": scored.ledger.accepted.sum(),
        "radiated": scored.ledger.radiated.sum(),
        "served": scored.served,
        "status": solution.status,
        "iterations": solution.iterations,
        "exchanges": solution.trials,
        "start_spread": solution.start_values.max() - solution.start_values.min(),
    }


@functools.cache
def measured_with_history(checkpoints: tuple[int, ...]) -> Score:
    """Return `measured` with the history at the checkpoints; the same object each time.

    Args:
        checkpoints: iterations at which the history is kept.
    """

    def score(truth: Problem, solution: Solution) -> dict[str, Array]:
        return measured(truth, solution) | {"history": history_at(checkpoints, solution)}

    return score


def _scenario(experiment: Experiment, task: Task) -> CellFreeDma:
    scenario = scenario_at(experiment, task.index)
    assert isinstance(scenario, CellFreeDma)
    return scenario
