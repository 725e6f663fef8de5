"""One realisation of a network."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from metamimo.errors import ConfigError, ShapeError
from metamimo.problem.known import known
from metamimo.surfaces.base import Surface


class Link(eqx.Module):
    """One realisation of a network: base stations with surfaces, users, and the channel between them.

    Signal model: y[u] = sum over b, u' of serves[b, u'] H[f, b, u] A_b F[f, b, u'] s[u'] + n. An all-true mask is
    cell-free, one station a user is multi-cell, one station is broadcast. Unequal stations are zero-padded in the
    element and port axes.

    Attributes:
        surfaces: one surface shared by all stations, or one per station.
        channel: H, without unit, used as y = H x.
        serves: which station sends the streams of which user.
        ports: which ports exist and are switched on; the others carry zero columns.
        noise_power: noise per receive antenna and subcarrier [W].
        evm: error vector magnitude of the transmitters; port m adds independent distortion of power evm^2 p_m.
        bandwidth: bandwidth of all subcarriers together [Hz].
        frequencies: centre of each subcarrier [Hz].
        weights: weight of each user's rate.
    """

    surfaces: tuple[Surface, ...]
    channel: Complex[Array, "freq bs user rx element"]
    serves: Bool[Array, "bs user"]
    ports: Bool[Array, "bs port"]
    noise_power: Float[Array, ""]
    bandwidth: Float[Array, ""]
    frequencies: Float[Array, " freq"]
    weights: Float[Array, " user"]
    evm: Float[Array, ""] = eqx.field(default_factory=lambda: jnp.zeros(()))

    def __check_init__(self) -> None:
        freq, bs, user, _, element = self.channel.shape
        expected = {
            "serves": (self.serves.shape, (bs, user)),
            "ports": (self.ports.shape, (bs, max(s.n_ports for s in self.surfaces))),
            "frequencies": (self.frequencies.shape, (freq,)),
            "weights": (self.weights.shape, (user,)),
        }
        for name, (given, rule) in expected.items():
            if given != rule:
                raise ShapeError(
                    f"{name}: must have shape {rule} for a channel of shape {self.channel.shape}, got {given}"
                )
        if len(self.surfaces) not in (1, bs):
            raise ShapeError(f"surfaces: must hold 1 or {bs} surfaces for {bs} stations, got {len(self.surfaces)}")
        largest = max(s.n_elements for s in self.surfaces)
        if element != largest:
            raise ShapeError(f"channel: must have {largest} elements in its last axis like the surface, got {element}")

    @classmethod
    def broadcast(
        cls,
        surface: Surface,
        channel: Complex[Array, "user rx element"],
        *,
        noise_power: float | Array,
        bandwidth: float | Array,
        frequency: float | Array,
        evm: float | Array = 0.0,
    ) -> "Link":
        """Make the link of one base station that serves all users on one subcarrier.

        Args:
            surface: the transmitter.
            channel: H without unit.
            noise_power: noise per receive antenna [W].
            bandwidth: bandwidth [Hz].
            frequency: carrier [Hz].
            evm: error vector magnitude of the transmitter, 0.05 for 5 %.

        Returns:
            The link.

        Raises:
            ShapeError: if channel and surface do not fit.
            ConfigError: if the error vector magnitude is not in [0, 1).
        """
        given = known(evm)
        if given is not None and not 0 <= given < 1:
            raise ConfigError(f"evm: must lie in [0, 1), got {evm}")
        users = channel.shape[0]
        return cls(
            surfaces=(surface,),
            channel=channel[None, None],
            serves=jnp.ones((1, users), bool),
            ports=jnp.ones((1, surface.n_ports), bool),
            noise_power=jnp.asarray(noise_power, float),
            bandwidth=jnp.asarray(bandwidth, float),
            frequencies=jnp.asarray(frequency, float)[None],
            weights=jnp.ones(users),
            evm=jnp.asarray(evm, float),
        )
