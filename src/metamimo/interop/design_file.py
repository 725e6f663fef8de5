"""A design of any surface as one file, with all that its field pictures need: who radiates what, where and how."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.constants import speed_of_light

from metamimo.errors import ConfigError, ShapeError
from metamimo.figures.files import replacing
from metamimo.physics.patterns import ElementPattern, Radiators
from metamimo.physics.radiation import Aperture
from metamimo.physics.registry import RADIATORS

if TYPE_CHECKING:
    import xarray as xr

    from metamimo.problem import Design, Link

FORMAT = "metamimo/design"
VERSION = 1
_COUPLING = 1e-2
"""Difference from the pattern's coupling over its diagonal: a surface of one frequency serves a band so wide."""
_EXACT = 1e-9

_DIMS = {
    "positions": ("element", "axis"),
    "centre": ("axis",),
    "excitations": ("freq", "user", "element", "stream"),
    "coupling": ("grid", "element", "other"),
    "precoder": ("freq", "user", "port", "stream"),
    "accepted": ("freq",),
}


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The elements of one station, and what every stream puts on them.

    Attributes:
        radiators: how the elements radiate.
        positions: of the elements, from the centre, (element, 3) [m].
        centre: of the station [m].
        excitations: x = A(state) F of every stream that the station sends, (freq, user, element, stream) [sqrt(W)].
        coupling: C of the elements, of every subcarrier or one for all, (grid, element, element).
        state: of the surface, in its own axes.
        precoder: F in the units of the surface's ports, (freq, user, port, stream).
        accepted: power that the ports take on every subcarrier, (freq,) [W].
    """

    radiators: Radiators
    positions: np.ndarray
    centre: np.ndarray
    excitations: np.ndarray
    coupling: np.ndarray
    state: np.ndarray
    precoder: np.ndarray
    accepted: np.ndarray

    def __post_init__(self) -> None:
        """Check that sizes and numbers fit."""
        sizes = {"axis": 3, "other": len(self.positions)}
        for name, dims in _DIMS.items():
            shape = np.shape(getattr(self, name))
            if len(shape) != len(dims) or any(
                sizes.setdefault(dim, n) != n for dim, n in zip(dims, shape, strict=True)
            ):
                known = ", ".join(f"{dim} {size}" for dim, size in sizes.items())
                raise ShapeError(f"{name}: must have the dimensions {', '.join(dims)} ({known}), got shape {shape}")
        for name in (*_DIMS, "state"):
            if not np.isfinite(getattr(self, name)).all():
                raise ConfigError(f"{name}: must be finite")
        if sizes["grid"] not in (1, sizes["freq"]):
            raise ShapeError(f"coupling: must be one matrix or one a subcarrier, {sizes['freq']}, got {sizes['grid']}")
        idle = ~self.excitations.any((1, 2, 3))
        if not ((self.accepted > 0) | (idle & (self.accepted == 0))).all():
            raise ConfigError(f"accepted: must be positive where the elements are excited, got {self.accepted} W")

    @property
    def radiated(self) -> np.ndarray:
        """Return x^H C x of every subcarrier, (freq,) [W]."""
        x = self.excitations
        return np.real(x.conj() * (self.coupling[:, None] @ x)).sum((1, 2, 3))


@dataclass(frozen=True, kw_only=True)
class StoredDesign:
    """What every station of a network radiates.

    Attributes:
        frequencies: of the subcarriers, (freq,) [Hz].
        panels: one a station.
        users: positions, (user, 3) [m], or None where only their channel is known.
    """

    frequencies: np.ndarray
    panels: tuple[Panel, ...]
    users: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit, and that the elements radiate what their coupling says."""
        if self.frequencies.ndim != 1 or not ((self.frequencies > 0) & np.isfinite(self.frequencies)).all():
            raise ConfigError(f"frequencies: must be positive numbers, got {self.frequencies.tolist()}")
        if not self.panels:
            raise ConfigError("panels: there must be at least one station, got none")
        for station, panel in enumerate(self.panels):
            freq, users = panel.excitations.shape[:2]
            if freq != len(self.frequencies):
                raise ShapeError(
                    f"excitations: station {station} has {freq} subcarriers, must be {len(self.frequencies)}"
                )
            if self.users is not None and self.users.shape != (users, 3):
                raise ShapeError(f"users: must have shape {(users, 3)}, got {self.users.shape}")
            if self.users is not None and not (np.linalg.norm(self.users - panel.centre, axis=1) > 0).all():
                raise ConfigError(f"users: must be numbers, and not where station {station} is, got {self.users}")
            self._check_coupling(station)

    @classmethod
    def of(
        cls,
        link: "Link",
        design: "Design",
        *,
        positions: np.ndarray | Sequence[np.ndarray | None] | None = None,
        pattern: ElementPattern | None = None,
        centres: np.ndarray | None = None,
        users: np.ndarray | None = None,
    ) -> "StoredDesign":
        """Collect what a design radiates on the true antennas.

        `ParallelPlateDMA` knows its slots (`DipoleOnPlane`), `CoupledStack` and `FeedforwardStack` their dipoles
        (`DipolePairs`). For `StackedSurface` (elements of the last layer), `FullyDigital`, the hybrid arrays and
        `StripArray` give the positions and the pattern that their coupling matrix was made from. `MultiportSurface`
        has no elements with a known pattern, only ports of a matrix.

        Args:
            link: surfaces, who serves whom, subcarriers.
            design: states and precoder.
            positions: of the elements from the centre of their station, (element, 3), for all stations alike or one
                entry a station, None where its surface knows its own [m].
            pattern: of the elements at those positions.
            centres: of the stations, (bs, 3); one station may do without [m].
            users: positions, (user, 3), to mark them in the pictures [m].

        Raises:
            ConfigError: if positions or pattern are missing, given to a surface that knows its own, or do not belong to
                the coupling matrix of the surface.
            ShapeError: if shapes do not fit.

        >>> import jax
        >>> from metamimo import Design, FullyDigital, Link
        >>> from metamimo.physics.patterns import Isotropic
        >>> jax.config.update("jax_enable_x64", True)
        >>> places = np.array([[0.0, 0.0, 0.0], [0.025, 0.0, 0.0]])  # a quarter wavelength apart
        >>> antennas = FullyDigital.build(Isotropic().coupling(places, 0.1))
        >>> channel, ones = jax.numpy.ones((1, 1, 2), complex), jax.numpy.ones((1, 1, 1, 2, 1), complex)
        >>> link = Link.broadcast(antennas, channel, noise_power=1.0, bandwidth=1.0, frequency=2.998e9)
        >>> design = Design((antennas.feasible.random(jax.random.key(0), (1,)),), ones)
        >>> (panel,) = StoredDesign.of(link, design, positions=places, pattern=Isotropic()).panels
        >>> print(panel.accepted, panel.radiated.round(3))
        [2.] [3.273]
        """
        stations = link.serves.shape[0]
        if centres is None and users is not None and stations > 1:
            raise ConfigError(f"centres: users are seen from the centres of {stations} stations, got None")
        centres = np.zeros((stations, 3)) if centres is None else np.asarray(centres, float)
        if (positions is None) != (pattern is None):
            missing = "positions" if positions is None else "pattern"
            raise ConfigError(f"{missing}: positions and pattern belong together, got None")
        alike = getattr(positions, "ndim", 0) == 2
        places = [positions] * stations if positions is None or alike else list(positions)
        for name, given in (("centres", centres), ("positions", places)):
            if len(given) != stations:
                raise ShapeError(f"{name}: must be those of {stations} stations, got {len(given)}")
        sent = design.precoder * link.serves[None, :, :, None, None] * link.ports[None, :, None, :, None]
        shared = len(link.surfaces) == 1
        panels = []
        for station in range(stations):
            surface = link.surfaces[0 if shared else station]
            state = design.state[0][station] if shared else design.state[station]
            where, how = _elements(surface, places[station], pattern)
            precoder = sent[:, station, :, : surface.n_ports]
            freq, user, port, stream = precoder.shape
            columns = precoder.transpose(0, 2, 1, 3).reshape(freq, port, user * stream)
            excitations = np.asarray(surface.drive(state, columns)).reshape(freq, -1, user, stream)
            taken = np.asarray(surface.power_matrix(state, "accepted")) @ np.asarray(columns)
            panels.append(
                Panel(
                    radiators=how,
                    positions=where,
                    centre=centres[station],
                    excitations=excitations.transpose(0, 2, 1, 3),
                    coupling=np.asarray(surface.coupling),
                    state=np.asarray(state),
                    precoder=np.asarray(precoder),
                    accepted=np.real(np.asarray(columns).conj() * taken).sum((1, 2)),
                )
            )
        known = None if users is None else np.asarray(users, float)
        return cls(frequencies=np.asarray(link.frequencies), panels=tuple(panels), users=known)

    def aperture(self, station: int, subcarrier: int) -> Aperture:
        """Return the elements of a station with the streams of all users, user by user, on one subcarrier.

        Raises:
            ConfigError: if there is no such station or subcarrier, or it radiates nothing.
        """
        for name, index, count in (
            ("station", station, len(self.panels)),
            ("subcarrier", subcarrier, len(self.frequencies)),
        ):
            if not 0 <= index < count:
                raise ConfigError(f"{name}: must be a number from 0 to {count - 1}, got {index}")
        panel = self.panels[station]
        x = panel.excitations[subcarrier].transpose(1, 0, 2).reshape(len(panel.positions), -1)
        if not x.any():
            raise ConfigError(f"station: {station} radiates nothing on subcarrier {subcarrier}")
        return Aperture(panel.radiators, panel.positions, x, speed_of_light / float(self.frequencies[subcarrier]))

    def write(self, path: Path) -> Path:
        """Write a netCDF file, never half of one: a group for every station, complex numbers in two parts."""
        import xarray as xr

        content: dict[str, xr.Dataset] = {}
        shared: dict[str, Any] = {"frequencies": ("freq", self.frequencies, {"units": "Hz"})}
        if self.users is not None:
            shared["users"] = (("user", "axis"), self.users, {"units": "m"})
        content["/"] = xr.Dataset(shared, attrs={"format": FORMAT, "version": VERSION})
        for station, panel in enumerate(self.panels):
            content[f"/station{station}"] = _group(panel)
        with replacing(path) as aside:
            xr.DataTree.from_dict(content).to_netcdf(aside, engine="h5netcdf")
        return path

    @classmethod
    def read(cls, path: Path) -> "StoredDesign":
        """Read a file that `write` made.

        Raises:
            ConfigError: if there is no such file, or it is of another kind or version, incomplete or damaged.
        """
        import xarray as xr

        if not path.is_file():
            raise ConfigError(f"design: there is no file {path}")
        try:
            with xr.open_datatree(path, engine="h5netcdf") as tree:
                tree.load()
        except Exception as error:
            raise ConfigError(f"design: {path} cannot be read as netCDF ({error})") from error
        about = tree.attrs
        if about.get("format") != FORMAT or about.get("version") != VERSION:
            given = f"{about.get('format')!r}, version {about.get('version')}"
            raise ConfigError(f"design: {path} must be of the format {FORMAT!r}, version {VERSION} (given: {given})")
        try:
            shared, stations = tree.to_dataset(), range(len(tree.children))
            panels = tuple(_panel(tree.children[f"station{station}"].to_dataset()) for station in stations)
            users = shared["users"].values if "users" in shared else None
            return cls(frequencies=shared["frequencies"].values, panels=panels, users=users)
        except KeyError as error:
            raise ConfigError(f"design: {path} is incomplete ({error})") from error
        except (TypeError, ValueError) as error:
            raise ConfigError(f"design: {path}: {error}") from error

    def _check_coupling(self, station: int) -> None:
        """Refuse positions or a pattern that are not those of the surface: its powers would not be its pattern's."""
        panel = self.panels[station]
        grid = self.frequencies if len(panel.coupling) > 1 else [self.frequencies.mean()]
        for frequency, coupling in zip(grid, panel.coupling, strict=True):
            expected = panel.radiators.coupling(panel.positions, speed_of_light / float(frequency))
            wrong = np.abs(coupling - expected).max() / np.abs(np.diagonal(expected)).max()
            if not wrong <= _COUPLING:
                raise ConfigError(
                    f"positions, pattern: their coupling matrix must be that of the surface to {100 * _COUPLING:g} %, "
                    f"got {100 * wrong:.2g} % at station {station} and {frequency:g} Hz"
                )


