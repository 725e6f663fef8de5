"""What an experiment is: a frozen, validated description with a hash of everything that changes numbers."""

import difflib
import hashlib
import itertools
import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, field_validator, model_validator

from metamimo.errors import ConfigError

Scalar = bool | int | float | str
RESERVED_DIMENSIONS = ("scheme", "trial", "done")
_FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
NOT_IN_ID = {"title", "trials", "chunk", "cites", "claims"}


class Scenario(BaseModel):
    """Base of every parameter set: one frozen class a paper, one field a parameter.

    Give the unit of a field in its metadata, ``Field(json_schema_extra={"unit": "dBm"})``. A field that enters the
    compiled program as a traced number and never changes an array shape also carries ``"traced": True``: tasks that
    differ only in traced fields share one compiled program and are run next to each other.

    >>> class Room(Scenario):
    ...     users: int = Field(default=4, gt=0)
    ...     power_dbm: float = Field(default=30.0, json_schema_extra={"unit": "dBm", "traced": True})
    >>> Room.unit_of("power_dbm"), Room.is_traced("power_dbm"), Room.is_traced("users")
    ('dBm', True, False)
    """

    model_config = _FROZEN

    @classmethod
    def unit_of(cls, field: str) -> str:
        """Return the unit of a field, empty where none is declared."""
        return str(cls._extra(field).get("unit", ""))

    @classmethod
    def is_traced(cls, field: str) -> bool:
        """Return whether a field is a traced number (no new program when it changes)."""
        return bool(cls._extra(field).get("traced", False))

    @classmethod
    def _extra(cls, field: str) -> Mapping[str, Any]:
        extra = cls.model_fields[field].json_schema_extra
        return extra if isinstance(extra, Mapping) else {}

    def replace(self, **changes: Any) -> Self:
        """Return a validated copy with some fields changed.

        Raises:
            ConfigError: A field is unknown, or a value breaks its rule.
        """
        for name in changes:
            if name not in type(self).model_fields:
                raise ConfigError(f"{name}: no such field of {type(self).__name__}{_did_you_mean(name, type(self))}")
        values = {name: getattr(self, name) for name in type(self).model_fields}
        try:
            return type(self).model_validate(values | changes)
        except ValidationError as error:
            raise ConfigError(explain(error)) from None


