"""Look at numbers that are known, and leave traced ones alone."""

import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from metamimo.errors import ConfigError


def known(values: float | Array) -> np.ndarray | None:
    """Return the values, or None where they are traced and not known yet."""
    return None if isinstance(values, Tracer) else np.asarray(values)


def refuse_negative(name: str, power: float | Array) -> None:
    """Refuse a negative power that is known."""
    given = known(power)
    if given is not None and not (given >= 0).all():
        raise ConfigError(f"{name}: a power must not be negative, got {given.tolist()} W")
