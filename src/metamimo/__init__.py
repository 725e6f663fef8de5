"""metamimo: energy-conserving models and verified optimisers for metasurface transmitters.

Public names are loaded on first use, so that `import metamimo` is quick and changes nothing global.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metamimo.metrics.evaluate import evaluate
    from metamimo.problem import Consumption, Design, Limit, Link, Problem, Solution, Status
    from metamimo.schemes.design import design
    from metamimo.surfaces.base import Surface
    from metamimo.surfaces.digital import FullyDigital
    from metamimo.surfaces.feasible import UnitModulus
    from metamimo.surfaces.stacked import StackedSurface

__version__ = "0.1.0"

__all__ = [
    "Consumption",
    "Design",
    "FullyDigital",
    "Limit",
    "Link",
    "Problem",
    "Solution",
    "StackedSurface",
    "Status",
    "Surface",
    "UnitModulus",
    "__version__",
    "design",
    "evaluate",
]

_HOME = {
    "FullyDigital": "metamimo.surfaces.digital",
    "StackedSurface": "metamimo.surfaces.stacked",
    "Surface": "metamimo.surfaces.base",
    "UnitModulus": "metamimo.surfaces.feasible",
    "design": "metamimo.schemes.design",
    "evaluate": "metamimo.metrics.evaluate",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'metamimo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME.get(name, "metamimo.problem")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
