"""Semidefinite steps over all layers of a stack, one after another (arXiv 2504.15737, section III-B)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from metamimo.errors import ConfigError
from metamimo.linalg import cmatmul
from metamimo.metrics.effective import broadcast_forward
from metamimo.problem import Link
from metamimo.surfaces.stacked import StackedSurface
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
    surface = link.surfaces[0]
    if not isinstance(surface, StackedSurface):
        raise ConfigError(f"surfaces: layers are tuned on a StackedSurface, got {type(surface).__name__}")
    # Rows beyond a layer do not change while the layers before it do, so one pass gives them all.
    rows = broadcast_forward(link, state)[1] / jnp.sqrt(link.noise_power)

    def layer(l: Int[Array, ""], carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        state, columns, passes = carry
        columns = jax.lax.cond(l > 0, lambda: surface.carry_columns(state, columns, jnp.maximum(l, 1)), lambda: columns)
        v = rows[l][:, None, :] * columns.T
        step = layer_step(v, state[l], min_rate, backend=backend)
        return state.at[l].set(step.phi), columns, passes + step.solves

    sent = precoder[:, :, 0].T * link.ports[0][:, None]
    begin = (state, cmatmul(surface.first, sent), jnp.asarray(0))
    state, _, passes = jax.lax.fori_loop(0, surface.n_layers, layer, begin)
    return state, passes
