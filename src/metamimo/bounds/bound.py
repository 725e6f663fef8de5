"""What a bound of a problem says, and how much may be spent on it."""

from typing import Literal

import equinox as eqx
from jaxtyping import Array, Float

Effort = Literal["cheap", "tight"]
Quality = Literal["tight", "moderate", "loose"]
"""Bound over best design as measured: within 5 %, within 30 %, or more."""


class Bound(eqx.Module):
    """What no design of a problem exceeds.

    Attributes:
        value: in the unit of the objective, bit/J or bit/s/Hz; nan where nothing is known.
        name: the relaxation behind it.
        quality: how close it lies to the best designs of such problems, as measured; `loose` if it may be nan.
    """

    value: Float[Array, ""]
    name: str = eqx.field(static=True)
    quality: Quality = eqx.field(static=True)
