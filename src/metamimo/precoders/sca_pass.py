"""One pass of the successive convex approximation: the convex program (29) of arXiv 2504.15737 about a precoder.

It is a second-order and exponential cone program, which goes to Clarabel directly; a modelling layer would add half of
that time (benchmarks/bench_sca.py).

Where the paper writes rho = Re{a w} / t, eq. (26), this file writes its inverse u, the receive scaling with the least
mean square error: a silent user then has u = 0 instead of rho = infinity. All unknowns are multiples of their last
values: raw ones differ by ten orders of magnitude, which breaks conic solvers.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from metamimo.optimise.cone_programs import Cone, solve_cones, square_cone
from metamimo.precoders.chain_indicator import Indicator, indicator_slope, indicator_value
from metamimo.problem import Objective

RATE_TOLERANCE = 1e-6
"""Shortfall of a rate that still counts as meeting its constraint [nat]."""

SILENT = 1e-4
"""SINR that a silent user is linearised at."""

SHORTFALL_PRICE = 1e3
"""c_s: what a missing SINR of one costs, or of the least SINR where that is above one: as a multiple of the consumed
power, or in nats of the sum rate."""

LARGEST_GROWTH = 1e4
"""Factor by which a pass may raise the power; it keeps loose and infinite limits out of the solver's numbers."""


@dataclass(frozen=True)
class Task:
    """The problem on the active ports; powers in W."""

    a: np.ndarray
    fixed: float
    per_chain: float
    sum_limit: float
    port_limits: np.ndarray
    least_rate: np.ndarray
    objective: Objective
    indicator: Indicator | None
    epsilon: float

    @cached_property
    def least(self) -> np.ndarray:
        """Least SINRs, cut to twice what all power would give the user alone: an absurd one would hide the others."""
        gain = (np.abs(self.a) ** 2).sum(1)
        reach = np.where(gain > 0, gain, 1) * min(self.sum_limit, self.port_limits.sum())
        return np.minimum(np.expm1(self.least_rate), np.where(gain > 0, 2 * reach, 0))

    def measure(self, w: np.ndarray) -> "Point":
        """Return a precoder with its rates and powers."""
        received = self.a @ w.T  # host, once
        strength = np.abs(received) ** 2
        wanted = np.diagonal(strength)
        noise = np.where(np.eye(len(w), dtype=bool), 0, strength).sum(1) + 1
        sinr = wanted / noise
        ports = (np.abs(w) ** 2).sum(0)
        chains = len(ports) if self.indicator is None else indicator_value(ports, self.indicator, self.epsilon).sum()
        rate = np.log1p(sinr)
        consumed = self.fixed + self.per_chain * float(chains) + float(ports.sum())
        total = float(rate.sum())
        value = total if self.objective == "sum_rate" else total / consumed if consumed > 0 else 0.0
        met = rate >= self.least_rate - RATE_TOLERANCE
        shortfall = float((np.where(met, 0, self.least - sinr) / np.maximum(self.least, 1)).sum())
        return Point(w, sinr, noise, ports, total, consumed, value, shortfall, bool(met.all()))

    def within_limits(self, w: np.ndarray) -> np.ndarray:
        """Shorten the rows of ports that are above their limits, then all by one factor if the sum is above its own."""
        ports = (np.abs(w) ** 2).sum(0)
        w = w * np.sqrt(np.minimum(1, self.port_limits / np.maximum(ports, np.finfo(float).tiny)))
        total = (np.abs(w) ** 2).sum()
        return w * np.sqrt(self.sum_limit / total) if total > self.sum_limit else w

    def gain(self, before: "Point", after: "Point") -> float:
        """Return by how much the objective of eq. (29) grows, over the consumed power; the least rates are priced."""
        paid = SHORTFALL_PRICE * (after.shortfall - before.shortfall)
        if self.objective == "sum_rate":
            return (after.rate - before.rate - paid) / before.rate_scale
        grown = 2 * (np.sqrt(after.rate) - np.sqrt(before.rate)) / np.sqrt(before.rate_scale)
        return grown - (after.consumed - before.consumed) / self.power_scale(before) - paid

    def unit(self, point: "Point") -> float:
        """Return the transmit power that a pass counts in: the current one, or what makes a silent user audible."""
        strongest = (np.abs(self.a) ** 2).sum(1).max()
        return max(float(point.ports.sum()), SILENT / strongest)

    def power_scale(self, point: "Point") -> float:
        """Return the consumed power, kept above zero."""
        return max(point.consumed, self.unit(point))


@dataclass(frozen=True)
class Point:
    """A precoder and what it achieves; `noise` includes the interference."""

    w: np.ndarray
    sinr: np.ndarray
    noise: np.ndarray
    ports: np.ndarray
    rate: float
    consumed: float
    value: float
    shortfall: float
    feasible: bool

    @property
    def rate_scale(self) -> float:
        return max(self.rate, SILENT)


