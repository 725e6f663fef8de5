"""How a batch of realisations runs: the one place that decides it.

An algorithm is written for one realisation. On a CPU the realisations run one after another: `vmap` of a data-
dependent loop costs the slowest item for all of them, and its last bits depend on who shares the batch. On an
accelerator they run side by side; there results agree within tolerance, not in bits.
"""

from collections.abc import Callable
from typing import Any

import jax


def map_realisations(one: Callable[[Any], Any], trials: Any) -> Any:
    """Apply a function of one trial to many trials, inside jit.

    Args:
        one: the whole trial: draw, starts, design, score.
        trials: their numbers, or any arrays with a leading axis of trials.

    Returns:
        What `one` returns, with a leading axis of trials.
    """
    if jax.default_backend() == "cpu":
        return jax.lax.map(one, trials)
    return jax.vmap(one)(trials)
