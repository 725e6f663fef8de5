"""Fractional programming over the phases: exact closed-form updates, element by element (spec 6.3)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from metamimo.errors import ConfigError
from metamimo.linalg import cmatmul, squared_norm
from metamimo.metrics.effective import broadcast_forward
from metamimo.problem import Link, Status
from metamimo.surfaces.stacked import StackedSurface
from metamimo.tuners.tuned import Tuned

Received = Complex[Array, "user stream"]


def tune_elements(
    link: Link,
    state: Complex[Array, "layer element"],
    precoder: Complex[Array, "user port 1"],
    *,
    tolerance: float = 1e-6,
    max_sweeps: int = 100,
) -> Tuned:
    """Raise the sum rate of single-antenna users over the phases of a stack at a fixed precoder.

    Signal model: f_ki = v_ki^T phi for the phases of one layer. With alpha_k = SINR_k and
    beta_k = sqrt(1 + alpha_k) f_kk / T_k, T_k = sum_i |f_ki|^2 + 1, the rate is bounded below by
    2 Re q^H phi - phi^H U phi + const, q = sum_k sqrt(1 + alpha_k) beta_k v_kk^*,
    U = sum_k |beta_k|^2 sum_i v_ki^* v_ki^T, with equality here (Shen and Yu 2018). Each element takes its exact
    maximiser phi_n = c_n / |c_n|, c_n = q_n - sum_{m != n} U_nm phi_m, and the bound is renewed after every layer. U is
    never formed: the received coefficients change by one term with an element.

    Args:
        link: broadcast link over a stacked surface with unit-modulus elements and no distortion.
        state: first state.
        precoder: F, kept fixed [sqrt(W)].
        tolerance: relative gain of a sweep over all layers below which the ascent has converged.
        max_sweeps: limit of sweeps.

    Returns:
        The result; `iterations` and `history` count sweeps. The history never falls.

    Raises:
        ConfigError: if the surface is not a stack.
    """
    surface = link.surfaces[0]
    if not isinstance(surface, StackedSurface):
        raise ConfigError(f"surfaces: elements are tuned on a StackedSurface, got {type(surface).__name__}")
    unit_noise = 1 / jnp.sqrt(link.noise_power)
    sent = precoder[:, :, 0].T * link.ports[0][:, None]

    def tune_layer(phi: Array, rows: Array, columns: Array) -> Array:
        """Visit every element of a layer once; rows[k, n] b[n, i] are the coefficients v_ki."""
        f = cmatmul(rows * phi, columns)
        power = squared_norm(f, 1) + 1
        own = jnp.diagonal(f)
        alpha = squared_norm(own[:, None], 1) / (power - squared_norm(own[:, None], 1))
        root = jnp.sqrt(1 + alpha)
        beta = root * own / power
        weight = squared_norm(beta[:, None], 1)
        aim = root * beta

        def element(n: Int[Array, ""], carry: tuple[Array, Array]) -> tuple[Array, Array]:
            phi, f = carry
            v = rows[:, n, None] * columns[n]
            others = f - phi[n] * v
            c = (aim * jnp.diagonal(v).conj()).sum() - (weight[:, None] * v.conj() * others).sum()
            size = jnp.abs(c)
            new = jnp.where(size > 0, c / jnp.where(size > 0, size, 1), phi[n])
            return phi.at[n].set(new), others + new * v

        return jax.lax.fori_loop(0, phi.size, element, (phi, f))[0]

    def sweep(carry: tuple) -> tuple:
        state, value, history, i, _ = carry
        kept = broadcast_forward(link, state)[1] * unit_noise
        first = cmatmul(surface.first, sent)

        def layer(l: Int[Array, ""], carry: tuple[Array, Array]) -> tuple[Array, Array]:
            state, columns = carry
            columns = jax.lax.cond(
                l > 0, lambda: surface.carry_columns(state, columns, jnp.maximum(l, 1)), lambda: columns
            )
            return state.at[l].set(tune_layer(state[l], kept[l], columns)), columns

        state, _ = jax.lax.fori_loop(0, surface.n_layers, layer, (state, first))
        new = rate_of(state)
        i = i + 1
        return state, new, history.at[i].set(new), i, new - value <= tolerance * new

    def rate_of(state: Array) -> Float[Array, ""]:
        h = broadcast_forward(link, state)[0][:, 0] * unit_noise
        power = squared_norm(cmatmul(h, sent)[..., None], -1)
        own = jnp.diagonal(power)
        return (jnp.log1p(power.sum(1)) - jnp.log1p(power.sum(1) - own)).sum()

    def going(carry: tuple) -> Array:
        _, value, _, i, flat = carry
        return ~flat & (i < max_sweeps) & jnp.isfinite(value)

    value = rate_of(state)
    begin = (state, value, jnp.full(max_sweeps + 1, value), jnp.asarray(0), jnp.asarray(False))
    state, value, history, i, flat = jax.lax.while_loop(going, sweep, begin)
    history = jnp.where(jnp.arange(max_sweeps + 1) > i, value, history)
    status = jnp.where(flat, Status.CONVERGED, Status.ITERATION_LIMIT)
    status = jnp.where(jnp.isfinite(value), status, Status.NOT_FINITE)
    return Tuned(state, history, status, i, i)
