"""The elements' part of a block descent: a quadratic in the state, f(x) = x^H Z x - 2 Re(x^H b), and what solves it.

At fixed receivers, weights and precoders the weighted mean square error is such a quadratic for every surface whose
response is linear in its state (Zhi et al. 2025, eqs. 23 to 28).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Inexact, Int

from metamimo.errors import ConfigError
from metamimo.linalg import cmatmul, eigenvalue_bound, hermitian
from metamimo.metrics.mean_square_error import MeanSquareError
from metamimo.optimise.binary_quadratic import hidden_convexity
from metamimo.optimise.cone_programs import call_host
from metamimo.optimise.sphere_decoder import Decoded, Variant, decode
from metamimo.surfaces.feasible import FeasibleSet, UnitModulus
from metamimo.surfaces.hologram_sets import LorentzianCircle, OnOff

State = Inexact[Array, " tunable"]

_CUT = 1e-10
"""Relative cut-off of the pseudo-inverse: the quadratic is nearly singular in practice."""


class ElementQuadratic(NamedTuple):
    """f(x) = x^H Z x - 2 Re(x^H b) of one station.

    Attributes:
        z: Z, Hermitian and positive semidefinite.
        b: b.
        largest: no eigenvalue of Z is larger.
    """

    z: Complex[Array, "tunable tunable"]
    b: Complex[Array, " tunable"]
    largest: Float[Array, ""]

    def value(self, state: State) -> Float[Array, ""]:
        """Return f(x)."""
        return (state.conj() * ((self.z * state).sum(-1) - 2 * self.b)).sum().real


class ElementChoice(NamedTuple):
    """A new state of one station.

    Attributes:
        state: the state.
        optimal: whether it is proven to be the best for this block.
        nodes: nodes of a tree search, zero without one.
        finished: whether a tree search came to its end.
    """

    state: State
    optimal: Bool[Array, ""]
    nodes: Int[Array, ""]
    finished: Bool[Array, ""]


ElementSolver = Callable[[ElementQuadratic, State], ElementChoice]


def element_quadratic(
    rows: Complex[Array, "user rx tunable"],
    excitation: Complex[Array, "tunable user2 stream"],
    error: MeanSquareError,
    others: Complex[Array, "user rx user2 stream"],
) -> ElementQuadratic:
    """Return the weighted mean square error as a function of one station's state.

    Signal model: the station adds sum_q rows[u, :, q] x_q excitation[q, u'] to what user u receives of user u', in
    which `others` is what the other stations contribute.

    Args:
        rows: H X over unit noise, X the left factor of the surface.
        excitation: Y F, Y its right factor [sqrt(W)].
        error: mean square error at its receivers and weights.
        others: from the other stations, over unit noise.

    Returns:
        The quadratic: Z = (sum_u rows^H D rows) o (excitation excitation^H)^T.
    """
    return beside(quadratic_alone(rows, excitation, error), rows, excitation, error, others)


def quadratic_alone(
    rows: Complex[Array, "user rx tunable"], excitation: Complex[Array, "tunable user2 stream"], error: MeanSquareError
) -> ElementQuadratic:
    """Return the quadratic of a station as if the others were silent; see `element_quadratic`."""
    users, rx, n = rows.shape
    across = hermitian(rows.reshape(users * rx, n))  # (tunable, user rx)
    a = cmatmul(across, cmatmul(error.curvature, rows).reshape(users * rx, n))
    flat = excitation.reshape(n, -1)
    z = a * cmatmul(flat, hermitian(flat)).T
    pulled = cmatmul(hermitian(rows), error.slope)  # (user, tunable, stream)
    b = (pulled.swapaxes(0, 1) * excitation.conj()).sum((1, 2))
    z = (z + hermitian(z)) / 2
    return ElementQuadratic(z, b, eigenvalue_bound(z))


def beside(
    alone: ElementQuadratic,
    rows: Complex[Array, "user rx tunable"],
    excitation: Complex[Array, "tunable user2 stream"],
    error: MeanSquareError,
    others: Complex[Array, "user rx user2 stream"],
) -> ElementQuadratic:
    """Return the quadratic of a station beside what the others send; see `element_quadratic`."""
    users, rx, n = rows.shape
    heard = cmatmul(error.curvature, others.reshape(users, rx, -1)).reshape(users * rx, -1)
    pulled = cmatmul(hermitian(rows.reshape(users * rx, n)), heard)
    return alone._replace(b=alone.b - (pulled * excitation.reshape(n, -1).conj()).sum(-1))


def expect_on_off(feasible: FeasibleSet, who: str) -> OnOff:
    """Return the set, which must be one of elements on or off.

    Raises:
        ConfigError: if it is another.
    """
    if not isinstance(feasible, OnOff):
        raise ConfigError(f"feasible: {who} takes elements that are on or off, got {type(feasible).__name__}")
    return feasible


def signs_of(feasible: OnOff, quadratic: ElementQuadratic) -> tuple[Float[Array, "n n"], Float[Array, " n"]]:
    """Return A and q of F(s) = s^T A s - 2 q^T s with state = c (s + 1) / 2 (Lemma 1): f is F plus a constant."""
    a = feasible.amplitude**2 / 4 * quadratic.z.real
    return a, feasible.amplitude / 2 * quadratic.b.real - a.sum(1)


def by_hidden_convexity(feasible: FeasibleSet) -> ElementSolver:
    """Return the solver for elements on or off by the relaxation to the sphere, section 8 of the specification."""
    on_off = expect_on_off(feasible, "hidden convexity")

    def solve(quadratic: ElementQuadratic, state: State) -> ElementChoice:
        a, q = signs_of(on_off, quadratic)
        found = hidden_convexity(a, q, _to_signs(on_off, state))
        return _unsearched(_from_signs(on_off, found.x), found.optimal)

    return solve


def by_sphere_decoding(feasible: FeasibleSet, variant: Variant = "proposed", max_nodes: int = 10**6) -> ElementSolver:
    """Return the solver for elements on or off to the global optimum of the block (Algorithm 1), on the host.

    The tree is not searched where the certificate already proves the choice by hidden convexity to be optimal.
    """
    on_off = expect_on_off(feasible, "sphere decoding")
    (n,) = on_off.shape

    def search(a: Array, q: Array, start: Array) -> tuple[Array, Array, Array]:
        def on_host(a: np.ndarray, q: np.ndarray, start: np.ndarray) -> Decoded:
            return decode(a, q, start, variant=variant, max_nodes=max_nodes)

        kinds = (((n,), float), ((), int), ((), int), ((), bool))  # of a `Decoded`
        x, nodes, _, finished = call_host(on_host, tuple(jax.ShapeDtypeStruct(*kind) for kind in kinds), a, q, start)
        return x, nodes, finished

    def solve(quadratic: ElementQuadratic, state: State) -> ElementChoice:
        a, q = signs_of(on_off, quadratic)
        relaxed = hidden_convexity(a, q, _to_signs(on_off, state))
        known = (relaxed.x, jnp.asarray(0), jnp.asarray(True))
        x, nodes, finished = jax.lax.cond(relaxed.optimal, lambda: known, lambda: search(a, q, relaxed.x))
        return ElementChoice(_from_signs(on_off, x), relaxed.optimal | finished, nodes, finished)

    return solve


def by_majorisation(feasible: FeasibleSet, steps: int = 10) -> ElementSolver:
    """Return the solver for elements on a circle by majorisation and minimisation (eqs. 63 to 68).

    With state = centre + radius u, |u_q| = 1, each step is u <- exp(j arg((lambda I - Z) u + d)),
    d = (b - Z centre) / radius and lambda no less than the largest eigenvalue of Z: f never rises.
    """
    if not isinstance(feasible, UnitModulus | LorentzianCircle):
        raise ConfigError(f"feasible: majorisation takes elements on a circle, got {type(feasible).__name__}")
    centre, radius = feasible.circle
    if steps < 1:
        raise ConfigError(f"steps: must be at least 1, got {steps}")

    def solve(quadratic: ElementQuadratic, state: State) -> ElementChoice:
        z, b, largest = quadratic
        d = (b - centre * z.sum(1)) / radius
        shifted = largest * jnp.eye(z.shape[0]) - z

        def step(_: Int[Array, ""], u: Array) -> Array:
            pulled = (shifted * u).sum(-1) + d
            size = pulled.real**2 + pulled.imag**2
            return jnp.where(size > 0, pulled * jax.lax.rsqrt(jnp.where(size > 0, size, 1)), u)

        u = jax.lax.fori_loop(0, steps, step, (state - centre) / radius)
        return _unsearched(centre + radius * u, jnp.asarray(False))

    return solve


def by_closest_point(feasible: FeasibleSet) -> ElementSolver:
    """Return the baseline that projects the minimiser of f over all complex states, Z^+ b (eqs. 29 and 30).

    It is no descent step: f may rise.
    """

    def solve(quadratic: ElementQuadratic, state: State) -> ElementChoice:
        values, vectors = jnp.linalg.eigh(quadratic.z)
        kept = values > _CUT * values[-1]
        inverse = jnp.where(kept, 1 / jnp.where(kept, values, 1), 0)
        free = (vectors * (inverse * (vectors.conj() * quadratic.b[:, None]).sum(0))).sum(-1)
        return _unsearched(feasible.project(free), jnp.asarray(False))

    return solve


def _to_signs(feasible: OnOff, state: State) -> Float[Array, " tunable"]:
    return jnp.where(state.real > feasible.amplitude / 2, 1.0, -1.0)


def _from_signs(feasible: OnOff, x: Float[Array, " tunable"]) -> Float[Array, " tunable"]:
    return feasible.amplitude * (x + 1) / 2


def _unsearched(state: State, optimal: Bool[Array, ""]) -> ElementChoice:
    return ElementChoice(state, optimal, jnp.asarray(0), jnp.asarray(True))