@dataclass(frozen=True)
class _Frame:
    """Unknowns of the cone program for one number of users and ports, each as a row that selects it.

    Attributes:
        real, imag: parts of the precoder, shape (user, port, unknown).
        t: SINRs over their last values.
        log: ln of (1 + SINR), less its last value.
        power: power of every port, or one sum where no port needs its own.
        missing: shortfalls of the SINRs; none without least rates.
        root: root of the sum rate over its last value; none for the sum rate itself.
        power_cones: the conditions that the power is at least what the precoder sends.
    """

    real: np.ndarray
    imag: np.ndarray
    t: np.ndarray
    log: np.ndarray
    power: np.ndarray
    missing: np.ndarray
    root: np.ndarray
    power_cones: tuple[Cone, ...]


@lru_cache(maxsize=128)
def _frame(users: int, ports: int, own_powers: bool, constrained: bool, efficiency: bool) -> _Frame:
    entries = users * ports
    powers = ports if own_powers else 1
    sizes = (entries, entries, users, users, powers, users if constrained else 0, 1 if efficiency else 0)
    real, imag, t, log, power, missing, root = np.split(np.eye(sum(sizes)), np.cumsum(sizes)[:-1])
    real, imag = (part.reshape(users, ports, -1) for part in (real, imag))
    sent = np.concatenate([real, imag]).swapaxes(0, 1).reshape(powers, -1, sum(sizes))
    cones = tuple(square_cone(rows, 0.0, bound) for rows, bound in zip(sent, power, strict=True))
    return _Frame(real, imag, t, log, power, missing, root, cones)


def solve_pass(task: Task, point: Point) -> np.ndarray | None:
    """Solve eq. (29) at a point and return the next precoder, or None where the solver has no answer."""
    users, ports = task.a.shape
    efficiency = task.objective == "energy_efficiency"
    constrained = bool((task.least > 0).any())
    own_powers = task.indicator is not None or bool((task.port_limits < task.sum_limit).any())
    x = _frame(users, ports, own_powers, constrained, efficiency)

    unit = task.unit(point)
    a = task.a * np.sqrt(unit)
    # f_ki = a_k w_i as rows over the unknowns.
    f_real = np.tensordot(a.real, x.real, (1, 1)) - np.tensordot(a.imag, x.imag, (1, 1))  # real product
    f_imag = np.tensordot(a.imag, x.real, (1, 1)) + np.tensordot(a.real, x.imag, (1, 1))  # real product
    own = np.arange(users)
    last, weight = np.maximum(point.sinr, SILENT), 1 / np.sqrt(point.noise)
    # t >= 0, but for a silent user slightly less: its tangent lies below zero, and must not force it to be heard.
    slack = np.where(point.sinr < SILENT, 2 * SILENT, 0)
    least = task.least

    cones = [
        Cone("Zero", f_imag[own, own], np.zeros(users)),  # eq. (23)
        Cone("Nonnegative", x.t, slack / last),
        Cone("Nonnegative", -x.power.sum(0)[None], np.array([min(task.sum_limit / unit, LARGEST_GROWTH)])),  # eq. (16c)
        *x.power_cones,
    ]
    if own_powers:
        cones.append(Cone("Nonnegative", -x.power, np.minimum(task.port_limits / unit, LARGEST_GROWTH)))  # eq. (16d)
    if constrained:
        # Eq. (22) with a shortfall; it repeats t >= 0 for a user without least rate.
        scale = np.maximum(last, least)
        row = last[:, None] * x.t + np.maximum(least, 1)[:, None] * x.missing
        cones.append(Cone("Nonnegative", row / scale[:, None], np.where(least > 0, -least, slack) / scale))
        cones.append(Cone("Nonnegative", x.missing, np.zeros(users)))
    for k in own:
        # Eq. (25) over the last t: 2 u Re{a_k w_k} / t - t' >= u^2 / t (sum |a_k w_i|^2 + 1), u^2 / t = 1 / noise.
        others = np.delete(own, k)
        interference = weight[k] * np.concatenate([f_real[k, others], f_imag[k, others]])
        wanted = 2 * weight[k] / np.sqrt(last[k]) * f_real[k, k]
        cones.append(square_cone(interference, float(weight[k]), wanted - x.t[k]))
        # exp(log) <= (1 + t) / (1 + last t).
        share = last[k] / (1 + last[k])
        rows = np.stack([x.log[k], 0 * x.log[k], share * x.t[k]])
        cones.append(Cone("Exponential", rows, np.array([0, 1, 1 - share])))

    cost = SHORTFALL_PRICE * x.missing.sum(0)
    if efficiency:
        # root^2 <= sum rate over its last value.
        constant = float(np.log1p(last).sum() / point.rate_scale)
        cones.append(square_cone(x.root, 0.0, x.log.sum(0) / point.rate_scale, constant))
        price = np.ones(len(x.power))
        if task.indicator is not None:  # eq. (28)
            price = price + task.per_chain * indicator_slope(point.ports, task.indicator, task.epsilon)
        cost = cost + price * unit / task.power_scale(point) @ x.power - 2 * x.root[0]  # real product
    else:
        cost = cost - x.log.sum(0)

    found = solve_cones(cost, cones)
    if found is None:
        return None
    entries = users * ports
    w = np.sqrt(unit) * (found[:entries] + 1j * found[entries : 2 * entries]).reshape(users, ports)
    # The solver meets eq. (23) and the limits up to its tolerance only.
    turn = np.angle((task.a * w).sum(1))
    return task.within_limits(w * np.exp(-1j * turn)[:, None])
