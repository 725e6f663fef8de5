"""What a solver sees and what it returns: Link, Limit, Consumption, Problem, Design, Ledger, Solution."""

import math
from enum import IntEnum
from typing import Any, Literal, Protocol

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Complex, Float, Inexact, Int, Key

from metamimo.conventions import NAT_TO_BIT
from metamimo.errors import ConfigError, ShapeError
from metamimo.surfaces.base import PowerKind, Surface

Objective = Literal["sum_rate", "energy_efficiency"]


class Link(eqx.Module):
    """One realisation of a network: base stations with surfaces, users, and the channel between them.

    Signal model: y[u] = sum over b, u' of serves[b, u'] H[f, b, u] A_b F[f, b, u'] s[u'] + n. An all-true mask is
    cell-free, one station a user is multi-cell, one station is broadcast. Unequal stations are zero-padded in the
    element and port axes.

    Attributes:
        surfaces: one surface shared by all stations, or one per station.
        channel: H, without unit, used as y = H x.
        serves: which station sends the streams of which user.
        ports: which ports exist and are switched on; the others carry zero columns.
        noise_power: noise per receive antenna and subcarrier [W].
        bandwidth: bandwidth of all subcarriers together [Hz].
        frequencies: centre of each subcarrier [Hz].
        weights: weight of each user's rate.
    """

    surfaces: tuple[Surface, ...]
    channel: Complex[Array, "freq bs user rx element"]
    serves: Bool[Array, "bs user"]
    ports: Bool[Array, "bs port"]
    noise_power: Float[Array, ""]
    bandwidth: Float[Array, ""]
    frequencies: Float[Array, " freq"]
    weights: Float[Array, " user"]

    def __check_init__(self) -> None:
        freq, bs, user, _, element = self.channel.shape
        expected = {
            "serves": (self.serves.shape, (bs, user)),
            "ports": (self.ports.shape, (bs, max(s.n_ports for s in self.surfaces))),
            "frequencies": (self.frequencies.shape, (freq,)),
            "weights": (self.weights.shape, (user,)),
        }
        for name, (given, rule) in expected.items():
            if given != rule:
                raise ShapeError(
                    f"{name}: must have shape {rule} for a channel of shape {self.channel.shape}, got {given}"
                )
        if len(self.surfaces) not in (1, bs):
            raise ShapeError(f"surfaces: must hold 1 or {bs} surfaces for {bs} stations, got {len(self.surfaces)}")
        largest = max(s.n_elements for s in self.surfaces)
        if element != largest:
            raise ShapeError(f"channel: must have {largest} elements in its last axis like the surface, got {element}")

    @classmethod
    def broadcast(
        cls,
        surface: Surface,
        channel: Complex[Array, "user rx element"],
        *,
        noise_power: float | Array,
        bandwidth: float | Array,
        frequency: float | Array,
    ) -> "Link":
        """Make the link of one base station that serves all users on one subcarrier.

        Args:
            surface: the transmitter.
            channel: H without unit.
            noise_power: noise per receive antenna [W].
            bandwidth: bandwidth [Hz].
            frequency: carrier [Hz].

        Returns:
            The link.

        Raises:
            ShapeError: if channel and surface do not fit.
        """
        users = channel.shape[0]
        return cls(
            surfaces=(surface,),
            channel=channel[None, None],
            serves=jnp.ones((1, users), bool),
            ports=jnp.ones((1, surface.n_ports), bool),
            noise_power=jnp.asarray(noise_power, float),
            bandwidth=jnp.asarray(bandwidth, float),
            frequencies=jnp.asarray(frequency, float)[None],
            weights=jnp.ones(users),
        )


class Limit(eqx.Module):
    """A power limit tr(F^H M F) <= power for each station, or for each of its ports (diagonal entries).

    Attributes:
        power: limit [W], one a station or one a port.
        kind: which power the surface's `power_matrix` counts.
    """

    power: Float[Array, " bs"] | Float[Array, "bs port"]
    kind: PowerKind = eqx.field(static=True, default="accepted")

    def __check_init__(self) -> None:
        _not_negative("power", self.power)


