"""What a design may spend, and what it costs."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from metamimo.errors import ConfigError
from metamimo.problem.known import refuse_negative
from metamimo.problem.link import Link
from metamimo.surfaces.base import PowerKind


class Limit(eqx.Module):
    """A power limit tr(F^H M F) <= power for each station, or for each of its ports (diagonal entries).

    Attributes:
        power: limit [W], one a station or one a port.
        kind: which power the surface's `power_matrix` counts: `port` for |a|^2 of the ports (A^2 where they carry
            currents), `accepted` or `radiated`.
    """

    power: Float[Array, " bs"] | Float[Array, "bs port"]
    kind: PowerKind = eqx.field(static=True, default="accepted")

    def __check_init__(self) -> None:
        refuse_negative("power", self.power)

    @property
    def counts_waves(self) -> bool:
        """Tell whether |a|^2 is limited, on a surface whose ports are waves."""
        return self.kind in ("port", "accepted")


class Consumption(eqx.Module):
    """Consumed power (spec of fair comparison, section 3); nothing enters twice.

    P = P_acc / amplifier_efficiency + n_RF per_chain + n_el per_element + stations (control + static) + users per_user.

    Attributes:
        per_chain: RF chain [W].
        static: standby of a station [W].
        per_element: tunable element [W].
        control: controller of a surface [W].
        per_user: user terminal [W].
        amplifier_efficiency: accepted over supplied power of the amplifiers, in (0, 1].
        idle_chains: whether chains that carry no signal are charged, too.
    """

    per_chain: Float[Array, ""]
    static: Float[Array, ""]
    per_element: Float[Array, ""]
    control: Float[Array, ""]
    per_user: Float[Array, ""]
    amplifier_efficiency: Float[Array, ""]
    idle_chains: bool = eqx.field(static=True, default=False)

    @classmethod
    def of(
        cls,
        *,
        per_chain: float | Array = 0.0,
        static: float | Array = 0.0,
        per_element: float | Array = 0.0,
        control: float | Array = 0.0,
        per_user: float | Array = 0.0,
        amplifier_efficiency: float | Array = 1.0,
        idle_chains: bool = False,
    ) -> "Consumption":
        """Make the model from numbers in watts; what is not named costs nothing.

        Raises:
            ConfigError: if a power is negative or the efficiency not in (0, 1].
        """
        values = (per_chain, static, per_element, control, per_user, amplifier_efficiency)
        for name, value in zip(("per_chain", "static", "per_element", "control", "per_user"), values[:5], strict=True):
            refuse_negative(name, value)
        if not isinstance(amplifier_efficiency, Array) and not 0 < amplifier_efficiency <= 1:
            raise ConfigError(f"amplifier_efficiency: must lie in (0, 1], got {amplifier_efficiency}")
        return cls(*(jnp.asarray(v, float) for v in values), idle_chains=idle_chains)

    def fixed(self, link: Link, chains: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the consumed power that does not depend on the transmitted power [W].

        Args:
            link: supplies the numbers of stations, users and tunable elements.
            chains: number of charged RF chains of all stations.

        Returns:
            The power [W].
        """
        stations, users = link.serves.shape
        shared = len(link.surfaces) == 1
        tunable = stations * link.surfaces[0].n_tunable if shared else sum(s.n_tunable for s in link.surfaces)
        return (
            chains * self.per_chain
            + tunable * self.per_element
            + stations * (self.static + self.control)
            + users * self.per_user
        )
