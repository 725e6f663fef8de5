"""A study that does not fit together is refused before anything runs."""

import dataclasses

import pytest
from fake_study import CLAIMS, study

from metamimo.errors import ConfigError
from metamimo.experiments.config import Axis, rebuild
from metamimo.experiments.study import Panel, Variable


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"headline": "rates"}, "headline, panels: must name a real variable"),
        ({"headline": "rate"}, "without extra dimensions"),
        ({"headline": "gain"}, "real variable"),
        ({"panels": (Panel("nothing"),)}, "'nothing'"),
        ({"sizes": {}}, "no length for dimension 'user'"),
        ({"claims": (CLAIMS[0], CLAIMS[0])}, "claims: identifiers must differ"),
        ({"variables": (Variable("ee"), Variable("ee"))}, "names must differ"),
        ({"variables": (Variable("ee"), Variable("atoms"))}, r"\['atoms'\]"),
    ],
)
def test_inconsistent_studies(changes, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(study(), **changes)


@pytest.mark.parametrize("arguments", [{"name": "done"}, {"name": "a b"}, {"name": "x", "dtype": "object"}])
def test_bad_variables(arguments):
    with pytest.raises(ConfigError):
        Variable(**arguments)


def test_claim_identifiers_of_the_experiment_must_agree():
    assert study(claims=("f1", "f2", "f3")).experiment.claims == ("f1", "f2", "f3")
    with pytest.raises(ConfigError, match="agree"):
        study(claims=("f1",))


def test_sizes_follow_the_scenario():
    base = study()
    assert base.size_of("user") == 3
    assert base.with_scenario({"users": 5}).size_of("user") == 5
    swept = rebuild(base.experiment, axes=(Axis(name="users", values=(2, 6, 4)),))
    assert dataclasses.replace(base, experiment=swept, panels=()).size_of("user") == 6
