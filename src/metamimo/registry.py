"""Registries list names and import paths, so that listing what exists imports nothing heavy."""

import difflib
import importlib
from collections.abc import Iterator
from typing import Any

from metamimo.errors import ConfigError


class Registry:
    """Names of one kind of thing and where each is defined.

    Args:
        kind: what the entries are, for messages ("scheme").
        entries: name to "module:attribute".

    >>> Registry("number", {"pi": "math:pi"}).get("pi")
    3.141592653589793
    """

    def __init__(self, kind: str, entries: dict[str, str]) -> None:
        self._kind = kind
        self._entries = dict(entries)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._entries)

    def register(self, name: str, target: str) -> None:
        """Add an entry of one's own.

        Args:
            name: name to find it by.
            target: "module:attribute".

        Raises:
            ConfigError: if the name is taken or the target has another form.
        """
        if name in self._entries and self._entries[name] != target:
            raise ConfigError(f"{self._kind}: the name {name!r} is taken by {self._entries[name]}")
        if target.count(":") != 1:
            raise ConfigError(f"{self._kind}: a target reads 'module:attribute', got {target!r}")
        self._entries[name] = target

    def get(self, name: str) -> Any:
        """Import and return an entry.

        Args:
            name: its name.

        Raises:
            ConfigError: if there is none of that name.
        """
        if name not in self._entries:
            close = difflib.get_close_matches(name, self._entries) or sorted(self._entries)
            raise ConfigError(f"{self._kind}: there is no {name!r}; did you mean {', '.join(close)}?")
        module, attribute = self._entries[name].split(":")
        return getattr(importlib.import_module(module), attribute)
