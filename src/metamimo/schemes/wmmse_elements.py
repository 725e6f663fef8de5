"""WMMSE schemes by name: the same block descent with different solvers for the elements (Zhi et al. 2025).

Signal model: that of `metamimo.schemes.network.Network`.
"""

from typing import Any

from jaxtyping import Array, Key

from metamimo.optimise.sphere_decoder import Variant
from metamimo.problem import Design, Problem, Solution
from metamimo.schemes.block_descent import block_descent
from metamimo.schemes.network import shared_surface
from metamimo.tuners.element_block import (
    ElementSolver,
    by_closest_point,
    by_hidden_convexity,
    by_majorisation,
    by_sphere_decoding,
    expect_on_off,
)


def wmmse_fixed(problem: Problem, *, key: Key[Array, ""], start: Design | None = None, **options: Any) -> Solution:
    """Maximise the weighted sum rate over the precoders of all stations; surfaces keep their states.

    On fully digital arrays this is plain WMMSE with a power limit for every antenna; on any other surface it designs
    the precoders for random states, or for those of the start.

    Args:
        problem: one subcarrier, a limit for every port, one surface shared by all stations.
        key: key of the trial.
        start: a design to start from.
        **options: options of `metamimo.schemes.block_descent.block_descent`.

    Returns:
        The solution.

    Raises:
        ConfigError: if the problem is more general than the scheme or an option out of its range.
    """
    return block_descent(problem, None, "wmmse-fixed", key=key, start=start, **options)


def wmmse_hc(
    problem: Problem, *, key: Key[Array, ""], start: Design | None = None, polish: bool = False, **options: Any
) -> Solution:
    """Maximise the weighted sum rate with elements on or off by their hidden convexity (WMMSE-HC, section 8).

    Args:
        problem: one subcarrier, a limit for every port, one surface shared by all stations, elements on or off.
        key: key of the trial; sub-key "start" draws states and precoders.
        start: a design to start from.
        polish: whether flips of single elements that raise the rate itself follow the descent, in turn with it.
        **options: options of `metamimo.schemes.block_descent.block_descent`.

    Returns:
        The solution.

    Raises:
        ConfigError: if the problem is more general than the scheme or an option out of its range.
    """
    feasible = shared_surface(problem, "wmmse-hc").feasible
    return _on_off(problem, by_hidden_convexity(feasible), "wmmse-hc", polish, key=key, start=start, **options)


def wmmse_sd(
    problem: Problem,
    *,
    key: Key[Array, ""],
    start: Design | None = None,
    variant: Variant = "proposed",
    max_nodes: int = 10**6,
    polish: bool = False,
    **options: Any,
) -> Solution:
    """Maximise the weighted sum rate with elements on or off, every block to its global optimum by sphere decoding.

    The descent as a whole remains a local method (WMMSE-SD, section 9).

    Args:
        problem: as for `wmmse_hc`.
        key: key of the trial; sub-key "start" draws states and precoders.
        start: a design to start from.
        variant: which accelerations, see `metamimo.optimise.sphere_decoder.decode`.
        max_nodes: nodes after which a block's search gives up; the status then says that a limit was reached.
        polish: as for `wmmse_hc`.
        **options: options of `metamimo.schemes.block_descent.block_descent`.

    Returns:
        The solution; `trials` counts nodes.

    Raises:
        ConfigError: if the problem is more general than the scheme or an option out of its range.
    """
    solver = by_sphere_decoding(shared_surface(problem, "wmmse-sd").feasible, variant, max_nodes)
    return _on_off(problem, solver, "wmmse-sd", polish, key=key, start=start, **options)


def _on_off(problem: Problem, solver: ElementSolver, scheme: str, polish: bool, **options: Any) -> Solution:
    amplitude = expect_on_off(shared_surface(problem, scheme).feasible, scheme).amplitude if polish else None
    return block_descent(problem, solver, scheme, amplitude=amplitude, **options)


def wmmse_mm(
    problem: Problem, *, key: Key[Array, ""], start: Design | None = None, steps: int = 10, **options: Any
) -> Solution:
    """Maximise the weighted sum rate with elements on a circle by majorisation and minimisation (WMMSE-MM, section 10).

    Lorentzian elements of a hologram, or the phase shifters of a hybrid array.

    Args:
        problem: one subcarrier, a limit for every port, one surface shared by all stations, elements on a circle.
        key: key of the trial; sub-key "start" draws states and precoders.
        start: a design to start from.
        steps: steps of the elements in an iteration.
        **options: options of `metamimo.schemes.block_descent.block_descent`.

    Returns:
        The solution.

    Raises:
        ConfigError: if the problem is more general than the scheme or an option out of its range.
    """
    solver = by_majorisation(shared_surface(problem, "wmmse-mm").feasible, steps)
    return block_descent(problem, solver, "wmmse-mm", key=key, start=start, **options)


def wmmse_cpp(problem: Problem, *, key: Key[Array, ""], start: Design | None = None, **options: Any) -> Solution:
    """Maximise the weighted sum rate, elements being the closest to an unconstrained optimum (baseline, section 7).

    The projection is no descent step, so the rate may fall; `returned` says whether the best iterate or the last one is
    the result.

    Args:
        problem: one subcarrier, a limit for every port, one surface shared by all stations.
        key: key of the trial; sub-key "start" draws states and precoders.
        start: a design to start from.
        **options: options of `metamimo.schemes.block_descent.block_descent`.

    Returns:
        The solution.

    Raises:
        ConfigError: if the problem is more general than the scheme or an option out of its range.
    """
    solver = by_closest_point(shared_surface(problem, "wmmse-cpp").feasible)
    return block_descent(problem, solver, "wmmse-cpp", key=key, start=start, **options)
