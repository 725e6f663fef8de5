"""Dirty paper coding as a transmission: the variable is the factor of the dual covariances."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from metamimo.precoders.covariances import (
    covariance_step,
    energy_efficient_covariances,
    mac_rate,
    reduce_ports,
    start_covariances,
)
from metamimo.precoders.mac_to_bc import broadcast_precoder
from metamimo.precoders.transmission import Channel, Outcome, Transmission


class DirtyPaperCoding(Transmission):
    """Covariances of the dual multiple-access channel, the problem (13) of Perović et al. (2024)."""

    def begin(self, h: Channel) -> Array:
        """Return equal covariances at full power."""
        return start_covariances(h, self.limit)

    def improve(self, h: Channel, v: Array, steps: int) -> Array:
        """Take steps of the default engine."""
        small = reduce_ports(h)
        return jax.lax.fori_loop(0, steps, lambda _, x: covariance_step(small, x, self.fixed, self.limit), v)

    def rate(self, h: Channel, v: Array) -> Float[Array, ""]:
        """Return ln|I + sum H_k^H S_k H_k| (eq. 13)."""
        return mac_rate(h, v)

    def finish(self, h: Channel, v: Array, *, tolerance: float, strict: bool = False) -> Outcome:
        """Solve the concave problem (13); strict by the paper's two phases."""
        engine = {"engine": "sca", "strict": True} if strict else {}
        stage = energy_efficient_covariances(h, v, self.fixed, self.limit, tolerance=tolerance, **engine)
        return Outcome(stage.factor, stage.history[-1], stage.status, stage.iterations)

    def precoder(self, h: Channel, v: Array) -> Complex[Array, "user port stream"]:
        """Return the broadcast precoder of the same rates and power."""
        return broadcast_precoder(h, v)

    def order(self, users: int) -> Int[Array, " user"]:
        """Return the natural order: the sum rate is the same for every one."""
        return jnp.arange(users)
