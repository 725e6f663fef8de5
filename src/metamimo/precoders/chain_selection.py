"""Which RF chains to switch off, at a fixed effective channel: section III-A of arXiv 2504.15737 and two stronger ways.

At least as many chains as users stay on. The energy efficiency that decides, eq. (12), charges every chain that is on.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from metamimo.optimise.cone_programs import call_host
from metamimo.precoders.chain_indicator import Indicator
from metamimo.precoders.sca import ScaResult, sca_precoder

Method = Literal["smooth", "backward", "greedy"]
Solve = Callable[..., ScaResult]
"""`sca_precoder` that only misses `w`, `active` and, where wanted, the indicator."""


class ChainSelection(eqx.Module):
    """Result of a selection.

    Attributes:
        w: precoder with exact zeros at the ports that are off [sqrt(W)].
        active: ports that are on.
        value: energy efficiency with the power of these chains [nat per joule and hertz of the scaled power].
        feasible: whether every user has its least rate.
        values: best energy efficiency found with n chains in entry n; nan where that number was not tried or missed a
            least rate.
    """

    w: Complex[Array | np.ndarray, "user port"]
    active: Bool[Array | np.ndarray, " port"]
    value: Float[Array | np.ndarray, ""]
    feasible: Bool[Array | np.ndarray, ""]
    values: Float[Array | np.ndarray, " chains"]


class _Search:
    """Runs the precoder on sets of ports and keeps the best design of all."""

    def __init__(self, solve: Solve, ports: int) -> None:
        self.solve = solve
        self.values = np.full(ports + 1, np.nan)
        self.best: tuple[bool, float, np.ndarray, np.ndarray] | None = None

    def visit(self, w: np.ndarray, active: np.ndarray) -> tuple[bool, float, np.ndarray]:
        """Optimise on a set of ports; return whether the least rates are met, the energy efficiency, the precoder."""
        found = self.solve(w=np.where(active, w, 0), active=active)
        feasible, value, w = bool(found.feasible), float(found.history[-1]), np.asarray(found.w)
        if feasible:
            self.values[active.sum()] = np.fmax(self.values[active.sum()], value)
        if self.best is None or (feasible, value) > self.best[:2]:
            self.best = feasible, value, w, active
        return feasible, value, w

    def result(self) -> ChainSelection:
        """Return the best design."""
        assert self.best is not None
        feasible, value, w, active = self.best
        return ChainSelection(w, active, np.array(value), np.array(feasible), self.values)


def smooth_selection(
    solve: Solve,
    w: Complex[np.ndarray, "user port"],
    active: Bool[np.ndarray, " port"],
    *,
    indicator: Indicator = "log",
    epsilon: float = 1e-5,
) -> ChainSelection:
    """Charge a smooth count of the chains, switch off those below epsilon, and optimise again without that count.

    Where that is not better, the result keeps all chains. A chain with a useful power is seldom pushed to zero, so this
    usually keeps more chains on than `backward_elimination`.

    Args:
        solve: `sca_precoder` with channel, power model, limits and least rates filled in.
        w: precoder to start from [sqrt(W)].
        active: ports that may be used.
        indicator: the smooth count, eq. (27).
        epsilon: power from which a chain counts as on [W].

    Returns:
        The better of the two designs.

    Source: arXiv 2504.15737, eqs. (27) to (29).
    """
    search = _Search(solve, len(active))
    smoothed = np.asarray(solve(w=w, active=active, indicator=indicator, epsilon=epsilon).w)
    power = (np.abs(smoothed) ** 2).sum(0)
    strongest = np.argsort(-np.where(active, power, -1), kind="stable")[: len(w)]
    on = active & ((power >= epsilon) | np.isin(np.arange(len(active)), strongest))
    search.visit(smoothed, active)
    if (on != active).any():
        search.visit(smoothed, on)
    return search.result()


def backward_elimination(
    solve: Solve,
    w: Complex[np.ndarray, "user port"],
    active: Bool[np.ndarray, " port"],
) -> ChainSelection:
    """Optimise, switch off the chain with the least power, and so on down to one chain a user; keep the best.

    Every run starts from the last one's precoder.

    Args:
        solve: `sca_precoder` with channel, power model, limits and least rates filled in.
        w: precoder to start from [sqrt(W)].
        active: ports that may be used.

    Returns:
        The design with the highest energy efficiency that meets the least rates, if any does.

    >>> a = np.array([[3.0 + 0j, 4.0j, 0.1]])
    >>> free = {"sum_limit": 1.0, "port_limits": np.full(3, np.inf), "min_rate": np.zeros(1)}
    >>> solve = partial(sca_precoder, a, fixed=1.0, per_chain=1.0, **free)
    >>> backward_elimination(solve, 0.1 * a.conj(), np.ones(3, bool)).active
    array([False,  True, False])
    """
    search = _Search(solve, len(active))
    _, _, w = search.visit(w, active)
    while active.sum() > len(w):
        power = np.where(active, (np.abs(w) ** 2).sum(0), np.inf)
        active = active & (np.arange(len(active)) != power.argmin())
        _, _, w = search.visit(w, active)
    return search.result()


def greedy_elimination(
    solve: Solve,
    w: Complex[np.ndarray, "user port"],
    active: Bool[np.ndarray, " port"],
) -> ChainSelection:
    """Like `backward_elimination`, but try every chain and switch off the one that leaves the most energy efficiency.

    Up to M (M + 1) / 2 runs of the precoder for M ports.

    Args:
        solve: `sca_precoder` with channel, power model, limits and least rates filled in.
        w: precoder to start from [sqrt(W)].
        active: ports that may be used.

    Returns:
        The design with the highest energy efficiency that meets the least rates, if any does.
    """
    search = _Search(solve, len(active))
    _, _, w = search.visit(w, active)
    while active.sum() > len(w):
        fewer = [active & (np.arange(len(active)) != port) for port in np.flatnonzero(active)]
        tried = [search.visit(w, choice) for choice in fewer]
        chosen = max(range(len(tried)), key=lambda i: tried[i][:2])
        active, w = fewer[chosen], tried[chosen][2]
    return search.result()


METHODS: dict[Method, Callable[..., ChainSelection]] = {
    "smooth": smooth_selection,
    "backward": backward_elimination,
    "greedy": greedy_elimination,
}


def selection_stage(
    a: Complex[Array, "user port"],
    w: Complex[Array, "user port"],
    *,
    fixed: Float[Array, ""],
    per_chain: Float[Array, ""],
    sum_limit: Float[Array, ""],
    port_limits: Float[Array, " port"],
    min_rate: Float[Array, " user"],
    active: Bool[Array, " port"],
    method: Method = "backward",
) -> ChainSelection:
    """Select chains inside a JAX program, in one callback to the host; see `sca_stage`.

    Args:
        a: effective channel over unit noise [1/sqrt(W)].
        w: precoder to start from [sqrt(W)].
        fixed: see `sca_precoder`.
        per_chain: see `sca_precoder`.
        sum_limit: see `sca_precoder`.
        port_limits: see `sca_precoder`.
        min_rate: see `sca_precoder`.
        active: ports that may be used.
        method: which of the three functions above.

    Returns:
        What that function returns, as JAX arrays.
    """

    def host(a: Any, w: Any, numbers: Any, port_limits: Any, min_rate: Any, active: Any) -> tuple[Any, ...]:
        fixed, per_chain, sum_limit = numbers.tolist()
        scalars = {"fixed": fixed, "per_chain": per_chain, "sum_limit": sum_limit}
        solve = partial(sca_precoder, a, **scalars, port_limits=port_limits, min_rate=min_rate)
        found = METHODS[method](solve, w, active)
        return found.w, found.active, found.value, found.feasible, found.values

    ports, real = a.shape[1], a.real.dtype
    shapes = ((w.shape, w.dtype), ((ports,), bool), ((), real), ((), bool), ((ports + 1,), real))
    expected = tuple(jax.ShapeDtypeStruct(*shape) for shape in shapes)
    numbers = jnp.stack([fixed, per_chain, sum_limit])
    return ChainSelection(*call_host(host, expected, a, w, numbers, port_limits, min_rate, active))
