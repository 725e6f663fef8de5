"""Stacks of an experiment: built once a process, with room for the deepest of the grid."""

import functools
from typing import Any, Protocol, cast

from metamimo.experiments.config import Experiment, scenario_at
from metamimo.physics.patterns import Isotropic
from metamimo.surfaces.stacked import StackedSurface


class HasLayers(Protocol):
    """A scenario with a stack."""

    @property
    def n_layers(self) -> int:
        """Layers."""
        ...

    @property
    def n_elements(self) -> int:
        """Meta-atoms of a layer."""
        ...


@functools.lru_cache(maxsize=16)
def isotropic_stack(**sizes: Any) -> StackedSurface:
    """Return `StackedSurface.build` of numbers and names with isotropic elements; the last few are kept."""
    return StackedSurface.build(pattern=Isotropic(), **sizes)


def deepest_stack(experiment: Experiment, n_elements: int) -> int:
    """Return the most layers that the grid has at this number of elements: one program serves them all."""
    grid = (cast(HasLayers, scenario_at(experiment, index)) for index in experiment.grid())
    return max(point.n_layers for point in grid if point.n_elements == n_elements)
