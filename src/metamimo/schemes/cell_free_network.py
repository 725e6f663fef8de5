"""A cell-free network as its stations see it: who knows what, where all start, and one step of all at once."""

import math
from functools import partial
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Key

from metamimo.errors import ConfigError
from metamimo.precoders.zero_forcing import regularised_zero_forcing
from metamimo.problem import Design, Problem
from metamimo.problem.known import known
from metamimo.randomness import purpose_key
from metamimo.schemes.cell_free import (
    Coordinate,
    Heard,
    Point,
    RealBox,
    Rules,
    Station,
    SurrogateKind,
    Track,
    check_box,
    fresh_track,
    full_power,
    listen,
    move,
    state_of,
    targets,
    to_coordinates,
    tracked,
    within_budget,
)
from metamimo.schemes.limited import check_sum_rate
from metamimo.schemes.network import shared_surface
from metamimo.surfaces.base import Surface

FirstPrecoder = Literal["joint", "own"]
Channels = Complex[Array, "bs freq user element"]

_LARGEST_START = 3.0
"""Random states start between zero and this: beyond, an element is nearly at the end of its phase range."""
_STEPS = (0.3, 15.0), (0.03, 30.0)
"""Good step lengths of the state and the budgets [dB above a thousandth] where they are (spec 9)."""


class CellFreeNetwork(eqx.Module):
    """A problem as its stations see it; every array of stations and channels leads with the axis of stations.

    Attributes:
        rules: what all agree on.
        surface: the antenna that all have.
        stations: budgets and masks.
        channels: c of every station.
        csi: sampler of channels, or None if the channel is constant.
    """

    rules: Rules
    surface: Surface
    stations: Station
    channels: Channels
    csi: Any

    @classmethod
    def of(
        cls,
        problem: Problem,
        scheme: str,
        *,
        surrogate: str = "structured",
        coordinate: str = "phase",
        step_state: float | None = None,
        **rules: Any,
    ) -> "CellFreeNetwork":
        """Return the network of a problem.

        Args:
            problem: the weighted sum rate of users with one antenna, one power limit for every station.
            scheme: who asks, for messages.
            surrogate: see `Rules`.
            coordinate: see `Rules`.
            step_state: s_v; `default_step` if None.
            **rules: further fields of `Rules`.

        Raises:
            ConfigError: if the problem is more general than that, an option unknown, or a known channel not finite.
        """
        check_sum_rate(problem, scheme)
        link = problem.link
        problem.expect(scheme, "evm", link.evm, 0)
        surface = shared_surface(problem, scheme)
        check_box(surface.feasible, scheme)
        _, bs, _, rx, _ = link.channel.shape
        if rx != 1:
            raise ConfigError(f"channel: {scheme} serves users with one antenna, got {rx}")
        given = [(limit.kind, limit.power.shape) for limit in problem.limits]
        if [shape for _, shape in given] != [(bs,)]:
            raise ConfigError(f"limits: {scheme} takes one limit of every station's power, got (kind, shape) {given}")
        check_choice("surrogate", surrogate, SurrogateKind)
        check_choice("coordinate", coordinate, Coordinate)
        if problem.csi is not None and surrogate == "best":
            raise ConfigError(
                f"surrogate: {scheme} can compare steps for a constant channel only, 'best' got channel samples"
            )
        channel = known(link.channel)
        if channel is not None and not np.isfinite(channel).all():
            raise ConfigError("channel: must be finite, got entries that are infinite or not a number")
        limit = problem.limits[0]
        step = default_step(limit.power) if step_state is None else jnp.asarray(step_state, float)
        rules |= {"kind": limit.kind, "surrogate": surrogate, "coordinate": coordinate}
        agreed = Rules(link.noise_power, link.weights, step, stations=bs, **rules)
        stations = Station(limit.power, link.ports, link.serves)
        return cls(agreed, surface, stations, link.channel[..., 0, :].transpose(1, 0, 2, 3), problem.csi)

    def first(self, key: Key[Array, ""], start: Design | None, precoder: str, channels: Channels) -> Point:
        """Return where the stations start.

        Args:
            key: key of the trial; sub-key "start" draws the states.
            start: a design to start from; precoders above the budget are scaled down.
            precoder: `joint` regularised zero-forcing, or maximum ratio of every station on its `own`.
            channels: the first channels that are known.
        """
        rules, surface = self.rules, self.surface
        bs, freq, users, _ = channels.shape
        ports = self.stations.ports.shape[1]
        if start is not None:
            root = jnp.sqrt(self.stations.budget)[:, None, None, None]
            given = start.precoder[..., 0].transpose(1, 0, 2, 3) / jnp.where(root > 0, root, 1)
            points = Point(to_coordinates(rules, start.state[0].real), given)
            return jax.vmap(partial(within_budget, rules, surface))(self.stations, points)
        states = jnp.zeros((bs, *surface.feasible.shape))
        if isinstance(surface.feasible, RealBox):
            most = jnp.minimum(_LARGEST_START, surface.feasible.most)
            states = most * jax.random.uniform(purpose_key(key, "start"), states.shape)
        points = Point(to_coordinates(rules, states), jnp.zeros((bs, freq, users, ports), complex))
        rows = self.listen(points, channels).rows
        if precoder == "joint":
            h = rows.transpose(1, 2, 0, 3).reshape(freq, users, 1, bs * ports) / jnp.sqrt(rules.noise_power)
            f = jax.vmap(regularised_zero_forcing, in_axes=(0, None))(h, self.stations.budget.sum() / freq)
            v = f.reshape(freq, users, bs, ports).transpose(2, 0, 1, 3)
        else:
            v = rows.conj()
        return jax.vmap(partial(full_power, rules, surface))(self.stations, Point(points.state, v))

    def sample(self, key: Key[Array, ""], t: int | Array) -> Channels:
        """Return the channels that the stations know in iteration t; each draws its own sample by itself."""
        if self.csi is None:
            return self.channels
        return jax.vmap(lambda b: draw(own_sampler(self.csi, b), key, t, b))(jnp.arange(self.rules.stations))

    def listen(self, points: Point, channels: Channels) -> Heard:
        """Return what every station contributes."""
        # One station after another: LAPACK takes single matrices faster than a batch of them.
        one = partial(listen, self.rules, self.surface)
        return jax.lax.map(lambda own: one(*own), (self.stations, points, channels))

    def step(self, points: Point, tracks: Track, heard: Heard, z: Array, t: Array) -> tuple[Track, Point]:
        """Return what is tracked then, and targets with a leading axis of surrogates."""
        rules, surface = self.rules, self.surface
        fresh = jax.vmap(partial(fresh_track, rules, surface), in_axes=(0, 0, 0, None))
        tracks = tracked(tracks, fresh(self.stations, points, heard, z), rules.rho(t))
        found = jax.vmap(partial(targets, rules, surface))(self.stations, points, tracks)
        return tracks, jax.tree.map(lambda *each: jnp.stack(each), *found)

    def move(self, points: Point, goals: Point, gamma: Array) -> Point:
        """Return where the stations are after a share of the way to one target each."""
        step = partial(move, self.rules, self.surface)
        return jax.vmap(step, in_axes=(0, 0, 0, None))(self.stations, points, goals, gamma)

    def design(self, points: Point) -> Design:
        """Return states and precoders."""
        states = jax.vmap(partial(state_of, self.rules, self.surface))(points)
        root = jnp.sqrt(self.stations.budget)[:, None, None, None]
        return Design((states,), (root * points.precoder).transpose(1, 0, 2, 3)[..., None])


