"""Smooth stand-ins for "the RF chain is on", eqs. (27) and (28) of arXiv 2504.15737.

All are zero at zero, increasing and concave, so that a tangent lies above the curve: as a cost, the tangent never
underestimates it.
"""

import math
from typing import Any, Literal

Indicator = Literal["log", "ratio", "exp"]


def indicator_value(power: Any, kind: Indicator, epsilon: float) -> Any:
    """Return f(p), which stands in for 1(p > 0): eq. (27).

    log: ln(1 + p/epsilon) / ln(1 + 1/epsilon), with f(1 W) = 1; ratio: p / (p + epsilon); exp: 1 - exp(-p/epsilon).

    Args:
        power: radiated power of every port, a NumPy or JAX array [W].
        kind: which curve.
        epsilon: power from which a chain counts as on, above zero [W].

    Returns:
        An array like `power`.

    >>> import numpy as np
    >>> indicator_value(np.array([0.0, 1.0]), "log", 1e-5)
    array([0., 1.])
    """
    xp = power.__array_namespace__()
    if kind == "log":
        return xp.log1p(power / epsilon) / math.log1p(1 / epsilon)
    return power / (power + epsilon) if kind == "ratio" else -xp.expm1(-power / epsilon)


def indicator_slope(power: Any, kind: Indicator, epsilon: float) -> Any:
    """Return f'(p), the slope of the tangent f(p0) + f'(p0) (p - p0) >= f(p) of eq. (28) [1/W].

    Args:
        power: radiated power of every port, a NumPy or JAX array [W].
        kind: which curve.
        epsilon: power from which a chain counts as on, above zero [W].

    Returns:
        An array like `power`.
    """
    xp = power.__array_namespace__()
    if kind == "log":
        return 1 / ((power + epsilon) * math.log1p(1 / epsilon))
    return epsilon / (power + epsilon) ** 2 if kind == "ratio" else xp.exp(-power / epsilon) / epsilon
