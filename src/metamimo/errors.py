"""Errors that a user can meet: each message names the argument, the rule and what was given."""


class MetamimoError(Exception):
    """Base class of every error that metamimo raises on purpose."""


class ConfigError(MetamimoError, ValueError):
    """A configuration value breaks a rule (unknown name, negative power, zero layers)."""


class ShapeError(MetamimoError, ValueError):
    """An array does not have the shape that the signal model needs."""


class FeasibilityError(MetamimoError, ValueError):
    """No design can satisfy the stated limits, or a design that was passed in violates them."""


class StoreError(MetamimoError, RuntimeError):
    """A result store is missing, foreign, truncated, or cannot be written."""


class PhysicsWarning(UserWarning):
    """A design rests on a model that creates energy, or leaves users without service."""