def check_options(first_precoder: str, max_iterations: int) -> None:
    """Refuse options that no run can have.

    Raises:
        ConfigError: if one is out of its range.
    """
    check_choice("first_precoder", first_precoder, FirstPrecoder)
    if max_iterations < 1:
        raise ConfigError(f"max_iterations: must be at least 1, got {max_iterations}")


def check_choice(name: str, value: str, kinds: Any) -> None:
    """Refuse what a `Literal` does not hold.

    Raises:
        ConfigError: if it does not hold the value.
    """
    if value not in get_args(kinds):
        raise ConfigError(f"{name}: must be one of {', '.join(get_args(kinds))}, got {value!r}")


def default_step(budgets: Float[Array, " bs"]) -> Float[Array, ""]:
    """Return s_v for budgets: 0.3 up to 15 dB above a thousandth, 0.03 from 30 dB, log-linear between (spec 9).

    >>> jax.config.update("jax_enable_x64", True)
    >>> [round(float(default_step(jnp.asarray([p]))), 3) for p in (1e-3, 1e-3 * 10**2.25, 1.0)]
    [0.3, 0.095, 0.03]
    """
    (long, low), (short, high) = _STEPS
    level = 10 * jnp.log10(jnp.maximum(budgets.mean(), jnp.finfo(float).tiny) / 1e-3)
    return jnp.exp(jnp.interp(level, jnp.array([low, high]), jnp.array([math.log(long), math.log(short)])))


def own_sampler(csi: Any, station: int | Array) -> Any:
    """Return one station's part of a sampler: of its arrays with the five axes of a channel, that station's links."""

    def own(leaf: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(leaf, station, 1, 1) if leaf.ndim == 5 else leaf

    return jax.tree.map(own, csi)


def draw(
    sampler: Any, key: Key[Array, ""], t: int | Array, station: int | Array
) -> Complex[Array, "freq user element"]:
    """Return the channel sample that a station draws from its own sampler in iteration t.

    Raises:
        ConfigError: if the sampler knows other stations, too.
    """
    sample = sampler.sample(jax.random.fold_in(jax.random.fold_in(key, t), station))
    if sample.shape[1] != 1:
        raise ConfigError(f"csi: a station's sampler must give one station's channel, got {sample.shape[1]}")
    return sample[:, 0, :, 0]
