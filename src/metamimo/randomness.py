"""Random keys: one a trial, one sub-key a purpose, so that another array size or scheme leaves users in place."""

from typing import Literal

import jax
from jaxtyping import Array, Key

Purpose = Literal["users", "large_scale", "fading", "csi_error", "start", "scheme"]

_PURPOSES: dict[Purpose, int] = {
    "users": 0,
    "large_scale": 1,
    "fading": 2,
    "csi_error": 3,
    "start": 4,
    "scheme": 5,
}


def trial_key(seed: int | Array, trial: int | Array) -> Key[Array, ""]:
    """Return the key of one Monte Carlo trial; it depends on the seed and the trial's number and on nothing else.

    Args:
        seed: seed of the experiment (may be traced).
        trial: number of the trial, counted from zero (may be traced).

    Returns:
        A typed JAX key.
    """
    return jax.random.fold_in(jax.random.key(seed), trial)


def purpose_key(key: Key[Array, ""], purpose: Purpose) -> Key[Array, ""]:
    """Return the sub-key of one purpose; the table is fixed, so adding a purpose moves no other draw.

    Args:
        key: key of the trial.
        purpose: one of users, large_scale, fading, csi_error, start, scheme.

    Returns:
        A typed JAX key.
    """
    return jax.random.fold_in(key, _PURPOSES[purpose])
