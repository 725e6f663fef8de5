"""Names of the discretisations of free propagation, without imports, so that configurations can use them."""

from typing import Literal

Kernel = Literal["sampled", "clipped", "band_limited"]