class Consumption(eqx.Module):
    """Consumed power (spec of fair comparison, section 3); nothing enters twice.

    P = P_acc / amplifier_efficiency + n_RF per_chain + n_el per_element + stations (control + static) + users per_user.

    Attributes:
        per_chain: RF chain [W].
        static: standby of a station [W].
        per_element: tunable element [W].
        control: controller of a surface [W].
        per_user: user terminal [W].
        amplifier_efficiency: accepted over supplied power of the amplifiers, in (0, 1].
        idle_chains: whether chains that carry no signal are charged, too.
    """

    per_chain: Float[Array, ""]
    static: Float[Array, ""]
    per_element: Float[Array, ""]
    control: Float[Array, ""]
    per_user: Float[Array, ""]
    amplifier_efficiency: Float[Array, ""]
    idle_chains: bool = eqx.field(static=True, default=False)

    @classmethod
    def of(
        cls,
        *,
        per_chain: float | Array = 0.0,
        static: float | Array = 0.0,
        per_element: float | Array = 0.0,
        control: float | Array = 0.0,
        per_user: float | Array = 0.0,
        amplifier_efficiency: float | Array = 1.0,
        idle_chains: bool = False,
    ) -> "Consumption":
        """Make the model from numbers in watts; what is not named costs nothing.

        Raises:
            ConfigError: if a power is negative or the efficiency not in (0, 1].
        """
        values = (per_chain, static, per_element, control, per_user, amplifier_efficiency)
        for name, value in zip(("per_chain", "static", "per_element", "control", "per_user"), values[:5], strict=True):
            _not_negative(name, value)
        if not isinstance(amplifier_efficiency, Array) and not 0 < amplifier_efficiency <= 1:
            raise ConfigError(f"amplifier_efficiency: must lie in (0, 1], got {amplifier_efficiency}")
        return cls(*(jnp.asarray(v, float) for v in values), idle_chains=idle_chains)

    def fixed(self, link: Link, chains: Float[Array, ""]) -> Float[Array, ""]:
        """Return the consumed power that does not depend on the transmitted power [W].

        Args:
            link: supplies the numbers of stations, users and tunable elements.
            chains: number of charged RF chains of all stations.

        Returns:
            The power [W].
        """
        stations, users = link.serves.shape
        shared = len(link.surfaces) == 1
        tunable = stations * link.surfaces[0].n_tunable if shared else sum(s.n_tunable for s in link.surfaces)
        return (
            chains * self.per_chain
            + tunable * self.per_element
            + stations * (self.static + self.control)
            + users * self.per_user
        )


class Csi(Protocol):
    """What a robust designer may draw from: posterior samples or fresh estimates of the channel."""

    def sample(self, key: Key[Array, ""]) -> Complex[Array, "freq bs user rx element"]:
        """Draw one channel."""
        ...


class Problem(eqx.Module):
    """All that a solver sees.

    `link` is what the designer knows: an estimated channel and the assumed antenna. The true link scores the design, in
    `metamimo.metrics.evaluate`, outside of every scheme.

    Attributes:
        link: the designer's view.
        limits: power limits.
        consumption: consumed power.
        min_rate: least rate of each user [nat per channel use].
        objective: what is maximised.
        csi: sampler of channels for robust schemes.
    """

    link: Link
    limits: tuple[Limit, ...]
    consumption: Consumption
    min_rate: Float[Array, " user"]
    csi: Any = None
    objective: Objective = eqx.field(static=True, default="energy_efficiency")

    def broadcast_limit(self, scheme: str) -> Float[Array, ""]:
        """Return the sum power limit [W] of a single-station, single-carrier problem without rate constraints.

        Args:
            scheme: who asks, for the message.

        Raises:
            ConfigError: if the problem is more general than that, so that no scheme ignores a part of it. Traced
                values cannot be looked at; `metamimo.design` looks before it compiles.
        """
        freq, bs = self.link.channel.shape[:2]
        if self.objective != "energy_efficiency":
            raise ConfigError(f"objective: {scheme} maximises energy efficiency, got {self.objective!r}")
        for name, values, rule in (("min_rate", self.min_rate, 0), ("weights", self.link.weights, 1)):
            known = _known(values)
            if known is not None and (known != rule).any():
                raise ConfigError(f"{name}: {scheme} takes {rule} for every user, got {known.tolist()}")
        limit = self.limits[0] if len(self.limits) == 1 else None
        if (freq, bs) != (1, 1):
            raise ConfigError(f"{scheme}: serves one station on one subcarrier, got {bs} stations, {freq} subcarriers")
        if limit is None or limit.power.shape != (1,) or limit.kind != "accepted":
            given = [(l.kind, l.power.shape) for l in self.limits]
            raise ConfigError(f"limits: {scheme} takes one sum limit on accepted power, got (kind, shape) {given}")
        return limit.power[0]


class Design(eqx.Module):
    """A state of every surface and a precoder.

    Attributes:
        state: states like `Link.surfaces`; a shared surface has a leading axis of stations.
        precoder: F in sqrt(W).
        order: encoding order of dirty paper coding, or None for linear precoding.
    """

    state: tuple[Inexact[Array, "..."], ...]
    precoder: Complex[Array, "freq bs user port stream"]
    order: Int[Array, " user"] | None = None


