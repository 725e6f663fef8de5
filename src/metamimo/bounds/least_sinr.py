"""Bound of the least signal-to-interference-and-noise ratio over the phases of one layer (spec of bounds, B18)."""

from jaxtyping import Array, Complex, Float

from metamimo.problem import Link
from metamimo.tuners.layer_bound import layer_bound_min_sinr
from metamimo.tuners.layer_coefficients import layer_coefficients


def least_sinr_bound(
    link: Link,
    state: Complex[Array, "layer element"],
    precoder: Complex[Array, "user port 1"],
    layer: int,
    *,
    tolerance: float = 1e-3,
    max_steps: int = 40,
) -> Float[Array, ""]:
    """Return a number that min_k SINR_k exceeds for no phases of one layer (specification of bounds, B18).

    The precoder and the other layers stay as they are: a bound of that stage, not of the whole design. Below a target
    it proves that no phases of the layer meet the target of every user.

    Args:
        link: broadcast link over a stacked surface to users with one antenna each.
        state: phases exp(j theta) of all layers; those of the layer itself only set where the search begins.
        precoder: F, one stream a user [sqrt(W)].
        layer: which layer, from the ports outwards, from 0.
        tolerance: relative width at which the bisection over the level stops.
        max_steps: limit of its steps; zero is valid, too.

    Returns:
        The bound, a power ratio.

    Raises:
        ConfigError: if the surface is not a stack, or the layer does not exist.
        ShapeError: if a user has more than one antenna.

    >>> import jax, jax.numpy as jnp
    >>> jax.config.update("jax_enable_x64", True)
    >>> from metamimo.surfaces.stacked import StackedSurface
    >>> stack, channel = StackedSurface.example(), jnp.ones((1, 1, 9), complex)
    >>> link = Link.broadcast(stack, channel, noise_power=1.0, bandwidth=1.0, frequency=6e9)
    >>> state = stack.feasible.random(jax.random.key(0))
    >>> bound = least_sinr_bound(link, state, jnp.ones((1, 4, 1), complex), 1)
    >>> v = layer_coefficients(link, state, jnp.ones((1, 4, 1), complex), 1)[0, 0]
    >>> round((bound / jnp.abs(v).sum() ** 2).item(), 2)  # one user gets all elements in phase
    1.0
    """
    v = layer_coefficients(link, state, precoder, layer)
    return layer_bound_min_sinr(v, state[layer], tolerance=tolerance, max_steps=max_steps).bound
