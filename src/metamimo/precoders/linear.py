"""Linear precoding as a transmission: the variable is the precoder itself."""

import jax
from jaxtyping import Array, Complex, Float

from metamimo.metrics.rates import linear_sum_rate
from metamimo.precoders.energy_efficient import Reduced, efficient_scale, energy_efficient_precoder, reduced_step
from metamimo.precoders.matched import maximum_ratio
from metamimo.precoders.transmission import Channel, Outcome, Transmission


class LinearPrecoding(Transmission):
    """Algorithm 3 of Perović et al. (2024) on the precoder itself."""

    def begin(self, h: Channel) -> Array:
        """Return the matched filter at the power of ten that suits it."""
        return efficient_scale(h, maximum_ratio(h, self.limit), self.fixed)

    def improve(self, h: Channel, v: Array, steps: int) -> Array:
        """Take steps of Algorithm 3."""
        reduced = Reduced.of(h)
        return jax.lax.fori_loop(0, steps, lambda _, f: reduced_step(h, reduced, f, self.fixed, self.limit), v)

    def rate(self, h: Channel, v: Array) -> Float[Array, ""]:
        """Return the rate with all other streams as noise (eq. 8)."""
        return linear_sum_rate(h, v)

    def finish(self, h: Channel, v: Array, *, tolerance: float, strict: bool = False) -> Outcome:
        """Run Algorithm 3 to convergence."""
        stage = energy_efficient_precoder(h, v, self.fixed, self.limit, tolerance=tolerance, strict=strict)
        return Outcome(stage.precoder, stage.history[-1], stage.status, stage.iterations)

    def precoder(self, h: Channel, v: Array) -> Complex[Array, "user port stream"]:
        """Return v."""
        return v

    def order(self, users: int) -> None:
        """Return None."""
        return None
