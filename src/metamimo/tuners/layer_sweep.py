"""Semidefinite steps over all layers of a stack, one after another (arXiv 2504.15737, section III-B)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from metamimo.errors import ConfigError
from metamimo.problem import Link
from metamimo.surfaces.stacked import StackedSurface
from metamimo.tuners.layer_coefficients import layer_coefficients
from metamimo.tuners.layer_sdp import Backend, layer_step


def sweep_layers(
    link: Link,
    state: Complex[Array, "layer element"],
    precoder: Complex[Array, "user port 1"],
    min_rate: Float[Array, " user"],
    backend: Backend,
) -> tuple[Complex[Array, "layer element"], Int[Array, ""]]:
    """Improve the layers from the ports outwards, each by `layer_step` at the others' new phases.

    Args:
        link: broadcast link over a stacked surface.
        state: first state.
        precoder: F, kept fixed [sqrt(W)].
        min_rate: least rate of each user [nat per channel use].
        backend: solver of the layer programs.

    Returns:
        (state, relaxations solved).

    Raises:
        ConfigError: if the surface is not a stack, or the back end unknown.
    """

    def layer(l: Int[Array, ""], carry: tuple[Array, Array]) -> tuple[Array, Array]:
        state, solves = carry
        step = layer_step(layer_coefficients(link, state, precoder, l), state[l], min_rate, backend=backend)
        return state.at[l].set(step.phi), solves + step.solves

    surface = link.surfaces[0]
    if not isinstance(surface, StackedSurface):
        raise ConfigError(f"surfaces: layers are tuned on a StackedSurface, got {type(surface).__name__}")
    return jax.lax.fori_loop(0, surface.n_layers, layer, (state, jnp.asarray(0)))