def _elements(surface: Any, positions: Any, pattern: ElementPattern | None) -> tuple[np.ndarray, Radiators]:
    """Return where the elements of a surface are and how they radiate."""
    kind, own = type(surface).__name__, surface.elements()
    if own is not None:
        if positions is not None:
            raise ConfigError(f"positions: {kind} knows where its elements are, so give None")
        return own
    if positions is None or pattern is None:
        raise ConfigError(f"positions: {kind} was not told where its elements are, give positions and pattern")
    return np.asarray(positions, float), pattern


def _group(panel: Panel) -> "xr.Dataset":
    import xarray as xr

    content: dict[str, Any] = {"radiated": ("freq", panel.radiated)}
    state = tuple(f"state_{axis}" for axis in range(panel.state.ndim))
    for name, dims in (_DIMS | {"state": state}).items():
        array = getattr(panel, name)
        parts = {"_real": array.real, "_imag": array.imag} if np.iscomplexobj(array) else {"": array}
        content |= {name + part: (dims, values) for part, values in parts.items()}
    kind = {"pattern": _name_of(panel.radiators), "pattern_parameters": json.dumps(vars(panel.radiators))}
    return xr.Dataset(content, attrs=kind)


def _panel(content: "xr.Dataset") -> Panel:
    arrays = {name: _array(content, name) for name in (*_DIMS, "state")}
    about: Mapping[Any, Any] = content.attrs
    parameters = json.loads(about["pattern_parameters"])
    # JSON has no tuples.
    parameters = {name: tuple(value) if isinstance(value, list) else value for name, value in parameters.items()}
    panel = Panel(radiators=RADIATORS.get(about["pattern"])(**parameters), **arrays)
    radiated = content["radiated"].values
    if not np.allclose(panel.radiated, radiated, rtol=_EXACT, atol=0):
        raise ConfigError(f"radiated: must be x^H C x of the excitations, {panel.radiated} W, got {radiated} W")
    return panel


def _array(content: "xr.Dataset", name: str) -> np.ndarray:
    if f"{name}_real" in content:
        return content[f"{name}_real"].values + 1j * content[f"{name}_imag"].values
    return content[name].values


def _name_of(radiators: Radiators) -> str:
    for name in RADIATORS:
        if RADIATORS.get(name) is type(radiators):
            return name
    raise ConfigError(f"pattern: {type(radiators).__name__} is in no registry, see metamimo.physics.registry")
