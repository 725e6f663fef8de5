"""The frozen description of an experiment: what its id sees, and what it refuses."""

import pytest
from fake_study import FakeScenario, study
from pydantic import ValidationError

from metamimo.errors import ConfigError
from metamimo.experiments.config import Axis, Experiment, Scenario, SchemeChoice, override, rebuild, scenario_at

BASE = study().experiment


def test_id_is_stable_across_processes_and_versions():
    """A change of this number makes every stored result foreign: it must be a decision, not an accident."""
    assert BASE.id == "a756267ce39fd0ad"


@pytest.mark.parametrize(
    "changes",
    [
        {"trials": 999},
        {"chunk": 5},
        {"title": "other words"},
        {"cites": ()},
        {"claims": ("x",)},
        {"axes": (Axis(name="atoms", values=(4, 9), label="other words"), BASE.axes[1])},
        {"axes": (Axis(name="atoms", values=(4.0, 9.0)), BASE.axes[1])},
    ],
)
def test_id_ignores_what_does_not_change_numbers(changes):
    assert rebuild(BASE, **changes).id == BASE.id


class OtherScenario(FakeScenario):
    pass


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 8},
        {"name": "fake-paper/fig2"},
        {"scenario": FakeScenario(noise=2.0)},
        {"scenario": OtherScenario()},
        {"axes": (Axis(name="atoms", values=(4, 10)), BASE.axes[1])},
        {"axes": (Axis(name="layers", values=(4, 9)), BASE.axes[1])},
        {"schemes": (SchemeChoice(label="good", scheme="good"),)},
        {"schemes": (BASE.schemes[0], SchemeChoice(label="poor", scheme="poor", options={"x": 2}))},
    ],
)
def test_id_sees_what_changes_numbers(changes):
    assert rebuild(BASE, **changes).id != BASE.id


def test_option_order_does_not_matter():
    one = SchemeChoice(label="a", scheme="a", options={"x": 1, "y": 2.5})
    other = SchemeChoice(label="a", scheme="a", options={"y": 2.5, "x": 1.0})
    assert hash(one) == hash(other)
    assert rebuild(BASE, schemes=(one,)).id == rebuild(BASE, schemes=(other,)).id


def test_several_fields_on_one_axis():
    axis = Axis(name="layers", fields=("layers", "atoms"), values=((1, 400), (4, 100)))
    experiment = rebuild(BASE, axes=(axis,))
    found = scenario_at(experiment, (1,))
    assert (found.layers, found.atoms) == (4, 100)
    assert axis.coordinate("atoms") == (400, 100)


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ({"name": "atoms", "values": (4, 0)}, "atoms: Input should be greater than 0 (given: 0)"),
        ({"name": "atoms", "values": (4, 4)}, "values must differ"),
        ({"name": "atoms", "values": ()}, "at least 1 item"),
        ({"name": "wings", "values": (4,)}, "no field 'wings'"),
        ({"name": "trial", "values": (4,)}, "taken"),
        ({"name": "atoms", "fields": ("layers", "atoms"), "values": ((1, 400), 4)}, "does not give one value"),
        ({"name": "atoms", "fields": ("layers",), "values": (1,)}, "must be one of its fields"),
        ({"name": "power_dbm", "values": (float("nan"),)}, "finite number"),
    ],
)
def test_bad_axes_are_refused_before_anything_runs(axis, message):
    with pytest.raises((ConfigError, ValidationError)) as error:
        rebuild(BASE, axes=(Axis(**axis),))
    assert message in str(error.value)


def test_a_field_is_set_by_one_axis_only():
    with pytest.raises(ConfigError, match="set by both axis atoms and axis layers"):
        rebuild(
            BASE,
            axes=(BASE.axes[0], Axis(name="layers", fields=("layers", "atoms"), values=((1, 4), (2, 2)))),
        )


def test_labels_must_differ():
    with pytest.raises(ConfigError, match="labels must differ"):
        rebuild(BASE, schemes=(BASE.schemes[0], BASE.schemes[0]))


def test_unknown_and_forbidden_entries():
    with pytest.raises(ValidationError):
        Experiment.model_validate({**dict(BASE), "colour": "red"})
    with pytest.raises(ValidationError):
        BASE.trials = 3  # type: ignore[misc]


def test_replace_validates_and_suggests():
    with pytest.raises(ConfigError, match=r"noise: Input should be greater than 0 \(given: -1\)"):
        FakeScenario().replace(noise=-1)
    with pytest.raises(ConfigError, match="did you mean noise"):
        FakeScenario().replace(nois=1)


def test_override_changes_the_id_and_protects_axes():
    changed = override(BASE, {"noise": 2.0})
    assert changed.scenario.noise == 2.0
    assert changed.id != BASE.id
    with pytest.raises(ConfigError, match="axis atoms sweeps this field"):
        override(BASE, {"atoms": 4})


def test_metadata_of_fields():
    assert FakeScenario.unit_of("power_dbm") == "dBm"
    assert FakeScenario.unit_of("atoms") == ""
    assert [name for name in FakeScenario.model_fields if FakeScenario.is_traced(name)] == ["power_dbm", "noise"]
    assert not hasattr(Scenario(), "atoms")
