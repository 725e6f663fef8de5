"""A study: an experiment together with the code that computes, checks and draws it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from metamimo.errors import ConfigError
from metamimo.experiments.claims import Claim
from metamimo.experiments.config import Experiment, override, rebuild, scenario_at
from metamimo.experiments.tasks import Task

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from metamimo.experiments.results import Results

Compute = Callable[[Experiment, Task], "Mapping[str, np.ndarray]"]
DTYPES = ("bool", "int32", "int64", "float32", "float64", "complex64", "complex128")


@dataclass(frozen=True)
class Variable:
    """One stored quantity, with one value for each realisation.

    Attributes:
        name, dtype: Name in the store, and NumPy type (bool, int32, int64, float32, float64, complex64 or complex128).
        dims: Extra dimensions behind `trial`, for example ``("user",)``.
        unit, long_name: For pictures and exports.
        promised: Whether a repeated run gives the same bytes; False for wall times.
    """

    name: str
    dtype: str = "float64"
    dims: tuple[str, ...] = ()
    unit: str = ""
    long_name: str = ""
    promised: bool = True

    def __post_init__(self) -> None:
        """Check name and type."""
        if not self.name.isidentifier() or self.name in ("scheme", "trial", "done"):
            raise ConfigError(f"variable name: must be an identifier other than scheme, trial, done ({self.name!r})")
        if self.dtype not in DTYPES:
            raise ConfigError(f"variable {self.name}: dtype must be one of {', '.join(DTYPES)} (given: {self.dtype!r})")


SHOWN_BOUND = 1.3
"""Bound over curve up to which a bound tells something and is drawn: tight or moderate."""


@dataclass(frozen=True)
class Panel:
    """One set of axes of a picture, described as data: which variable, against which axis.

    Attributes:
        variable: A stored variable without extra dimensions.
        x: Name of the axis that runs from left to right; the first one if left out.
        x_scale, y_scale: "linear" or "log".
        fixed: Values of the other axes, for example ``{"power_dbm": 30.0}``.
        title: Printed above the panel.
        bound: A variable that limits the first one whatever the design, drawn dashed where it lies at most
            `SHOWN_BOUND` times above the curve; none if left out.
    """

    variable: str
    x: str = ""
    x_scale: Literal["linear", "log"] = "linear"
    y_scale: Literal["linear", "log"] = "linear"
    fixed: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    bound: str = ""


@dataclass(frozen=True)
class Study:
    """Everything that `reproduce` needs for one figure.

    Attributes:
        experiment: What is computed.
        compute: ``compute(experiment, task) -> {variable: array}``, arrays with leading dimension ``task.count``. A
            function
            at module level, because worker processes import it by name. Must depend on its arguments only.
        variables: The stored quantities. A variable called `status` says which realisations count, see `converged`.
        sizes: Length of every extra dimension: a number, or the name of the scenario field that holds it (its largest
            value
            over the grid is taken; shorter arrays are padded by `compute`).
        headline: The variable whose curves are written to curves.csv.
        panels: The picture as data, by default the headline against the first axis. Unused where `picture` is given.
        picture: For pictures that panels cannot express: ``picture(results) -> matplotlib Figure``.
        claims: What the source says, as code.
        converged: Values of `status` that count as converged; all others are stored but excluded from every statistic.
    """

    experiment: Experiment
    compute: Compute
    variables: tuple[Variable, ...]
    headline: str
    sizes: Mapping[str, int | str] = field(default_factory=dict)
    panels: tuple[Panel, ...] = ()
    picture: "Callable[[Results], Figure] | None" = None
    claims: tuple[Claim, ...] = ()
    converged: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        """Check that names fit together before anything is computed."""
        names = [variable.name for variable in self.variables]
        axes = [name for axis in self.experiment.axes for name in axis.fields]
        clash = sorted({name for name in names if names.count(name) > 1 or name in axes})
        if clash:
            raise ConfigError(f"variables: names must differ from each other and from the axes (given: {clash})")
        plain = [variable.name for variable in self.variables if not variable.dims and variable.dtype[0] in "if"]
        for name in (self.headline, *(name for panel in self.panels for name in (panel.variable, panel.bound) if name)):
            if name not in plain:
                raise ConfigError(f"headline, panels: must name a real variable without extra dimensions ({name!r})")
        for panel in self.panels if self.picture is None else ():
            self._check_panel(panel)
        for variable in self.variables:
            for dim in variable.dims:
                if dim not in self.sizes:
                    raise ConfigError(f"sizes: gives no length for dimension {dim!r} of variable {variable.name}")
        ids = [claim.id for claim in self.claims]
        if len(set(ids)) != len(ids) or (self.experiment.claims and list(self.experiment.claims) != ids):
            raise ConfigError(f"claims: identifiers must differ and agree with the experiment's (given: {ids})")

    def size_of(self, dim: str) -> int:
        """Return the length of an extra dimension."""
        size = self.sizes[dim]
        if isinstance(size, int):
            return size
        return max(int(getattr(scenario_at(self.experiment, index), size)) for index in self.experiment.grid())

    def _check_panel(self, panel: Panel) -> None:
        axes = {axis.name: axis.coordinate(axis.name) for axis in self.experiment.axes}
        x = panel.x or next(iter(axes), "")
        if x not in axes:
            raise ConfigError(f"panels: x must be one of the axes {', '.join(axes)} (given: {x!r})")
        for name, grid in axes.items():
            value = panel.fixed.get(name, grid[0] if len(grid) == 1 else None)
            if name != x and value not in grid:
                raise ConfigError(f"panels: must fix axis {name} to one of {list(grid)} (given: {value!r})")

    def panels_or_default(self) -> tuple[Panel, ...]:
        """Return the panels, or one of the headline variable against the first axis."""
        return self.panels or (Panel(self.headline),)

    def with_trials(self, trials: int) -> "Study":
        """Return the study with another number of realisations."""
        return replace(self, experiment=rebuild(self.experiment, trials=trials))

    def with_scenario(self, changes: Mapping[str, Any]) -> "Study":
        """Return the study with some scenario fields changed; it has another experiment id."""
        return replace(self, experiment=override(self.experiment, changes))
