"""Real coordinates of a linear precoder, for methods that optimise it together with the surface state."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from metamimo.errors import ShapeError
from metamimo.linalg import cmatmul, hermitian, inverse_hermitian, squared_norm

Channel = Complex[Array, "user rx port"]
Precoder = Complex[Array, "user port stream"]

_FLOOR = 1e-12
"""Share of the mean stream power that a stream without power starts from: a logarithm has to be finite."""


class Coordinates(eqx.Module):
    """Contract: real numbers x that stand for a precoder on a given effective channel."""

    @abc.abstractmethod
    def begin(self, h: Channel, f: Precoder) -> Float[Array, " n"]:
        """Return coordinates of a precoder, or near it."""

    @abc.abstractmethod
    def precoder(self, h: Channel, x: Float[Array, " n"]) -> Precoder:
        """Return the precoder, differentiable in both arguments [sqrt(W)]."""


class OptimalForm(Coordinates):
    """The form of every optimal linear precoder for users with one antenna: a few numbers and the effective channel.

    Signal model: w_k = sqrt(p_k) u_k / |u_k|, u_k = (diag(m) + sum_i l_i h_i^H h_i)^-1 h_k^H with all p, l, m > 0: the
    Karush-Kuhn-Tucker conditions of every problem that rises with the users' SINRs, under any power limits and
    rate constraints, end in it (Björnson, Bengtsson and Ottersten 2014, eq. 13). Coordinates: ln l, ln p, ln m. As the
    phases move the channel, the precoder follows: in the joint design of phases and precoder this takes a tenth of the
    iterations of free entries (benchmarks/).

    >>> jax.config.update("jax_enable_x64", True)
    >>> h = jnp.array([[[1.0, 1.0]], [[0.0, 1.0]]], complex)
    >>> form = OptimalForm()
    >>> high = form.precoder(h, jnp.array([14.0, 14.0, 0.0, 0.0, 0.0, 0.0]))  # large l: zero-forcing
    >>> jnp.abs(cmatmul(h[:, 0], high[..., 0].T)).round(3)
    Array([[1.   , 0.   ],
           [0.   , 0.707]], dtype=float64)
    """

    def begin(self, h: Channel, f: Precoder) -> Float[Array, " n"]:
        """Return l = P / K and the powers of the streams: regularised zero-forcing of power P."""
        users, rx, ports = h.shape
        if rx != 1:
            raise ShapeError(f"channel: this form of the precoder is for one antenna a user, got {rx}")
        stream = squared_norm(f, (1, 2))
        mean = jnp.maximum(stream.mean(), jnp.finfo(stream.dtype).tiny)
        power = jnp.log(jnp.maximum(stream, _FLOOR * mean))
        return jnp.concatenate([jnp.full(users, jnp.log(mean)), power, jnp.zeros(ports)])

    def precoder(self, h: Channel, x: Float[Array, " n"]) -> Precoder:
        """Return the precoder; users without channel get none."""
        users = h.shape[0]
        l, p, m = x[:users], x[users : 2 * users], x[2 * users :]
        weighted = jnp.exp(0.5 * l)[:, None] * h[:, 0]
        inverse_m = jnp.exp(-m)
        # (diag(m) + B^H B)^-1 B^H = diag(m)^-1 B^H (I + B diag(m)^-1 B^H)^-1: users x users, not ports x ports.
        inner = jnp.eye(users) + cmatmul(weighted * inverse_m, hermitian(weighted))
        u = cmatmul(hermitian(weighted * inverse_m), inverse_hermitian(inner)).T
        norm = squared_norm(u, 1)
        scale = jnp.where(norm > 0, jnp.exp(0.5 * p) / jnp.sqrt(jnp.where(norm > 0, norm, 1)), 0)
        return (u * scale[:, None])[..., None]


class FreeEntries(Coordinates):
    """Real and imaginary parts of every entry, in units of `unit`; for any number of antennas a user.

    Attributes:
        unit: amplitude of one coordinate unit [sqrt(W)].
    """

    unit: Float[Array, ""]

    def begin(self, h: Channel, f: Precoder) -> Float[Array, " n"]:
        """Return the entries."""
        return jnp.stack([f.real, f.imag]).ravel() / self.unit

    def precoder(self, h: Channel, x: Float[Array, " n"]) -> Precoder:
        """Return the entries as complex numbers."""
        users, _, ports = h.shape
        real, imag = self.unit * x.reshape(2, users, ports, -1)
        return jax.lax.complex(real, imag)


class OneStreamAPort(Coordinates):
    """Wave-domain precoding: user k has the k-th of the K central ports for itself, coordinates are ln p_k."""

    def begin(self, h: Channel, f: Precoder) -> Float[Array, " n"]:
        """Return the stream powers of the precoder."""
        stream = squared_norm(f, (1, 2))
        return jnp.log(jnp.maximum(stream, _FLOOR * jnp.maximum(stream.mean(), jnp.finfo(stream.dtype).tiny)))

    def precoder(self, h: Channel, x: Float[Array, " n"]) -> Precoder:
        """Return sqrt(p_k) on the port of user k."""
        return (jnp.exp(0.5 * x)[:, None] * central_ports(*h.shape))[..., None].astype(h.dtype)


def central_ports(users: int, rx: int, ports: int) -> Float[Array, "user port"]:
    """Return 1 where a port belongs to a user, the K central ports in their order.

    Raises:
        ShapeError: if users have several antennas or outnumber the ports.
    """
    if rx != 1 or users > ports:
        raise ShapeError(
            f"users: a port for every user of one antenna needs {users} ports and 1 antenna, got {ports} and {rx}"
        )
    return jnp.eye(users, ports, (ports - users) // 2)
