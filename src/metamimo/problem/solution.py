"""What a solver returns."""

import math
from enum import IntEnum
from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact, Int

from metamimo.conventions import NAT_TO_BIT
from metamimo.problem.task import Objective

_USELESS = 2.0
"""Loose bounds so many times above a design say nothing about it."""


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
    IMPOSSIBLE = 5

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
    Status.IMPOSSIBLE: "proven: no design meets the rate constraints within the power limits",
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
        bound_name: the relaxation behind the bound.
        bound_scope: `global` for all designs of the problem, `stage` where the rest of the design is held.
        bound_quality: how close the bound lies to the best designs of such problems: tight (within 5 %), moderate
            (within 30 %) or loose.
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

    @property
    def gap(self) -> Float[Array, ""]:
        """Share of the value by which the optimum of `bound_scope` may exceed it; nan where nothing is known."""
        return self.upper_bound / self.value - 1

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
            low, high = float(jnp.nanmin(self.start_values)), float(jnp.nanmax(self.start_values))
            run = f"{int(jnp.isfinite(self.start_values).sum())} of {self.start_values.size}"
            lines.append(f"starts: {run}, values {low * scale:.4g} to {high * scale:.4g} {unit}")
        if math.isfinite(float(self.upper_bound)):
            lines.append(self._promise(f"{float(self.upper_bound) * scale:.4g} {unit}"))
        return "\n".join(lines)

    def _promise(self, bound: str) -> str:
        """Say what the bound proves about the design."""
        if self.bound_quality == "loose" and float(self.upper_bound) > _USELESS * float(self.value):
            return "upper bound: no useful one known"
        below = 100 * max(1 - float(self.value) / float(self.upper_bound), 0.0)
        optimum = "the optimum" if self.bound_scope == "global" else "the optimum of this stage"
        return (
            f"at most {below:.2g} % below {optimum}: upper bound {bound} ({self.bound_name}; such bounds are "
            f"{self.bound_quality})"
        )


def _watts(power: Float[Array, " bs"]) -> str:
    return ", ".join(f"{float(p):.3g}" for p in power)


def to_bits(rate: Float[Array, "..."]) -> Float[Array, "..."]:
    """Convert a rate from nats to bits."""
    return rate * NAT_TO_BIT