class Ledger(eqx.Module):
    """Where the power goes; all in W, summed over subcarriers and streams.

    Attributes:
        accepted: by the antenna ports, of each station.
        radiated: x^H C x, of each station.
        lost: accepted minus radiated (spill-over, absorption); below zero where a model creates energy.
        consumed: from the mains, by the whole network.
    """

    accepted: Float[Array, " bs"]
    radiated: Float[Array, " bs"]
    lost: Float[Array, " bs"]
    consumed: Float[Array, ""]


class Status(IntEnum):
    """How a scheme ended; safe under jit as a number."""

    CONVERGED = 0
    ITERATION_LIMIT = 1
    STALLED = 2
    NOT_FINITE = 3
    INFEASIBLE = 4

    @property
    def message(self) -> str:
        """What happened and what to do."""
        return _MESSAGES[self]


_MESSAGES = {
    Status.CONVERGED: "converged",
    Status.ITERATION_LIMIT: "iteration limit reached before the stopping rule: raise max_iterations",
    Status.STALLED: "the line search found no step that improves: loosen the tolerance or try another start",
    Status.NOT_FINITE: "the objective is not finite: look for zero or infinite channels, powers or noise",
    Status.INFEASIBLE: "no feasible design was found: relax the power limits or the rate constraints",
}


class Solution(eqx.Module):
    """What every scheme returns.

    Attributes:
        design: the design.
        value: objective of the design on the designer's link (bit/J for energy efficiency, bit/s/Hz for sum rate).
        history: objective after every iteration, the last value repeated up to the iteration limit.
        status: a `Status`.
        iterations: iterations done.
        trials: evaluations of the objective in line searches.
        ledger: powers of the design.
        rates: rate of each user [bit/s/Hz].
        start_values: final value of every start; its spread tells how much local optima matter.
        upper_bound: no design of `bound_scope` can exceed it; nan where nothing is known.
        objective: name of the objective.
    """

    design: Design
    value: Float[Array, ""]
    history: Float[Array, " iteration"]
    status: Int[Array, ""]
    iterations: Int[Array, ""]
    trials: Int[Array, ""]
    ledger: Ledger
    rates: Float[Array, " user"]
    start_values: Float[Array, " start"]
    upper_bound: Float[Array, ""] = eqx.field(default_factory=lambda: jnp.asarray(math.nan))
    objective: Objective = eqx.field(static=True, default="energy_efficiency")
    bound_name: str = eqx.field(static=True, default="")
    bound_scope: Literal["", "global", "stage"] = eqx.field(static=True, default="")
    bound_quality: str = eqx.field(static=True, default="")

    def __str__(self) -> str:
        """Return one readable screen."""
        unit, scale = ("Mbit/J", 1e-6) if self.objective == "energy_efficiency" else ("bit/s/Hz", 1.0)
        served = int((self.rates > 1e-3 * self.rates.max()).sum())
        lines = [
            f"{self.objective.replace('_', ' ')}: {float(self.value) * scale:.4g} {unit}",
            f"status: {Status(int(self.status)).message}",
            f"work: {int(self.iterations)} iterations, {int(self.trials)} evaluations of the objective",
            f"sum rate: {float(self.rates.sum()):.4g} bit/s/Hz, {served} of {self.rates.size} users served",
            f"accepted power per station [W]: {_watts(self.ledger.accepted)}",
            f"of that radiated: {_watts(self.ledger.radiated)}, lost: {_watts(self.ledger.lost)}",
            f"power consumed: {float(self.ledger.consumed):.4g} W",
        ]
        if self.start_values.size > 1:
            low, high = float(self.start_values.min()), float(self.start_values.max())
            lines.append(f"starts: {self.start_values.size}, values {low * scale:.4g} to {high * scale:.4g} {unit}")
        if math.isfinite(float(self.upper_bound)):
            gap = 100 * (float(self.upper_bound) / float(self.value) - 1)
            scope = "any design" if self.bound_scope == "global" else "this stage"
            bound = f"{float(self.upper_bound) * scale:.4g} {unit}"
            lines.append(f"upper bound of {scope}: {bound} (+{gap:.2g} %, {self.bound_name})")
        return "\n".join(lines)


def _known(values: float | Array) -> np.ndarray | None:
    """Return the values, or None where they are traced and not known yet."""
    return None if isinstance(values, Tracer) else np.asarray(values)


def _not_negative(name: str, power: float | Array) -> None:
    """Refuse a negative power that is known."""
    known = _known(power)
    if known is not None and not (known >= 0).all():
        raise ConfigError(f"{name}: a power must not be negative, got {known.tolist()} W")


def _watts(power: Float[Array, " bs"]) -> str:
    return ", ".join(f"{float(p):.3g}" for p in power)


def to_bits(rate: Float[Array, "..."]) -> Float[Array, "..."]:
    """Convert a rate from nats to bits."""
    return rate * NAT_TO_BIT