class Axis(BaseModel):
    """One swept quantity: a scenario field, or several fields set together.

    Args:
        name: Name of the axis in the store. Its values are the coordinate, so it is one of `fields`.
        values: The grid: one scalar a point, or one tuple a point where several fields are set together.
        unit, label: Shown on the picture's axis; the label defaults to the name.
        fields: The scenario fields that the axis sets; ``(name,)`` if left out.

    >>> Axis(name="layers", fields=("layers", "atoms"), values=((1, 400), (4, 100))).settings(1)
    {'layers': 4, 'atoms': 100}
    """

    model_config = _FROZEN

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    values: tuple[Scalar | tuple[Scalar, ...], ...] = Field(min_length=1)
    unit: str = ""
    label: str = ""
    fields: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _one_field_by_default(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and not data.get("fields"):
            return {**data, "fields": (data.get("name"),)}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name in RESERVED_DIMENSIONS:
            raise ValueError(f"an axis cannot be called {self.name!r}: {', '.join(RESERVED_DIMENSIONS)} are taken")
        if self.name not in self.fields:
            raise ValueError(f"the axis name {self.name!r} must be one of its fields {self.fields}")
        for value in self.values:
            if len(value if isinstance(value, tuple) else (value,)) != len(self.fields):
                raise ValueError(f"axis {self.name}: {value!r} does not give one value for each of {self.fields}")
        if len(set(self.coordinate(self.name))) != len(self.values):
            raise ValueError(f"axis {self.name}: values must differ, got {self.coordinate(self.name)}")
        return self

    def settings(self, index: int) -> dict[str, Scalar]:
        """Return the scenario fields and values of one grid point."""
        value = self.values[index]
        return dict(zip(self.fields, value if isinstance(value, tuple) else (value,), strict=True))

    def coordinate(self, field: str) -> tuple[Scalar, ...]:
        """Return the values that one of the axis' fields takes along the grid."""
        return tuple(self.settings(index)[field] for index in range(len(self.values)))


class SchemeChoice(BaseModel):
    """One curve: a scheme by its registered name, its options, and the label it carries in store and picture.

    >>> choice = SchemeChoice(label="SIM-LP", scheme="sim_lp", options={"starts": 4})
    >>> hash(choice) == hash(SchemeChoice(label="SIM-LP", scheme="sim_lp", options={"starts": 4}))
    True
    """

    model_config = _FROZEN

    label: str = Field(min_length=1)
    scheme: str = Field(min_length=1)
    options: dict[str, Scalar] = Field(default_factory=dict)

    def __hash__(self) -> int:
        """Hash the canonical form, because a mapping has no hash of its own."""
        return hash(canonical_json(self.model_dump(mode="json")))

    def without(self, option: str) -> Self:
        """Return the choice without an option that is the study's own, not the scheme's."""
        options = {name: value for name, value in self.options.items() if name != option}
        return self.model_copy(update={"options": options})


class Experiment(BaseModel):
    """All that defines one figure's data: scenario, grid, schemes, number of realisations and seed.

    Args:
        name: ``PAPER/FIGURE`` in lower case, for example ``sim-broadcast-ee/fig3``.
        title: One line for people.
        scenario: The fixed parameters, an instance of the paper's `Scenario` subclass.
        axes, schemes: The grid, and the curves.
        trials, chunk: Number of realisations of every grid point, and how many of them form one task.
        seed: Root of all randomness; trial i uses ``fold_in(seed, i)`` whatever the grid is.
        cites, claims: BibTeX entries of the sources, and identifiers of the claims checked on the data.
    """

    model_config = _FROZEN

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*/[a-z0-9][a-z0-9.-]*$")
    title: str = ""
    scenario: SerializeAsAny[Scenario]
    axes: tuple[Axis, ...] = Field(min_length=1)
    schemes: tuple[SchemeChoice, ...] = Field(min_length=1)
    trials: int = Field(ge=1)
    chunk: int = Field(ge=1)
    seed: int = Field(default=0, ge=0, lt=2**32)
    cites: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()

    @field_validator("schemes")
    @classmethod
    def _labels_differ(cls, schemes: tuple[SchemeChoice, ...]) -> tuple[SchemeChoice, ...]:
        labels = [scheme.label for scheme in schemes]
        if len(set(labels)) != len(labels):
            raise ValueError(f"scheme labels must differ, got {labels}")
        return schemes

    @model_validator(mode="after")
    def _grid_is_valid(self) -> Self:
        taken: dict[str, str] = {}
        for axis in self.axes:
            for field in axis.fields:
                if field not in type(self.scenario).model_fields:
                    raise ValueError(f"axis {axis.name}: {type(self.scenario).__name__} has no field {field!r}")
                if field in taken:
                    raise ValueError(f"field {field!r} is set by both axis {taken[field]} and axis {axis.name}")
                taken[field] = axis.name
        for index in self.grid():
            scenario_at(self, index)
        return self

    @property
    def id(self) -> str:
        """Sixteen hex digits over all that changes numbers; more trials or another claim keep the id."""
        data = self.model_dump(mode="json", exclude=NOT_IN_ID)
        for axis in data["axes"]:
            del axis["label"], axis["unit"]
        data["scenario_class"] = type(self.scenario).__name__
        return hashlib.sha256(canonical_json(data).encode()).hexdigest()[:16]

    def grid(self) -> list[tuple[int, ...]]:
        """Return the axis indices of every grid point, last axis fastest."""
        return list(itertools.product(*(range(len(axis.values)) for axis in self.axes)))


def scenario_at(experiment: Experiment, index: tuple[int, ...]) -> Scenario:
    """Return the validated scenario of one grid point.

    Args:
        experiment: The experiment.
        index: One index for each axis.

    Raises:
        ConfigError: The values of that point break a rule of the scenario.
    """
    changes: dict[str, Any] = {}
    for axis, position in zip(experiment.axes, index, strict=True):
        changes |= axis.settings(position)
    return experiment.scenario.replace(**changes)


def override(experiment: Experiment, changes: Mapping[str, Any]) -> Experiment:
    """Return the experiment with some scenario fields changed, validated over the whole grid.

    Raises:
        ConfigError: A field is unknown, is swept by an axis, or a value breaks its rule.
    """
    for axis in experiment.axes:
        for field in axis.fields:
            if field in changes:
                raise ConfigError(f"{field}: axis {axis.name} sweeps this field, so it cannot be set to one value")
    return rebuild(experiment, scenario=experiment.scenario.replace(**changes))


def rebuild(experiment: Experiment, **changes: Any) -> Experiment:
    """Return a validated copy of an experiment with some entries changed (pydantic's own copy does not validate)."""
    values = {name: getattr(experiment, name) for name in Experiment.model_fields}
    try:
        return Experiment.model_validate(values | changes)
    except ValidationError as error:
        raise ConfigError(explain(error)) from None


def explain(error: ValidationError) -> str:
    """Return one line for each broken rule: field, rule, and the value given.

    >>> try:
    ...     SchemeChoice(label="", scheme="sim_lp")
    ... except ValidationError as error:
    ...     print(explain(error))
    label: String should have at least 1 character (given: '')
    """
    lines = []
    for item in error.errors(include_url=False):
        field = ".".join(str(part) for part in item["loc"]) or error.title
        rule = item["msg"].removeprefix("Value error, ")
        given = repr(item["input"])
        lines.append(f"{field}: {rule}" + (f" (given: {given})" if len(given) <= 80 else ""))
    return "; ".join(lines)


def canonical_json(data: Any) -> str:
    """Return JSON text that is equal for equal values: sorted keys, no spaces, and 10 is 10.0.

    >>> canonical_json({"b": 10.0, "a": [True, 0.5]})
    '{"a":[true,0.5],"b":10}'
    """
    return json.dumps(_canonical(data), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _canonical(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {str(key): _canonical(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_canonical(value) for value in data]
    if isinstance(data, float) and data.is_integer() and abs(data) < 2**53:
        return int(data)
    return data


def _did_you_mean(name: str, model: type[BaseModel]) -> str:
    close = difflib.get_close_matches(name, list(model.model_fields), n=3)
    return f", did you mean {', '.join(close)}?" if close else f"; fields are {', '.join(model.model_fields)}"
