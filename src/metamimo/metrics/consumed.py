"""Energy efficiency as a rate over (fixed + transmitted power), which is how its optimisers and bounds see it."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from metamimo.conventions import NAT_TO_BIT
from metamimo.metrics.power import charged_chains
from metamimo.problem import Problem


def fixed_power(problem: Problem, driven: Bool[Array, "bs port"] | None = None) -> Float[Array, ""]:
    """Return the power that does not depend on the precoder, times the amplifier efficiency [W].

    With it, bits per joule are amplifier_efficiency B R / (fixed + |F|^2).

    Args:
        problem: link and consumption.
        driven: which ports carry signals; all that exist by default.
    """
    link, consumption = problem.link, problem.consumption
    driven = link.ports if driven is None else driven
    return consumption.amplifier_efficiency * consumption.fixed(link, charged_chains(link, consumption, driven))


def fixed_powers(problem: Problem) -> Float[Array, " port"]:
    """Return `fixed_power` with 1, 2, ... ports on, all that exist beyond their number or where idle ones cost [W]."""
    link, consumption = problem.link, problem.consumption
    most = link.ports.sum()
    count = jnp.minimum(jnp.arange(1, link.ports.size + 1), most)
    charged = jnp.full_like(count, most) if consumption.idle_chains else count
    return consumption.amplifier_efficiency * consumption.fixed(link, charged.astype(float))


def bits_per_joule(problem: Problem, efficiency: Float[Array, "..."]) -> Float[Array, "..."]:
    """Convert nats per watt of (fixed + |F|^2) into bits per joule."""
    return efficiency * problem.link.bandwidth * problem.consumption.amplifier_efficiency * NAT_TO_BIT
