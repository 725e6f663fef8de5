"""All that a solver sees."""

import functools
from typing import Any, Literal, Protocol

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Key

from metamimo.errors import ConfigError
from metamimo.problem.known import known
from metamimo.problem.limits import Consumption, Limit
from metamimo.problem.link import Link

Objective = Literal["sum_rate", "energy_efficiency"]


class Csi(Protocol):
    """What a robust designer may draw from: posterior samples or fresh estimates of the channel."""

    def sample(self, key: Key[Array, ""]) -> Complex[Array, "freq bs user rx element"]:
        """Draw one channel."""
        ...


class Problem(eqx.Module):
    """All that a solver sees.

    `link` is what the designer knows: an estimated channel and the assumed antenna. The true link scores the design, in
    `metamimo.metrics.evaluate`, outside of every scheme.

    Attributes:
        link: the designer's view.
        limits: power limits.
        consumption: consumed power.
        min_rate: least rate of each user [nat per channel use].
        objective: what is maximised.
        csi: sampler of channels for robust schemes.
    """

    link: Link
    limits: tuple[Limit, ...]
    consumption: Consumption
    min_rate: Float[Array, " user"]
    csi: Any = None
    objective: Objective = eqx.field(static=True, default="energy_efficiency")

    def __check_init__(self) -> None:
        for limit in self.limits:
            if limit.power.ndim == 2 and limit.kind == "accepted":
                self._expect_waves("limits: a single port has an accepted power of its own where ports are waves")

    def broadcast_limit(self, scheme: str) -> Float[Array, ""]:
        """Return the sum power limit [W] of a single-station, single-carrier problem without rate constraints.

        Args:
            scheme: who asks, for the message.

        Raises:
            ConfigError: if the problem is more general than that, so that no scheme ignores a part of it. Traced
                values cannot be looked at; `metamimo.design` looks before it compiles.
        """
        if self.objective != "energy_efficiency":
            raise ConfigError(f"objective: {scheme} maximises energy efficiency, got {self.objective!r}")
        self.expect(scheme, "min_rate", self.min_rate, 0)
        self.expect(scheme, "weights", self.link.weights, 1)
        self.expect(scheme, "evm", self.link.evm, 0)
        self._one_station(scheme)
        limit = self.limits[0] if len(self.limits) == 1 else None
        if limit is None or limit.power.shape != (1,) or not limit.counts_waves:
            given = [(l.kind, l.power.shape) for l in self.limits]
            raise ConfigError(f"limits: {scheme} takes one sum limit on accepted power, got (kind, shape) {given}")
        return limit.power[0]

    def accepted_limits(self, scheme: str) -> tuple[Float[Array, ""], Float[Array, " port"]]:
        """Return the sum limit and the limit of every port [W] of a single-station, single-carrier problem.

        Args:
            scheme: who asks, for the message.

        Returns:
            (sum limit, limits of the ports); infinite where the problem has none.

        Raises:
            ConfigError: if there are several stations or subcarriers, or no limit, or one on radiated power.
        """
        self._one_station(scheme)
        if not self.limits:
            raise ConfigError(f"limits: {scheme} needs at least one limit on accepted power, got none")
        total, ports = jnp.asarray(jnp.inf), jnp.full(self.link.ports.shape[1], jnp.inf)
        for limit in self.limits:
            if not limit.counts_waves:
                raise ConfigError(f"limits: {scheme} takes limits on accepted power, got {limit.kind!r}")
            if limit.power.ndim == 1:
                total = jnp.minimum(total, limit.power[0])
            else:
                ports = jnp.minimum(ports, limit.power[0])
        return jnp.minimum(total, ports.sum()), jnp.minimum(ports, total)

    def chain_limits(self, scheme: str) -> Float[Array, "bs port"]:
        """Return the limit of every port [W] of a sum-rate problem on one subcarrier without rate constraints.

        Args:
            scheme: who asks, for the message.

        Raises:
            ConfigError: if the problem is more general than that.
        """
        if self.objective != "sum_rate":
            raise ConfigError(f"objective: {scheme} maximises the weighted sum rate, got {self.objective!r}")
        self.expect(scheme, "min_rate", self.min_rate, 0)
        self.expect(scheme, "evm", self.link.evm, 0)
        freq = self.link.channel.shape[0]
        if freq != 1:
            raise ConfigError(f"{scheme}: serves one subcarrier, got {freq}")
        given = [(l.kind, l.power.shape) for l in self.limits]
        if not given or any(not l.counts_waves or l.power.ndim != 2 for l in self.limits):
            raise ConfigError(
                f"limits: {scheme} takes limits of every port's accepted power, got (kind, shape) {given}"
            )
        return functools.reduce(jnp.minimum, [l.power for l in self.limits])

    def _one_station(self, scheme: str) -> None:
        freq, bs = self.link.channel.shape[:2]
        if (freq, bs) != (1, 1):
            raise ConfigError(f"{scheme}: serves one station on one subcarrier, got {bs} stations, {freq} subcarriers")
        self._expect_waves(f"{scheme}: takes the power |a|^2 of port waves for the accepted power")

    def _expect_waves(self, rule: str) -> None:
        for surface in self.link.surfaces:
            if not surface.ports_are_waves:
                raise ConfigError(f"{rule}; those of {type(surface).__name__} carry currents")

    @staticmethod
    def expect(scheme: str, name: str, values: Array, rule: int) -> None:
        """Refuse values that a scheme would ignore, where they are known."""
        given = known(values)
        if given is not None and (given != rule).any():
            raise ConfigError(f"{name}: {scheme} takes {rule} throughout, got {given.tolist()}")
