"""No precoding: every antenna sends one stream at a fixed power (the benchmarks of Perović et al. 2024)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int, Key

from metamimo.errors import ConfigError


def all_antennas(
    key: Key[Array, ""], ports: int, users: int, streams: int, power: Float[Array, ""]
) -> Complex[Array, "user port stream"]:
    """Spread all antennas over the users' streams: SIM-NoLP.

    User k gets floor(ports / users) consecutive antennas or one more, larger groups first; its streams share them in
    the same way. With fewer antennas than streams, floor(ports / streams) users drawn at random are served.

    Args:
        key: sub-key "scheme"; used only with fewer antennas than streams.
        ports: antennas.
        users: users.
        streams: streams of each user.
        power: transmit power [W], shared equally by the antennas.

    Returns:
        F with one entry sqrt(power / ports) a row.

    Raises:
        ConfigError: if there are fewer antennas than one user has streams.
    """
    if ports < streams:
        raise ConfigError(f"n_ports: SIM-NoLP needs at least {streams} antennas for a user's streams, got {ports}")
    served = users if ports >= users * streams else ports // streams
    pattern = np.zeros((served, ports, streams))
    first = 0
    for user, group in enumerate(_shares(ports, served)):
        for stream, antennas in enumerate(_shares(group, streams)):
            pattern[user, first : first + antennas, stream] = 1
            first += antennas
    chosen = jnp.arange(users) if served == users else _shuffled(key, users)[:served]
    spread = jnp.zeros((users, ports, streams), complex).at[chosen].set(pattern)
    return spread * jnp.sqrt(power / ports)


def random_antennas(
    key: Key[Array, ""], ports: int, users: int, streams: int, power: Float[Array, ""]
) -> Complex[Array, "user port stream"]:
    """Give every stream one antenna drawn at random and switch the others off: SIM-NoLP-RedRF.

    Args:
        key: sub-key "scheme".
        ports: antennas.
        users: users.
        streams: streams of each user.
        power: transmit power [W], shared equally by the streams.

    Returns:
        F with users * streams non-zero entries sqrt(power / (users * streams)).

    Raises:
        ConfigError: if there are fewer antennas than streams.
    """
    total = users * streams
    if ports < total:
        raise ConfigError(f"n_ports: SIM-NoLP-RedRF needs an antenna for each of {total} streams, got {ports}")
    chosen = _shuffled(key, ports)[:total]
    rows = jnp.zeros((ports, total), complex).at[chosen, jnp.arange(total)].set(jnp.sqrt(power / total))
    return rows.reshape(ports, users, streams).transpose(1, 0, 2)


def _shuffled(key: Key[Array, ""], count: int) -> Int[Array, " count"]:
    """Return 0 ... count - 1 in random order, by one sort (`jax.random.permutation` compiles several)."""
    return jnp.argsort(jax.random.uniform(key, (count,)))


def _shares(items: int, groups: int) -> list[int]:
    """Split items into nearly equal groups, larger ones first."""
    return [items // groups + (group < items % groups) for group in range(groups)]
