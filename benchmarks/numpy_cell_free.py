"""Plain NumPy implementation of `ssca` with limited port currents, straight from the equations, as a yardstick.

Every station and subcarrier by itself: LAPACK's LU of I - G A for all right-hand sides together, one eigenvalue
decomposition of the curvature, and bisection for the multiplier, as the specification of the cell-free paper has it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lu_factor, lu_solve


@dataclass
class Antenna:
    """What all stations have, in any one unit of polarisability: 1 / alpha = detuning / x + j damping.

    Attributes:
        guide: G, shape (subcarrier, slot, slot).
        feed: H_f, shape (subcarrier, slot, feed).
        detuning: shape (subcarrier, slot).
        damping: shape (subcarrier,).
        most: largest strength x.
    """

    guide: np.ndarray
    feed: np.ndarray
    detuning: np.ndarray
    damping: np.ndarray
    most: float


@dataclass
class Rules:
    """Noise power, budget of every station and the numbers of the algorithm (spec 6)."""

    noise: float
    budgets: np.ndarray
    step_state: float
    proximal: float = 1e-2
    tracking: float = 0.55
    stepping: float = 0.6


def run(antenna, rules, channels, theta, v, iterations):
    """Run the structured surrogate in the coordinate arctan x, without a safeguard.

    Args:
        antenna: of every station.
        rules: see `Rules`.
        channels: what is known in iteration t, a function of t; shape (station, subcarrier, user, slot).
        theta: phases to start from, shape (station, slot).
        v: precoders over the root of the budget to start from, shape (station, subcarrier, feed, user).
        iterations: how many.

    Returns:
        Sum rate before every iteration and after the last [bit/s/Hz], phases, precoders.
    """
    theta, v, history, tracks = theta.copy(), v.copy(), [], None
    stations, subcarriers, _, users = v.shape
    for t in range(iterations + 1):
        c = channels(t)
        heard = [[listen(antenna, k, np.tan(theta[b]), c[b, k]) for k in range(subcarriers)] for b in range(stations)]
        z = np.zeros((subcarriers, users, users), complex)
        for b in range(stations):
            for k in range(subcarriers):
                z[k] += np.sqrt(rules.budgets[b]) * heard[b][k][0] @ v[b, k]
        rate, psi, curvature = rate_of(z, rules.noise)
        history.append(rate)
        if t == iterations:
            return np.array(history), theta, v
        rho, gamma = (t + 1) ** -rules.tracking, (t + 1) ** -rules.stepping
        fresh = [gradients(rules, heard[b], v[b], np.tan(theta[b]), psi, curvature, b) for b in range(stations)]
        if tracks is None:
            tracks = [[rho * new for new in own] for own in fresh]
        else:
            tracks = [
                [(1 - rho) * old + rho * new for old, new in zip(*both, strict=True)]
                for both in zip(tracks, fresh, strict=True)
            ]
        for b, (d_theta, d_v, h) in enumerate(tracks):
            weight = max(1e-9, np.linalg.norm(d_theta) / (2 * rules.step_state))
            goal = np.clip(theta[b] + d_theta / (2 * weight), 0, np.arctan(antenna.most))
            theta[b] += gamma * (goal - theta[b])
            v[b] += gamma * (precoder_step(v[b], d_v, h, rules.proximal) - v[b])
    raise AssertionError("unreachable")


def listen(antenna, k, x, c):
    """Return the channel of the feeds and what the gradients need: fields of feeds and users in the slots, alpha'."""
    bottom = antenna.detuning[k] + 1j * antenna.damping[k] * x
    alpha, slope = x / bottom, antenna.detuning[k] / bottom**2
    factors = lu_factor(np.eye(len(x)) - antenna.guide[k] * alpha)
    feeds = antenna.feed.shape[2]
    fields = lu_solve(factors, np.hstack([antenna.feed[k], c.T]))
    return (c * alpha) @ fields[:, :feeds], fields[:, :feeds], fields[:, feeds:], slope


def rate_of(z, noise):
    """Return the sum rate (eqs. 13, 14), Psi (eqs. 17 to 19) and the curvatures of the minorant (spec 5)."""
    subcarriers, users, _ = z.shape
    rate, psi, curvature = 0.0, np.empty_like(z), np.empty((subcarriers, users))
    for k in range(subcarriers):
        power = np.abs(z[k]) ** 2
        own = np.diag(power)
        interference = (power - np.diag(own)).sum(1) + noise
        total = interference + own
        rate += np.log2(1 + own / interference).sum() / subcarriers
        scale = 1 / (subcarriers * np.log(2))
        curvature[k] = scale * own / (interference * total)
        psi[k] = -curvature[k][:, None] * z[k]
        np.fill_diagonal(psi[k], scale / total * np.diag(z[k]))
    return rate, psi, curvature


def gradients(rules, heard, v, x, psi, curvature, b):
    """Return gradients in phases (eq. 22) and precoders (eqs. 17 to 19), and the curvature H of station b."""
    root = np.sqrt(rules.budgets[b])
    d_x, d_v, h = np.zeros(len(x)), np.empty_like(v), []
    for k, (g, of_feeds, of_users, slope) in enumerate(heard):
        d_v[k] = root * g.conj().T @ psi[k]
        local = of_feeds @ v[k]
        d_x += 2 * root * (slope * ((of_users @ psi[k].conj()) * local).sum(1)).real
        h.append(len(rules.budgets) * rules.budgets[b] * (g.conj().T * curvature[k]) @ g)
    return (1 + x**2) * d_x, d_v, np.array(h)


def precoder_step(v, d, h, proximal):
    """Maximise the structured surrogate over |V|^2 <= 1 by bisection for the multiplier (spec 5)."""
    stiffness, vectors, pulled = [], [], []
    for k in range(len(v)):
        value, vector = np.linalg.eigh(h[k])
        stiffness.append(value + proximal)
        vectors.append(vector)
        pulled.append(stiffness[k][:, None] * (vector.conj().T @ v[k]) + vector.conj().T @ d[k])
    stiffness, squares = np.array(stiffness), (np.abs(pulled) ** 2).sum(2)
    low, high = 0.0, 0.0
    if (squares / stiffness**2).sum() > 1:
        high = np.sqrt(squares.sum())
        for _ in range(200):
            middle = (low + high) / 2
            if (squares / (stiffness + middle) ** 2).sum() > 1:
                low = middle
            else:
                high = middle
            if high - low <= 1e-12 * high:
                break
    return np.array([vectors[k] @ (pulled[k] / (stiffness[k] + high)[:, None]) for k in range(len(v))])
