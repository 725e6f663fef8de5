"""What every registered channel model promises: it exists, and it is a documented function of a key."""

import inspect

import pytest

from metamimo.channels.registry import CHANNELS
from metamimo.errors import ConfigError


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_model_takes_its_key_first_and_says_what_it_returns(name: str) -> None:
    model = CHANNELS.get(name)
    assert next(iter(inspect.signature(model).parameters)) == "key"
    assert "Returns:" in inspect.getdoc(model)


def test_unknown_model_is_answered_with_the_known_ones() -> None:
    known = next(iter(CHANNELS))
    with pytest.raises(ConfigError, match=f"there is no '{known}s'; did you mean {known}"):
        CHANNELS.get(known + "s")
