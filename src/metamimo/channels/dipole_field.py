"""Far field of slots at users with short wires, and the wideband Rayleigh fading on it."""

import math
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Key

from metamimo.conventions import SPEED_OF_LIGHT
from metamimo.errors import ConfigError
from metamimo.linalg import cmatmul
from metamimo.physics.wires import WAVE_IMPEDANCE

Fading = Literal["element", "correlated", "link", "none"]
PathLoss = Literal["product", "free_space_only"]
Wire = Float[Array | np.ndarray, " 3"]

_ALONG_X = np.array([1.0, 0.0, 0.0])


def wire_resistance(length: float | Array, wavelength: float | Array) -> float | Array:
    """Return R_a = (2 pi / 3) eta (l / lambda)^2, the radiation resistance of a short wire [ohm].

    Open-circuit voltages V (peak) are worth |V|^2 / 8 R_a watts: what the wire gives a matched load.

    Args:
        length: l of the wire [m].
        wavelength: wavelength [m].

    >>> round(wire_resistance(0.5, 1.0), 1)
    197.3
    """
    return 2 * math.pi / 3 * WAVE_IMPEDANCE * (length / wavelength) ** 2


def line_of_sight(
    slots: Float[Array | np.ndarray, "element 3"],
    stations: Float[Array | np.ndarray, "bs 3"],
    users: Float[Array | np.ndarray, "user 3"],
    frequencies: Float[Array | np.ndarray, " freq"],
    *,
    wire: Wire = _ALONG_X,
) -> Complex[Array, "freq bs user 1 element"]:
    """Return the far field of slots at the users' wires (eqs. 5-9 of the spec of the cell-free DMA paper).

    Signal model: h_n = lambda / (4 pi r) sqrt(3 1.5) u . (y x r) exp(-jkr) exp(jk r . r_n) with u along the wire, which
    is the voltage c_n over sqrt(8 R_a) u_0: y = h x is in sqrt(W), whatever the length of the wire. An element nearer
    to the user is ahead. Wires along y receive nothing at broadside.

    Args:
        slots: elements of every station, from its centre [m].
        stations: centres of the stations [m].
        users: positions in front of the stations, z > 0 [m].
        frequencies: of the subcarriers [Hz].
        wire: direction of the wires, of any length.

    Returns:
        H without unit, one receive antenna a user.

    >>> jax.config.update("jax_enable_x64", True)
    >>> centre = np.zeros((1, 3))
    >>> h = line_of_sight(centre, centre, np.array([[0.0, 0.0, 20.0]]), np.array([10e9]))
    >>> f"{abs(complex(h.squeeze())):.6e}"
    '2.530388e-04'
    """
    away = jnp.asarray(users) - jnp.asarray(stations)[:, None]
    distance = jnp.sqrt((away**2).sum(-1))
    towards = away / distance[..., None]
    along = jnp.asarray(wire) / jnp.sqrt((jnp.asarray(wire) ** 2).sum())
    # u . (y x r): fields are transverse, so that the whole wire may be projected on them.
    seen = along[0] * towards[..., 2] - along[2] * towards[..., 0]
    wavenumber = 2 * jnp.pi / SPEED_OF_LIGHT * jnp.asarray(frequencies)
    # The phase of the way is large: rounding it is left to all slots alike, whose differences keep their digits.
    ahead = wavenumber[:, None, None, None] * (towards[..., None, :] * slots).sum(-1)
    behind = wavenumber[:, None, None] * distance
    common = math.sqrt(4.5) / (2 * behind) * seen * jax.lax.complex(jnp.cos(behind), -jnp.sin(behind))
    return (common[..., None] * jax.lax.complex(jnp.cos(ahead), jnp.sin(ahead)))[..., None, :]


def wideband_taps(
    key: Key[Array, ""], stations: int, users: int, width: int, subcarriers: int, taps: int
) -> Complex[Array, "freq bs user width"]:
    """Draw unit-power frequency responses of Rayleigh taps with an exponential profile, p_t ~ exp(-t / 2).

    Signal model: xi_k = sum_t g_t exp(-2 pi j k t / K), g_t ~ CN(0, p_t) independent over all other axes.
    More users or stations leave the first ones as they were.

    Args:
        key: key of the purpose "fading".
        stations, users, width: lengths of the independent axes.
        subcarriers: K.
        taps: number of taps.

    Returns:
        xi.
    """

    def of_user(user: Array) -> Array:
        return jax.random.normal(jax.random.fold_in(key, user), (stations, taps, width, 2))

    parts = jax.vmap(of_user)(jnp.arange(users)) * math.sqrt(0.5)
    t = np.arange(taps)
    profile = np.exp(-t / 2) / np.exp(-t / 2).sum()
    turn = np.sqrt(profile) * np.exp(-2j * np.pi / subcarriers * np.arange(subcarriers)[:, None] * t)
    gains = jax.lax.complex(parts[..., 0], parts[..., 1])
    return cmatmul(jnp.asarray(turn), gains).transpose(2, 1, 0, 3)


