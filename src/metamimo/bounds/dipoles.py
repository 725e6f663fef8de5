"""Bound of the sum rate of coupled tunable dipoles by the power that each of them balances (spec of bounds, B23, B24).

Signal model: the slots of a base station have dipole moments m_n = alpha_n e_n in their local fields e = G m + F i with
feed currents i, and users receive y = sum_b C_b m_b + n. Whatever a lossless slot is tuned to, it scatters the power
that it takes from its field, and its reactive power is no less than at its strongest resonance. Both laws are linear in
the covariance of moments and currents: with a price for each of them, nothing of the tuning is left.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from metamimo.bounds.priced import EPS, priced_rate, safe_eigenvalues
from metamimo.linalg import cmatmul, hermitian, squared_norm

FLAT = 1e-11
"""Smallest eigenvalue of a price over the size of its parts at which the price still counts."""

_RAISED = 1 + 1e-8


def local_power_residuals(
    moment: Complex[Array, "*batch slot"],
    field: Complex[Array, "*batch slot"],
    damping: Float[Array, "#*batch 1"],
    least_detuning: Float[Array, "#*batch 1"],
) -> tuple[Float[Array, "*batch slot"], Float[Array, "*batch slot"]]:
    """Return how far moments are from the two power laws of lossless slots (specification of bounds, B23).

    Signal model: m = alpha e with Im(1/alpha) = gamma, and Re(1/alpha) / gamma of the sign of the least detuning and no
    closer to zero.

    Args:
        moment: dipole moments m [A m^2].
        field: local fields e, of feeds and other slots [A/m].
        damping: gamma [m^-3], the loss of a lossy slot included.
        least_detuning: (omega_0^2 - omega^2) / (F omega^2 gamma) at the largest resonance strength F.

    Returns:
        Im(m* e) - gamma |m|^2, which is zero, and the margin of Re(m* e) over its least value, which is not negative.

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> alpha = 1 / (0.5 + 1j * jnp.array([2.0]))  # detuned by 0.25
    >>> balance, margin = local_power_residuals(alpha, jnp.ones(1, complex), jnp.array([2.0]), jnp.array([0.2]))
    >>> bool(abs(balance[0]) < 1e-15), bool(margin[0] > 0)
    (True, True)
    """
    power, size = moment.conj() * field, moment.real**2 + moment.imag**2
    return power.imag - damping * size, _sign(least_detuning) * (power.real - least_detuning * damping * size)


class DipoleNetwork(eqx.Module):
    """Base stations with tunable slots, in units that make the slots' damping, the budgets and the noise one.

    Attributes:
        coupling: G, field at every slot per moment of every other.
        feed: F, field at every slot per feed current.
        channel: C, what the receivers of all users get from a moment.
        least_detuning: see `local_power_residuals`; None if slots may be tuned to either side of the resonance, which
            leaves the first law only. One number for all slots, or one for each.
    """

    coupling: Complex[Array, "freq bs slot slot"]
    feed: Complex[Array, "freq bs slot feed"]
    channel: Complex[Array, "freq bs receiver slot"]
    least_detuning: Float[Array, " freq"] | Float[Array, "freq slot"] | None

    @classmethod
    def build(
        cls,
        coupling: Complex[Array, "freq bs slot slot"],
        feed: Complex[Array, "freq bs slot feed"],
        channel: Complex[Array, "freq bs user rx slot"],
        *,
        damping: Float[Array, " freq"],
        least_detuning: Float[Array, " freq"] | Float[Array, "freq slot"] | None,
        power: Float[Array, " bs"],
        noise_power: Float[Array, ""],
    ) -> "DipoleNetwork":
        """Take the units away.

        Args:
            coupling: field at every slot per dipole moment of every other [m^-3].
            feed: field at every slot per ampere of every feed [m^-1].
            channel: voltage at every antenna of the users per dipole moment [V/(A m^2)].
            damping: gamma, the same for all slots [m^-3].
            least_detuning: see `local_power_residuals`; one number for all slots of a station, or one for each.
            power: limit of the squared currents of a base station over all subcarriers [A^2].
            noise_power: of an antenna and subcarrier [V^2].

        Returns:
            The network.

        >>> one, eye = jnp.ones(1), jnp.ones((1, 1, 1, 1), complex)
        >>> network = DipoleNetwork.build(
        ...     0 * eye, eye, eye[..., None], damping=one, least_detuning=None, power=4 * one, noise_power=jnp.ones(())
        ... )
        >>> network.feed.item()
        (2+0j)
        """
        freq, bs, _, _, slots = channel.shape
        gamma = damping[:, None, None, None]
        rows = channel.reshape(freq, bs, -1, slots) / (gamma * jnp.sqrt(noise_power))
        return cls(coupling / gamma, feed * jnp.sqrt(power)[:, None, None], rows, least_detuning)


class Multipliers(eqx.Module):
    """Prices of what every design obeys.

    Attributes:
        active: lambda, of the balance of taken and radiated power of a slot; of any sign.
        reactive: nu, of the least reactive power of a slot; not negative.
        budget: mu, of the currents of a base station; positive.
    """

    active: Float[Array, "freq bs slot"]
    reactive: Float[Array, "freq bs slot"]
    budget: Float[Array, " bs"]


def bound_at_multipliers(network: DipoleNetwork, multipliers: Multipliers) -> Float[Array, ""]:
    """Return what no tuning and no precoders exceed, infinite where the multipliers prove nothing (B24).

    With the best currents put in, the moments of base station b have the price S_b = diag(lambda + nu r)
    - (Theta G + G^H Theta^H) / 2 - Theta F F^H Theta^H / (4 mu_b), Theta = diag(nu - j lambda), r the least detuning.
    If all of them are positive definite, K R <= sum_b mu_b + sum_k sum_i phi(lambda_i(sum_b C_b S_b^-1 C_b^H)) for K
    subcarriers k. Users decode together, which can only help; base stations send coherently.

    Args:
        network: the network.
        multipliers: any.

    Returns:
        Bound of the sum rate, the mean over subcarriers [nat per channel use].

    >>> import jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> one, eye = jnp.ones((1, 1, 1)), jnp.ones((1, 1, 1, 1), complex)
    >>> network = DipoleNetwork(0 * eye, 2 * eye, 3 * eye, None)  # at resonance |m| = 2, R = ln(1 + 36)
    >>> price = 36 / 37 / 4  # at the optimum the balance of power and the budget share the rate
    >>> best = Multipliers(2 * price * one, 0 * one, 4 * price * jnp.ones(1))
    >>> round(float(jnp.exp(bound_at_multipliers(network, best))), 4)
    37.0
    """
    _, bs, receivers, slots = network.channel.shape
    parts = price_parts(network, multipliers)
    price = sum(parts)
    lowest = jnp.linalg.eigvalsh(price)[..., 0]
    # The parts may cancel, so it is their size that rounding goes with, not that of their sum.
    size = sum(jnp.sqrt(squared_norm(part, (-2, -1))) for part in parts)
    # One factorisation after the other: large batches of two kinds at once wait for each other for ever (jaxlib 0.10).
    multipliers, lowest = jax.lax.optimization_barrier((multipliers, lowest))
    value, _ = lagrangian(network, multipliers)
    # A relative error of the solves moves every eigenvalue by as much, and phi by no more.
    rounding = receivers * 8 * bs * slots * EPS * (size / lowest).max()
    feasible = (lowest >= FLAT * size).all() & (multipliers.reactive >= 0).all() & (multipliers.budget > 0).all()
    value = (value + rounding) * _RAISED
    return jnp.where(feasible & jnp.isfinite(value), value, jnp.inf)


def lagrangian(network: DipoleNetwork, multipliers: Multipliers) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return the bound without the care for rounding, and sum ln|S_b|; not numbers where an S_b is indefinite."""
    lower = jnp.linalg.cholesky(sum(price_parts(network, multipliers)))
    gains = priced_gains(network.channel, lower)
    value = (multipliers.budget.sum() + priced_rate(gains).sum()) / gains.shape[0]
    return value, 2 * jnp.log(jnp.diagonal(lower, axis1=2, axis2=3).real).sum()


