"""How the papers declare the parameters of their scenarios."""

from typing import Any

from pydantic import Field


def number(default: float | None, unit: str, mark: str, **rules: Any) -> Any:
    """Declare a number that no array shape depends on; `mark` says where its value comes from."""
    return Field(default=default, json_schema_extra={"unit": unit, "traced": True, "mark": mark}, **rules)


def count(default: int, mark: str) -> Any:
    """Declare a number that array shapes depend on."""
    return Field(default=default, ge=1, json_schema_extra={"mark": mark})
