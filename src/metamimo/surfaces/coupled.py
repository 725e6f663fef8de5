"""Stacked metasurface of coupled dipoles: a model that conserves energy for every state."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

from metamimo.linalg import cmatmul
from metamimo.surfaces.dipole_stack import DipoleStack
from metamimo.surfaces.passive import Passive


class CoupledStack(DipoleStack, Passive):
    """Layers of lossless electric and magnetic dipole pairs, all coupled by the exact field, antennas included.

    Signal model: moments X a with X = S Lambda, Lambda = (I - G S)^-1 F for the port currents a, S = diag(alpha), and
    Z = I + j (G_s + F^T X) the impedance of the ports over that of a lone antenna. Every state conserves energy, and a
    layer of atoms with phi = 1 changes nothing. The equations are those of coupled dipoles (Purcell and Pennypacker
    1973), with pairs of electric and magnetic ones.
    """

    @classmethod
    def example(cls) -> "CoupledStack":
        """Return two layers of four atoms over four antennas."""
        return cls.build(n_layers=2, n_elements=4, n_ports=4, wavelength=1.0)

    def moments_and_impedance(
        self, state: Complex[Array, "..."]
    ) -> tuple[Complex[Array, "freq atom port"], Complex[Array, "freq port port"]]:
        """Return X = S (I - G S)^-1 F and Z = I + j (G_s + F^T X)."""
        alpha = self.polarisabilities(state)
        moments = alpha[..., None] * _fields(alpha, self.atoms, self.feed)
        return moments, self._impedance(_symmetric(cmatmul(self.feed.swapaxes(1, 2), moments)))

    def apply_rows(
        self, state: Complex[Array, "..."], rows: Complex[Array, "freq *rest element"]
    ) -> Complex[Array, "freq *rest port"]:
        """Return rows @ A(state) from one factorisation, whose derivative needs no other."""
        # Rows of all subcarriers are one batch where the surface has one frequency.
        flat = rows.reshape(self.feed.shape[0], -1, self.n_elements)
        gain, impedance = self._seen(state, flat)
        return cmatmul(gain, self.currents(impedance)).reshape(*rows.shape[:-1], self.n_ports)

    def _seen(self, state: Array, rows: Array) -> tuple[Array, Array]:
        """Return rows @ [X; I] and Z."""
        atoms = self.feed.shape[1]
        incident = jnp.concatenate([self.feed, rows[..., :atoms].swapaxes(1, 2)], axis=2)
        product = jax.vmap(_scattered)(self.polarisabilities(state), self.atoms, incident)
        gain = rows[..., atoms:] + product[:, self.n_ports :, : self.n_ports]
        return gain, self._impedance(product[:, : self.n_ports, : self.n_ports])

    def _impedance(self, product: Array) -> Array:
        return jnp.eye(self.n_ports) + 1j * (self.antennas + product)


def _symmetric(a: Array) -> Array:
    return (a + a.swapaxes(-1, -2)) / 2


def _fields(alpha: Array, coupling: Array, incident: Array) -> Array:
    """Return the local fields (I - G S)^-1 F."""
    matrix = jnp.eye(alpha.shape[-1]) - coupling * alpha[..., None, :]
    return jnp.linalg.solve(matrix, incident)


@jax.custom_vjp
def _scattered(
    alpha: Complex[Array, " atom"], coupling: Complex[Array, "atom atom"], incident: Complex[Array, "atom wave"]
) -> Complex[Array, "wave wave"]:
    """Return K = F^T S (I - G S)^-1 F: what comes back of every wave to every other; symmetric by reciprocity.

    dK = Lambda^T dS Lambda with the fields Lambda = (I - G S)^-1 F: the derivative takes no other factorisation.
    """
    return _scattered_fwd(alpha, coupling, incident)[0]


def _scattered_fwd(alpha: Array, coupling: Array, incident: Array) -> tuple[Array, tuple[Array, Array]]:
    lam = _fields(alpha, coupling, incident)
    return _symmetric(cmatmul(incident.T, alpha[:, None] * lam)), (alpha, lam)


def _scattered_bwd(kept: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array, Array]:
    alpha, lam = kept
    weight = _symmetric(cotangent)
    pulled = cmatmul(lam, weight)
    moments = alpha[:, None] * lam
    # Of S: lambda^T dS lambda; of G: X^T dG X; of F: dF^T X and its transpose.
    return (pulled * lam).sum(1), cmatmul(alpha[:, None] * pulled, moments.T), 2 * alpha[:, None] * pulled


_scattered.defvjp(_scattered_fwd, _scattered_bwd)
