"""Units, signs and index orders that every room shares; docs/conventions.md shows them as one table.

Time factor exp(+jwt): a wave that has travelled the distance r carries exp(-jkr). The two papers on stacked
metasurfaces use exp(-jwt), so their propagation coefficients enter conjugated. Channels act as y = H x, never H^H x.
Arrays lie in planes parallel to xy, boresight is +z, and elements are counted row by row with x fastest. Port waves
and element excitations are in sqrt(W), powers in W, distances in m, frequencies in Hz; rates are in nat per channel
use inside the algorithms and in bit/s/Hz in every result.
"""

import math

SPEED_OF_LIGHT = 299_792_458.0
"""Speed of light in vacuum [m/s]."""

NAT_TO_BIT = 1.0 / math.log(2.0)
"""Multiply a rate in nats by this to have it in bits."""


def dbm_to_watt(dbm: float) -> float:
    """Convert a power level to watts.

    Args:
        dbm: level in dB above one milliwatt.

    Returns:
        The power [W].

    >>> dbm_to_watt(30.0)
    1.0
    """
    return 10.0 ** ((dbm - 30.0) / 10.0)


def watt_to_dbm(watt: float) -> float:
    """Convert a power in watts to dBm.

    Args:
        watt: power [W], positive.

    Returns:
        The level in dB above one milliwatt.

    >>> watt_to_dbm(1.0)
    30.0
    """
    return 10.0 * math.log10(watt) + 30.0


def db_to_linear(db: float) -> float:
    """Convert a power ratio in dB to a linear ratio.

    >>> db_to_linear(10.0)
    10.0
    """
    return 10.0 ** (db / 10.0)


def require_x64(what: str) -> None:
    """Refuse double-precision work while JAX is in single precision.

    Importing metamimo changes nothing global, so the caller owns this switch.

    Args:
        what: what was asked for, named in the message.

    Raises:
        ConfigError: if `jax_enable_x64` is off.
    """
    import jax

    from metamimo.errors import ConfigError

    if not jax.config.read("jax_enable_x64"):
        raise ConfigError(
            f"{what} needs double precision, but jax_enable_x64 is False: call "
            'jax.config.update("jax_enable_x64", True) first, or set JAX_ENABLE_X64=1'
        )
