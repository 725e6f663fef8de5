"""The contract of every transmitter: a tunable linear map from port waves to element excitations."""

from abc import abstractmethod
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from metamimo.errors import ConfigError
from metamimo.linalg import cmatmul, hermitian
from metamimo.physics.patterns import Radiators
from metamimo.surfaces.feasible import FeasibleSet

PowerKind = Literal["port", "accepted", "radiated"]


class Surface(eqx.Module):
    """A transmitter x = A(state) a with port waves a and element excitations x, both in sqrt(W).

    A new antenna is one subclass with `response`; it is built on the host for one frequency grid. A frequency axis of
    length one means that the response does not depend on frequency. Where ports carry something else than waves, such
    as currents, a surface says so in `ports_are_waves` and gives its own `accepted_power`.

    Attributes:
        n_ports: ports, that is RF chains.
        n_elements: radiating elements.
        feasible: set of states.
        coupling: power coupling C of the elements (spec of fair comparison: P_rad = x^H C x), shape (freq or 1, n, n).
    """

    n_ports: eqx.AbstractVar[int]
    n_elements: eqx.AbstractVar[int]
    feasible: eqx.AbstractVar[FeasibleSet]
    coupling: eqx.AbstractVar[Inexact[Array, "freq element element"]]

    @classmethod
    @abstractmethod
    def example(cls) -> "Surface":
        """Return a small instance, on which the conformance suite runs."""

    @abstractmethod
    def response(self, state: Inexact[Array, "..."]) -> Complex[Array, "freq element port"]:
        """Return A(state); differentiable in the state and in the surface's own arrays."""

    @property
    def n_tunable(self) -> int | Array:
        """Number of elements that are fed with control power (a traced number where it is swept)."""
        size = 1
        for length in self.feasible.shape:
            size *= length
        return size

    def apply_rows(
        self, state: Inexact[Array, "..."], rows: Complex[Array, "freq *rest element"]
    ) -> Complex[Array, "freq *rest port"]:
        """Return rows @ A(state); surfaces with a cheaper way than forming A override the two halves below."""
        return self.rows_forward(state, rows)[0]

    def rows_forward(
        self, state: Inexact[Array, "..."], rows: Complex[Array, "freq *rest element"]
    ) -> tuple[Complex[Array, "freq *rest port"], Any]:
        """Return rows @ A(state) and what `rows_backward` needs of this pass."""
        flat = rows.reshape(rows.shape[0], -1, self.n_elements)
        out = cmatmul(flat, self.response(state))
        return out.reshape(*rows.shape[:-1], self.n_ports), rows

    def rows_backward(
        self, state: Inexact[Array, "..."], kept: Any, cotangent: Complex[Array, "freq *rest port"]
    ) -> Inexact[Array, "..."]:
        """Return the cotangent of the state (JAX's convention: linear, nothing conjugated)."""
        _, pull = jax.vjp(lambda s: Surface.rows_forward(self, s, kept)[0], state)
        return pull(cotangent)[0]

    def drive(
        self, state: Inexact[Array, "..."], columns: Complex[Array, "freq port stream"]
    ) -> Complex[Array, "freq element stream"]:
        """Return the element excitations A(state) @ columns, for radiation patterns and field pictures [sqrt(W)]."""
        return cmatmul(self.response(state), columns)

    @property
    def ports_are_waves(self) -> bool:
        """Tell whether |a|^2 is the accepted power; false where ports carry currents, whose power the state decides."""
        return True

    def power_matrix(self, state: Inexact[Array, "..."], kind: PowerKind) -> Inexact[Array, "freq port port"]:
        """Return M such that port waves F carry tr(F^H M F) watts.

        Args:
            state: state of the surface.
            kind: `port`, |a|^2, the identity, what an idealised budget limits; `accepted` by the ports, the same where
                ports are waves; or `radiated`, M = A^H C A.

        Returns:
            M, Hermitian and positive semidefinite.

        Raises:
            ConfigError: if the kind is unknown.
        """
        if kind == "port":
            return jnp.eye(self.n_ports, dtype=self.coupling.dtype)[None]
        if kind == "accepted":
            return self.accepted_power(state)
        if kind == "radiated":
            response = self.response(state)
            return cmatmul(hermitian(response), cmatmul(self.coupling.astype(response.dtype), response))
        raise ConfigError(f"kind: must be 'port', 'accepted' or 'radiated', got {kind!r}")

    def accepted_power(self, state: Inexact[Array, "..."]) -> Inexact[Array, "freq port port"]:
        """Return M such that port waves F take tr(F^H M F) watts: the identity where ports are waves."""
        return jnp.eye(self.n_ports, dtype=self.coupling.dtype)[None]

    def energy_gain(self, state: Inexact[Array, "..."]) -> Float[Array, ""]:
        """Return the most watts that the model can emit per watt fed: the largest eigenvalue of A^H C A."""
        return jnp.linalg.norm(self.power_matrix(state, "radiated"), ord=2, axis=(-2, -1)).max()

    def factors(
        self,
    ) -> tuple[Complex[Array, "element tunable"], Complex[Array, "tunable port"]] | None:
        """Return X and Y with A(state) = X diag(state) Y, the state flattened; None if the response is not linear.

        Mean square errors are then quadratic in the state, which block descent schemes make use of.
        """
        return None

    def elements(self) -> tuple[Float[np.ndarray, "element 3"], Radiators] | None:
        """Return where the elements are [m] and how they radiate; None if the surface was not told.

        Field pictures are drawn from it, on the host. The coupling matrix of these elements is `coupling`.
        """
        return None

    def gain_limits(self) -> Float[Array, " mode"] | None:
        """Return bounds of the squared singular values of A(state) over all states, largest first; None if unknown.

        With s_i(A) the i-th largest singular value, no state has s_i(A)^2 products that exceed those of the bounds
        (weak log-majorisation, Horn 1950). They give upper bounds of rates (`metamimo.bounds`).
        """
        return None

    def envelope(
        self, rows: Complex[Array, "*rest element"]
    ) -> tuple[Complex[Array, "*rest element"], Float[Array, " mode"]] | None:
        """Return rows V^-1 and bounds of the squared singular values of V A(state), for a fixed V; None if unknown.

        rows @ A(state) is their product, so the pair bounds what any state makes of the rows. V = I, with the bounds
        of `gain_limits`, unless a surface knows a better basis.
        """
        gains = self.gain_limits()
        return None if gains is None else (rows, gains)
