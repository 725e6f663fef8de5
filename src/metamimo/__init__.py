"""metamimo: energy-conserving models and verified optimisers for metasurface transmitters.

Public names are loaded on first use, so that `import metamimo` is quick and changes nothing global.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Consumption": "metamimo.problem",
    "Design": "metamimo.problem",
    "FullyDigital": "metamimo.surfaces.digital",
    "Limit": "metamimo.problem",
    "Link": "metamimo.problem",
    "Problem": "metamimo.problem",
    "Solution": "metamimo.problem",
    "StackedSurface": "metamimo.surfaces.stacked",
    "Status": "metamimo.problem",
    "Surface": "metamimo.surfaces.base",
    "UnitModulus": "metamimo.surfaces.feasible",
    "design": "metamimo.schemes.design",
    "evaluate": "metamimo.metrics.evaluate",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'metamimo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
