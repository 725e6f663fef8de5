"""A network of stations in the form that block descent works on: linear in the states of their surfaces."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Inexact

from metamimo.errors import ConfigError
from metamimo.linalg import cmatmul
from metamimo.metrics.effective import effective_channel
from metamimo.problem import Problem
from metamimo.surfaces.base import Surface

States = Inexact[Array, "bs tunable"]


class Network(eqx.Module):
    """A problem in the form that the descent works on, over unit noise.

    Signal model: user u receives sum_b rows[b, u] diag(state_b) Y F_b of the streams, F_b the rows of station b in F.

    Attributes:
        rows: H X, X the left factor of the surface.
        right: Y, its right factor.
        ports: ports that exist and are on.
        serves: which station sends to which user.
        reach: root of the power limit of every chain.
        weights: weight of each user's rate.
    """

    rows: Complex[Array, "bs user rx tunable"]
    right: Complex[Array, "tunable port"]
    ports: Bool[Array, "bs port"]
    serves: Bool[Array, "bs user"]
    reach: Float[Array, "bs port"]
    weights: Float[Array, " user"]

    @classmethod
    def of(cls, problem: Problem, scheme: str) -> "Network":
        """Return the network of a problem.

        Raises:
            ConfigError: if the problem is more general than the descent.
        """
        link = problem.link
        limits = problem.chain_limits(scheme)
        surface = shared_surface(problem, scheme)
        factors = surface.factors()
        if factors is None:
            raise ConfigError(
                f"surfaces: {scheme} needs a response that is linear in the state, {type(surface).__name__} has none"
            )
        left, right = factors
        rows = cmatmul(link.channel[0], left) / jnp.sqrt(link.noise_power)
        return cls(rows, right, link.ports, link.serves, jnp.sqrt(limits), link.weights)

    @classmethod
    def with_states(cls, problem: Problem, states: Inexact[Array, "..."], scheme: str) -> "Network":
        """Return the network of a problem whose surfaces keep their states; every port is an element of its own.

        Raises:
            ConfigError: if the problem is more general than the descent.
        """
        link = problem.link
        limits = problem.chain_limits(scheme)
        rows = effective_channel(link, (states,))[0] / jnp.sqrt(link.noise_power)
        right = jnp.eye(rows.shape[-1], dtype=complex)
        return cls(rows, right, link.ports, link.serves, jnp.sqrt(limits), link.weights)

    @property
    def sends(self) -> Bool[Array, "all_ports user"]:
        """Return which port sends to which user."""
        return (self.ports[:, :, None] & self.serves[:, None]).reshape(-1, self.serves.shape[1])

    def effective(self, states: States) -> Complex[Array, "user rx all_ports"]:
        """Return the channel from all ports of all stations."""
        each = cmatmul(self.rows * states[:, None, None], self.right) * self.ports[:, None, None]
        return each.transpose(1, 2, 0, 3).reshape(*each.shape[1:3], -1)

    def excitation(self, f: Complex[Array, "user all_ports stream"]) -> Complex[Array, "bs tunable user stream"]:
        """Return Y F_b of every station: what a state of one would send."""
        users, _, streams = f.shape
        each = f.reshape(users, *self.ports.shape, streams).transpose(1, 2, 0, 3)
        each = each.reshape(*self.ports.shape, users * streams)
        return cmatmul(self.right, each).reshape(len(each), -1, users, streams)

    def by_station(self, f: Complex[Array, "user all_ports stream"]) -> Complex[Array, "1 bs user port stream"]:
        """Return precoders station by station, as a `Design` has them."""
        return f.reshape(f.shape[0], *self.ports.shape, -1).transpose(1, 0, 2, 3)[None]

    def sent(
        self, states: States, excitation: Complex[Array, "bs tunable user stream"]
    ) -> Complex[Array, "bs user rx user2 stream"]:
        """Return what every station contributes to what users receive."""
        b, u, r, n = self.rows.shape
        flat = excitation.reshape(b, n, -1)
        each = cmatmul((self.rows * states[:, None, None]).reshape(b, u * r, n), flat)
        return each.reshape(b, u, r, *excitation.shape[2:])


def shared_surface(problem: Problem, scheme: str) -> Surface:
    """Return the surface that all stations share.

    Raises:
        ConfigError: if they have different ones.
    """
    surfaces = problem.link.surfaces
    if len(surfaces) != 1:
        raise ConfigError(f"surfaces: {scheme} takes one surface that all stations share, got {len(surfaces)}")
    return surfaces[0]
