"""A design of a stacked metasurface as one file, with all that another model needs to score it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metamimo.errors import ConfigError, ShapeError
from metamimo.figures.files import replacing
from metamimo.physics.kernels import Kernel

if TYPE_CHECKING:
    import xarray as xr

FORMAT = "metamimo/sim-design"
VERSION = 1
_UNIT = 1e-6

_LENGTHS = ("wavelength", "element_spacing", "antenna_spacing", "layer_spacing", "feed_distance")
_COMPLEX = {"precoder": ("user", "port"), "gains": ("user", "path"), "channel": ("user", "element")}
_REAL = {
    "phases": ("layer", "element"),
    "directions": ("user", "path", "axis"),
    "polarisations": ("user", "path", "axis"),
}


@dataclass(frozen=True, kw_only=True)
class SimDesign:
    """Phases and precoder of a stack of evenly spaced layers over a line of antennas, and whom it serves.

    Users are given by plane waves, or by their channel from the last layer's elements; then the element pattern says
    what a unit of that channel means.

    Attributes:
        phases: transmission exp(j phase) of every atom, time factor exp(+jwt), (layer, element) [rad].
        precoder: one stream a user, (user, port) [sqrt(W)].
        noise_power: at every user [W].
        wavelength, element_spacing, antenna_spacing, layer_spacing, feed_distance: [m].
        kernel: propagation between layers that the design was made with.
        gains: of the waves, without unit, (user, path).
        directions, polarisations: unit vectors of the waves, (user, path, 3).
        channel: H from the last layer's elements, without unit, (user, element).
        isotropic: whether a channel is that of isotropic elements; otherwise of samples of the field (`FieldSample`).
    """

    phases: np.ndarray
    precoder: np.ndarray
    noise_power: float
    wavelength: float
    element_spacing: float
    antenna_spacing: float
    layer_spacing: float
    feed_distance: float
    kernel: Kernel = "sampled"
    gains: np.ndarray | None = None
    directions: np.ndarray | None = None
    polarisations: np.ndarray | None = None
    channel: np.ndarray | None = None
    isotropic: bool = True

    def __post_init__(self) -> None:
        """Check that sizes and numbers fit."""
        sizes: dict[str, int] = {"axis": 3}
        for name, dims in (_COMPLEX | _REAL).items():
            array = getattr(self, name)
            if array is None:
                continue
            shape = np.shape(array)
            if len(shape) != len(dims) or any(
                sizes.setdefault(dim, n) != n for dim, n in zip(dims, shape, strict=True)
            ):
                known = ", ".join(f"{dim} {size}" for dim, size in sizes.items())
                raise ShapeError(f"{name}: must have the dimensions {', '.join(dims)} ({known}), got shape {shape}")
            if not np.isfinite(array).all():
                raise ConfigError(f"{name}: must be finite")
        for name in (*_LENGTHS, "noise_power"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}: must be positive, got {getattr(self, name)}")
        for name in ("directions", "polarisations"):
            vectors = getattr(self, name)
            if vectors is not None and not np.allclose(np.linalg.norm(vectors, axis=-1), 1, rtol=0, atol=_UNIT):
                raise ConfigError(f"{name}: must be unit vectors, to {_UNIT:g}")
        waves = [getattr(self, name) is not None for name in ("gains", "directions", "polarisations")]
        if any(waves) != all(waves) or all(waves) == (self.channel is not None):
            raise ConfigError("users: give gains, directions and polarisations of their waves, or a channel")

    def write(self, path: Path) -> Path:
        """Write a netCDF file, never half of one."""
        import xarray as xr

        content = {}
        for name, dims in (_COMPLEX | _REAL).items():
            array = getattr(self, name)
            if array is not None:
                parts = {"": array} if name in _REAL else {"_real": np.real(array), "_imag": np.imag(array)}
                content |= {name + part: (dims, np.asarray(values, float)) for part, values in parts.items()}
        numbers = {name: float(getattr(self, name)) for name in (*_LENGTHS, "noise_power")}
        about = {"format": FORMAT, "version": VERSION, "kernel": self.kernel, "isotropic": int(self.isotropic)}
        with replacing(path) as aside:
            xr.Dataset(content, attrs=about | numbers).to_netcdf(aside, engine="h5netcdf")
        return path

    @classmethod
    def read(cls, path: Path) -> "SimDesign":
        """Read a file that `write` made.

        Raises:
            ConfigError: if there is no such file, or it is of another kind or version, or damaged.
        """
        import xarray as xr

        if not path.is_file():
            raise ConfigError(f"design: there is no file {path}")
        try:
            with xr.open_dataset(path, engine="h5netcdf") as data:
                content = data.load()
        except Exception as error:
            raise ConfigError(f"design: {path} cannot be read as netCDF ({error})") from error
        about = content.attrs
        if about.get("format") != FORMAT or about.get("version") != VERSION:
            given = f"{about.get('format')!r}, version {about.get('version')}"
            raise ConfigError(f"design: {path} must be of the format {FORMAT!r}, version {VERSION} (given: {given})")
        try:
            return cls(**_arrays(content), **_numbers(about))
        except (KeyError, TypeError) as error:
            raise ConfigError(f"design: {path} is incomplete ({error})") from error


def _arrays(content: "xr.Dataset") -> dict[str, Any]:
    found: dict[str, Any] = {name: content[name].values for name in _REAL if name in content}
    for name in _COMPLEX:
        if f"{name}_real" in content:
            found[name] = content[f"{name}_real"].values + 1j * content[f"{name}_imag"].values
    return found


def _numbers(about: Mapping[Any, Any]) -> dict[str, Any]:
    numbers = {name: float(about[name]) for name in (*_LENGTHS, "noise_power")}
    return numbers | {"kernel": str(about["kernel"]), "isotropic": bool(about["isotropic"])}
