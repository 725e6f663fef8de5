"""Score a design on the true link: always outside the scheme that made it."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from metamimo.metrics.effective import effective_channel
from metamimo.metrics.power import ledger
from metamimo.metrics.rates import rates
from metamimo.problem import Design, Ledger, Objective, Problem, to_bits


class Metrics(eqx.Module):
    """What a design achieves.

    Attributes:
        rates: rate of each user, mean over subcarriers [bit/s/Hz].
        sum_rate: weighted sum of the rates [bit/s/Hz].
        energy_efficiency: bandwidth times sum rate over consumed power [bit/J].
        ledger: powers.
        served: number of users with more than a thousandth of the best user's rate.
        jain: Jain's fairness index of the rates, between 1 / users and 1.
    """

    rates: Float[Array, " user"]
    sum_rate: Float[Array, ""]
    energy_efficiency: Float[Array, ""]
    ledger: Ledger
    served: Int[Array, ""]
    jain: Float[Array, ""]


def evaluate(truth: Problem, design: Design) -> Metrics:
    """Return rates, powers and energy efficiency of a design.

    Args:
        truth: the true channel and antenna, which need not be what the designer saw.
        design: states and precoder.

    Returns:
        The metrics, energy efficiency EE = B R / P (Perović et al. 2024, eqs. 10 to 12).
    """
    link = truth.link
    channel = effective_channel(link, design.state)
    rate = to_bits(rates(channel, design.precoder, link.serves, link.noise_power, design.order, link.evm).mean(0))
    powers = ledger(truth, design)
    total = (link.weights * rate).sum()
    squares = (rate**2).sum()
    return Metrics(
        rates=rate,
        sum_rate=total,
        energy_efficiency=link.bandwidth * total / powers.consumed,
        ledger=powers,
        served=(rate > 1e-3 * rate.max()).sum(),
        jain=jnp.where(squares > 0, rate.sum() ** 2 / (rate.size * jnp.where(squares > 0, squares, 1)), 1.0),
    )


def objective_value(metrics: Metrics, objective: Objective) -> Float[Array, ""]:
    """Return the entry of the metrics that the problem maximises."""
    return metrics.energy_efficiency if objective == "energy_efficiency" else metrics.sum_rate
