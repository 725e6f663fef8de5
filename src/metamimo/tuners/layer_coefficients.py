"""What a receiver hears as a linear function of the phases of one layer."""

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Complex, Int

from metamimo.errors import ConfigError, ShapeError
from metamimo.linalg import cmatmul
from metamimo.problem import Link
from metamimo.surfaces.stacked import StackedSurface
from metamimo.tuners.layer_relaxation import Coefficients


def layer_coefficients(
    link: Link,
    state: Complex[Array, "layer element"],
    precoder: Complex[Array, "user port 1"],
    layer: int | Int[Array, ""],
) -> Coefficients:
    """Return v with f_ki = v_ki^T phi^l for one layer of a stack (spec 6; arXiv 2504.15737, eqs. 30 and 31).

    Signal model: f_ki = h_k G w_i over unit noise, user k with one antenna and stream i. With the rows u_k from the
    users to layer l and the columns b_i from the ports to it, v_kin = u_kn b_in. Neither depends on the phases of layer
    l itself. One pass down and one up the stack; layers above `n_layers` do not exist.

    Args:
        link: broadcast link over a stacked surface to users with one antenna each.
        state: phases exp(j theta) of all layers.
        precoder: F, one stream a user [sqrt(W)].
        layer: which layer, from the ports outwards, 0 to n_layers - 1; may be traced.

    Returns:
        v, shape (users, streams, elements).

    Raises:
        ConfigError: if the surface is not a stack, or the layer does not exist.
        ShapeError: if a user has more than one antenna.

    >>> jax.config.update("jax_enable_x64", True)
    >>> stack, channel = StackedSurface.example(), jnp.ones((2, 1, 9), complex)
    >>> link = Link.broadcast(stack, channel, noise_power=1.0, bandwidth=1.0, frequency=6e9)
    >>> state = stack.feasible.random(jax.random.key(0))
    >>> layer_coefficients(link, state, jnp.ones((2, 4, 1), complex), 1).shape
    (2, 2, 9)
    """
    surface = link.surfaces[0]
    if not isinstance(surface, StackedSurface):
        raise ConfigError(f"surfaces: a layer belongs to a StackedSurface, got {type(surface).__name__}")
    if link.channel.shape[3] != 1:
        raise ShapeError(f"channel: users must have 1 antenna each, got {link.channel.shape[3]}")
    known = not isinstance(layer, Tracer) and not isinstance(surface.n_layers, Tracer)
    if known and not 0 <= int(layer) < int(surface.n_layers):
        raise ConfigError(f"layer: must lie between 0 and {int(surface.n_layers) - 1}, got {int(layer)}")
    users, elements = link.channel.shape[2], surface.n_elements
    _, kept = surface.rows_forward(state, link.channel[:, 0])
    rows = kept[layer].reshape(users, elements) / jnp.sqrt(link.noise_power)
    streams = (precoder[..., 0] * link.ports[0]).T
    first = cmatmul(surface.first, streams)
    columns = jax.lax.fori_loop(1, layer + 1, lambda l, b: surface.carry_columns(state, b, l), first)
    return rows[:, None] * columns.T