def dipole_field(
    key: Key[Array, ""],
    slots: Float[Array | np.ndarray, "element 3"],
    stations: Float[Array | np.ndarray, "bs 3"],
    users: Float[Array | np.ndarray, "user 3"],
    frequencies: Float[Array | np.ndarray, " freq"],
    *,
    wire: Wire = _ALONG_X,
    fading: Fading = "element",
    pathloss: PathLoss = "product",
    loss_db: float | Array = 30.0,
    exponent: float | Array = 2.2,
    taps: int = 4,
    root: Float[Array | np.ndarray, "freq element element"] | None = None,
) -> Complex[Array, "freq bs user 1 element"]:
    """Draw the channel of slots: their far field times wideband Rayleigh fading and path loss.

    Signal model: h = sqrt(beta) xi h_los with `line_of_sight` and `wideband_taps` (2.5 of the spec of the cell-free DMA
    paper). `element` fades every slot by itself, as the source does; no field on a dense grid can do that.
    `correlated` is isotropic scattering, h = sqrt(beta) |h_los| C^(1/2) xi. `link` fades all slots of a station alike.

    Args:
        key: key of the purpose "fading".
        slots: elements of every station, from its centre [m].
        stations: centres of the stations [m].
        users: positions, of the purpose "users" [m].
        frequencies: of the subcarriers [Hz].
        wire: direction of the users' wires.
        fading: `element`, `correlated`, `link` or `none`.
        pathloss: `product` multiplies the far field, which falls with the distance by itself, by beta = 10^(-loss / 10)
            (d / 1 m)^-exponent, as the source does; `free_space_only` has beta = 1.
        loss_db: loss at one metre [dB].
        exponent: of the path loss.
        taps: taps of the fading.
        root: C^(1/2) of the slots on every subcarrier, for `correlated`; `psd_root` of the surface's coupling.

    Returns:
        H without unit, used as y = H x.

    Raises:
        ConfigError: if a name is unknown, there are no taps, or `correlated` fading has no root.

    >>> jax.config.update("jax_enable_x64", True)
    >>> slots = np.array([[-0.004, 0.0, 0.0], [0.004, 0.0, 0.0]])
    >>> stations, users = np.zeros((1, 3)), np.array([[2.0, 3.0, 8.0]])
    >>> dipole_field(jax.random.key(0), slots, stations, users, np.array([9.99e9, 10.01e9])).shape
    (2, 1, 1, 1, 2)
    """
    for name, value, known in (("fading", fading, get_args(Fading)), ("pathloss", pathloss, get_args(PathLoss))):
        if value not in known:
            raise ConfigError(f"{name}: must be one of {', '.join(known)}, got {value!r}")
    if taps < 1:
        raise ConfigError(f"taps: must be at least 1, got {taps}")
    field = line_of_sight(slots, stations, users, frequencies, wire=wire)
    if pathloss == "product":
        distance = jnp.sqrt(((jnp.asarray(users) - jnp.asarray(stations)[:, None]) ** 2).sum(-1))
        gain = 10 ** (-jnp.asarray(loss_db) / 10) * distance**-exponent
        field = field * jnp.sqrt(gain)[:, :, None, None]
    if fading == "none":
        return field
    sizes = (len(stations), len(users), 1 if fading == "link" else len(slots), len(frequencies), taps)
    xi = wideband_taps(key, *sizes)[:, :, :, None]
    if fading != "correlated":
        return field * xi
    if root is None:
        raise ConfigError("root: correlated fading needs the root of the slots' coupling on every subcarrier, got None")
    # In the far field all slots of a station have the same |h|.
    flat = xi.reshape(len(frequencies), -1, len(slots))
    return jnp.abs(field) * cmatmul(flat, jnp.asarray(root).astype(flat.dtype)).reshape(xi.shape)
