"""Bounds of quadratics of elements on a circle, by a multiplier for every element (specification of bounds, section 6).

Signal model: phi^H C phi with |phi_n| = 1. For every real y, phi^H C phi = sum_n y_n + phi^H (C - diag y) phi, and the
last term is at most n max(0, lambda_max(C - diag y)). The best y makes that the semidefinite relaxation, whose low-rank
solution names it; any other y gives a weaker number that is as true.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from metamimo.bounds.priced import safe_eigenvalues
from metamimo.linalg import cmatmul, hermitian, squared_norm
from metamimo.optimise.low_rank_sdp import Constraints, maximise_low_rank

_ROUNDING = 1e-11
"""Relative error of the few sums whose rounding is not followed one by one."""


def unit_modulus_bound(
    c: Complex[Array, "n n"], *, tolerance: float = 1e-14, max_iterations: int = 1000
) -> Float[Array, ""]:
    """Return a number that phi^H C phi exceeds for no phases (specification of bounds, B14).

    It equals the semidefinite relaxation where the search for y converges. With C positive semidefinite it holds for
    all |phi_n| <= 1, too, since a convex function is largest at extreme points.

    Args:
        c: C, Hermitian.
        tolerance: gain over ten iterations, relative to the norm of C, at which the search stops.
        max_iterations: limit of its iterations between the at most 20 restarts of L-BFGS; zero is valid, too.

    Returns:
        The bound, in the units of C.

    >>> jax.config.update("jax_enable_x64", True)
    >>> bound = jax.jit(unit_modulus_bound)(jnp.array([[1, 2j], [-2j, 1]]))  # 2 + 4 cos(angle)
    >>> round(bound.item(), 9)
    6.0
    """
    y = best_multiplier(c, tolerance=tolerance, max_iterations=max_iterations)
    return bound_at_multiplier(c, y)


def best_multiplier(
    c: Complex[Array, "n n"], *, tolerance: float = 1e-14, max_iterations: int = 1000
) -> Float[Array, " n"]:
    """Return the y at which `bound_at_multiplier` is least, Re [(C V) V^H]_nn at the low-rank solution V V^H.

    Args:
        c, tolerance, max_iterations: see `unit_modulus_bound`.
    """
    n = c.shape[0]
    rank = math.isqrt(n - 1) + 2
    norm = jnp.sqrt(squared_norm(c))
    weights, vectors = jnp.linalg.eigh(c / jnp.where(norm > 0, norm, 1))
    start = jax.lax.complex(*jax.random.normal(jax.random.key(0), (2, n, rank)))
    found = maximise_low_rank(
        lambda t: (weights * t).sum(),
        hermitian(vectors),
        start,
        Constraints(jnp.zeros((0, n)), jnp.zeros(0)),
        tolerance=tolerance,
        max_iterations=max_iterations,
    )
    return (cmatmul(c, found.factor) * found.factor.conj()).real.sum(1)


def bound_at_multiplier(c: Complex[Array, "n n"], y: Float[Array, " n"]) -> Float[Array, ""]:
    """Return sum_n y_n + n max(0, lambda_max(C - diag y)), valid at any y; rounding is added.

    Args:
        c: C, Hermitian.
        y: any real numbers.
    """
    shift = jnp.maximum(safe_eigenvalues(c - jnp.diag(y))[-1], 0)
    return y.sum() + y.size * shift + _ROUNDING * jnp.abs(y).sum()


def inhomogeneous_bound(
    c: Complex[Array, "n n"], q: Complex[Array, " n"], *, tolerance: float = 1e-14, max_iterations: int = 1000
) -> Float[Array, ""]:
    """Return a number that phi^H C phi + 2 Re q^H phi exceeds for no phases (specification of bounds, B15).

    One more element of unit modulus, by whose phase all others are turned, makes it homogeneous.

    Args:
        c: C, Hermitian.
        q: q.
        tolerance, max_iterations: see `unit_modulus_bound`.

    >>> jax.config.update("jax_enable_x64", True)
    >>> bound = jax.jit(inhomogeneous_bound)(jnp.zeros((2, 2), complex), jnp.array([1j, 2]))  # 2 sum |q_n|
    >>> round(bound.item(), 9)
    6.0
    """
    bordered = jnp.block([[c, q[:, None]], [q[None].conj(), jnp.zeros((1, 1))]])
    return unit_modulus_bound(bordered, tolerance=tolerance, max_iterations=max_iterations)


def circle_bound(
    z: Complex[Array, "n n"],
    b: Complex[Array, " n"],
    centre: complex,
    radius: float,
    *,
    tolerance: float = 1e-14,
    max_iterations: int = 1000,
) -> Float[Array, ""]:
    """Return a number that f(x) = x^H Z x - 2 Re x^H b undercuts nowhere on a circle (specification of bounds, B15).

    Signal model: x = centre + radius u with |u_n| = 1; Lorentzian elements have centre j/2 and radius 1/2. In u,
    f = radius^2 u^H Z u - 2 radius Re u^H (b - centre Z 1) + f(centre 1).

    Args:
        z: Z, Hermitian.
        b: b.
        centre: of the circle that every element lies on.
        radius: of the circle.
        tolerance, max_iterations: see `unit_modulus_bound`.

    Returns:
        The lower bound, in the units of f.

    >>> jax.config.update("jax_enable_x64", True)
    >>> z, b = jnp.zeros((1, 1), complex), jnp.array([1j])  # f = -2 Im x is least at x = j
    >>> round(jax.jit(lambda: circle_bound(z, b, 0.5j, 0.5))().item(), 9)
    -2.0
    """
    turned = centre * z.sum(1)
    middle = (jnp.conj(centre) * (turned - 2 * b)).sum().real
    pull = radius * (b - turned)
    most = inhomogeneous_bound(-(radius**2) * z, pull, tolerance=tolerance, max_iterations=max_iterations)
    reach = abs(centre) + radius
    largest = reach**2 * jnp.abs(z).sum() + 2 * reach * jnp.abs(b).sum()
    return middle - most - _ROUNDING * largest


def one_layer_gain_bound(
    h: Complex[Array, " element"],
    w: Complex[Array, "element port"],
    *,
    tolerance: float = 1e-14,
    max_iterations: int = 1000,
) -> Float[Array, ""]:
    """Return a number that |h diag(phi) W|^2 exceeds for no phases (specification of bounds, B5 for one layer).

    Signal model: one receive antenna, one layer; the gain is phi^T diag(h) W W^H diag(h)^H phi^*. With one port the
    bound is the optimum, (sum_n |h_n| |w_n|)^2.

    Args:
        h: from the elements to the antenna, over unit noise.
        w: W from the ports to the elements.
        tolerance, max_iterations: see `unit_modulus_bound`.

    Returns:
        Bound of the channel gain of one user.

    >>> jax.config.update("jax_enable_x64", True)
    >>> bound = jax.jit(one_layer_gain_bound)(jnp.array([1, 1j]), jnp.array([[2j], [1]]))
    >>> round(bound.item(), 9)
    9.0
    """
    through = h[:, None] * w
    gain = cmatmul(through.conj(), through.T)
    return unit_modulus_bound(gain, tolerance=tolerance, max_iterations=max_iterations)