def price_parts(network: DipoleNetwork, multipliers: Multipliers) -> tuple[Array, Array, Array]:
    """Return what adds up to the prices S_b: of the slots alone, of their coupling, and of the feed currents."""
    sign, least = jnp.zeros(()), jnp.zeros(())
    if network.least_detuning is not None:
        least = network.least_detuning.reshape(len(network.least_detuning), 1, -1)
        sign = _sign(least)
    theta = jax.lax.complex(sign * multipliers.reactive, -multipliers.active)[..., None]
    own = multipliers.active + sign * least * multipliers.reactive
    coupled = theta * network.coupling
    driven = theta * network.feed / (2 * jnp.sqrt(multipliers.budget)[:, None, None])
    alone = own[..., None] * jnp.eye(own.shape[-1], dtype=coupled.dtype)
    return alone, -(coupled + hermitian(coupled)) / 2, -cmatmul(driven, hermitian(driven))


def priced_gains(
    channel: Complex[Array, "freq bs receiver slot"], lower: Complex[Array, "freq bs slot slot"]
) -> Float[Array, "freq receiver"]:
    """Return the eigenvalues of sum_b C_b S_b^-1 C_b^H, S_b = L_b L_b^H."""
    through = jax.lax.linalg.triangular_solve(lower, hermitian(channel), left_side=True, lower=True)
    return safe_eigenvalues(cmatmul(hermitian(through), through).sum(1))


def _sign(detuning: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return on which side of the resonance slots are; the sign of zero counts, for resonances of infinite strength."""
    return jnp.copysign(1.0, detuning)
