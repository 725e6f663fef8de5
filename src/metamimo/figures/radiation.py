"""Field pictures of a stored design: cuts and map of its directivity, amplitude and phase of its elements."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from metamimo.figures.curves import STYLE
from metamimo.interop.design_file import StoredDesign
from metamimo.physics.radiation import Aperture, MainBeam, direction_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.projections.polar import PolarAxes

_RANGE_DB = 40.0
_FEWEST = 241
_PER_LOBE = 10
"""Points of the map from null to null of the narrowest lobe."""


@dataclass(frozen=True)
class Shown:
    """One station on one subcarrier.

    Attributes:
        design: of all stations.
        station, subcarrier: which.
        aperture: its elements, with the streams of all users.
        beam: its main beam.
    """

    design: StoredDesign
    station: int
    subcarrier: int
    aperture: Aperture
    beam: MainBeam

    @classmethod
    def of(cls, design: StoredDesign, station: int = 0, subcarrier: int | None = None) -> "Shown":
        """Pick a station and a subcarrier, the middle one by default.

        Raises:
            ConfigError: if there is no such station or subcarrier, or it radiates nothing.
        """
        subcarrier = len(design.frequencies) // 2 if subcarrier is None else subcarrier
        aperture = design.aperture(station, subcarrier)
        return cls(design, station, subcarrier, aperture, aperture.main_beam())

    @property
    def radiated(self) -> float:
        """Return the power of the station on the subcarrier [W]."""
        return float(self.design.panels[self.station].radiated[self.subcarrier])

    @property
    def accepted(self) -> float:
        """Return the power that the ports of the station take on the subcarrier [W]."""
        return float(self.design.panels[self.station].accepted[self.subcarrier])

    def users(self) -> dict[int, np.ndarray]:
        """Return the unit vector towards every user, where their positions are known."""
        if self.design.users is None:
            return {}
        away = self.design.users - self.design.panels[self.station].centre
        return dict(enumerate(away / np.linalg.norm(away, axis=-1, keepdims=True)))

    def parts(self, direction: np.ndarray) -> np.ndarray:
        """Return what the streams of every user add to the directivity, shape (..., user)."""
        users = self.design.panels[self.station].excitations.shape[1]
        each = self.aperture.directivity(direction)
        return each.reshape(*each.shape[:-1], users, -1).sum(-1)


def draw_radiation(shown: Shown) -> "Figure":
    """Draw the map over the half space in front, two cuts through the main beam, and the elements.

    Args:
        shown: the station and subcarrier.

    Returns:
        Not yet written; see `metamimo.figures.curves.save`.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(12.6, 7.4), layout="constrained")
        polar = {"projection": "polar"}
        axes = figure.subplot_mosaic(
            [["map", "azimuth", "elevation"], ["amplitude", "phase", "names"]],
            per_subplot_kw={"azimuth": polar, "elevation": polar},
        )
        frequency = shown.design.frequencies[shown.subcarrier]
        figure.suptitle(
            f"station {shown.station}, subcarrier {shown.subcarrier}, {frequency / 1e9:.6g} GHz", fontsize=9
        )
        _draw_map(shown, axes["map"])
        beam, circle = shown.beam, np.linspace(-np.pi, np.pi, 2 * int(np.ceil(np.pi / _fine(shown))) + 1)
        level, side = np.deg2rad([beam.elevation, beam.azimuth])
        _draw_cut(shown, circle, direction_of(circle, level), cast("PolarAxes", axes["azimuth"]))
        _draw_cut(shown, circle, direction_of(side, circle), cast("PolarAxes", axes["elevation"]))
        axes["azimuth"].set_title(f"azimuth, at elevation {beam.elevation:.1f}° (dBi)", fontsize="small")
        axes["elevation"].set_title(f"elevation, at azimuth {beam.azimuth:.1f}° (dBi)", fontsize="small")
        _draw_elements(shown, axes["amplitude"], axes["phase"])
        axes["names"].axis("off")
        drawn = axes["azimuth"].get_legend_handles_labels()
        axes["names"].legend(*drawn, loc="upper left", title="part in the directivity")
    return figure


def _decibel(values: np.ndarray, floor: float) -> np.ndarray:
    return 10 * np.log10(np.maximum(values, 10 ** (floor / 10)))


def _fine(shown: Shown) -> float:
    """Return the angle between the points of a curve [rad]."""
    return shown.aperture.step / 4


def _draw_map(shown: Shown, axes: "Axes") -> None:
    """Draw the directivity over the direction cosines."""
    lobes = shown.aperture.width / shown.aperture.wavelength
    count = 2 * (max(_FEWEST, int(_PER_LOBE * lobes)) // 2) + 1  # odd: boresight is a point of it
    u = np.linspace(-1, 1, count)
    u, v = np.meshgrid(u, u)
    seen = u**2 + v**2 < 1
    towards = np.stack([u[seen], v[seen], np.sqrt(1 - u[seen] ** 2 - v[seen] ** 2)], axis=-1)
    peak = 10 * np.log10(shown.beam.directivity)
    values = np.full(u.shape, np.nan)
    values[seen] = _decibel(shown.parts(towards).sum(-1), peak - _RANGE_DB)
    half = 1 / (count - 1)
    box = (-1 - half, 1 + half, -1 - half, 1 + half)
    axes.grid(visible=False)
    image = axes.imshow(values, extent=box, origin="lower", vmin=peak - _RANGE_DB, vmax=peak, interpolation="nearest")
    axes.figure.colorbar(image, ax=axes, label="Directivity (dBi)")
    for user, (x, y, ahead) in shown.users().items():
        if ahead > 0:
            axes.plot(x, y, "o", mfc="none", mec="w", mew=2.4, ms=9)
            axes.plot(x, y, "o", mfc="none", mec=f"C{user}", ms=9)
            axes.annotate(f"{user + 1}", (x, y), color="w", xytext=(6, 6), textcoords="offset points")
    axes.set(xlabel="u = sin(theta) cos(phi)", ylabel="v = sin(theta) sin(phi)", aspect="equal")
    axes.set_title(f"half space in front, peak {peak:.1f} dBi", fontsize="small")


def _draw_cut(shown: Shown, angles: np.ndarray, directions: np.ndarray, axes: "PolarAxes") -> None:
    """Draw what all streams and those of each user add to the directivity, on a circle."""
    peak = 10 * np.log10(shown.beam.directivity)
    floor = peak - _RANGE_DB
    parts = shown.parts(directions)
    axes.plot(angles, _decibel(parts.sum(-1), floor), color="k", linewidth=1.8, label="all streams")
    sent = np.flatnonzero(shown.design.panels[shown.station].excitations[shown.subcarrier].any((1, 2)))
    for user in sent if len(sent) > 1 else ():
        axes.plot(angles, _decibel(parts[:, user], floor), color=f"C{user}", linewidth=1, label=f"user {user + 1}")
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.set_thetalim(-np.pi, np.pi)
    axes.set_thetagrids(np.arange(-150, 181, 30))
    axes.set_rlim(floor, peak + 1)
    axes.set_rlabel_position(157)


def _draw_elements(shown: Shown, amplitude: "Axes", phase: "Axes") -> None:
    """Draw the amplitude of all streams together and the phase of the strongest one."""
    aperture = shown.aperture
    front = aperture.positions[:, 2] > aperture.positions[:, 2].max() - 1e-6 * aperture.wavelength
    x = aperture.excitations[front]
    stream = int((np.abs(x) ** 2).sum(0).argmax())
    places, power, strongest = _joined(aperture.positions[front, :2] / aperture.wavelength, x, stream)
    scale = 1e3 * aperture.wavelength
    millimetres, pitch = scale * places, scale * _pitch(places)
    user = stream * shown.design.panels[shown.station].excitations.shape[1] // x.shape[1]
    decibel = _decibel(power / max(power.max(), np.finfo(float).tiny), -_RANGE_DB)
    lowest = min(decibel.min(), -1.0)
    _draw_squares(amplitude, millimetres, pitch, decibel, "viridis", (lowest, 0.0), "Amplitude over the largest (dB)")
    degrees = np.rad2deg(np.angle(strongest))
    _draw_squares(phase, millimetres, pitch, degrees, "twilight", (-180.0, 180.0), "Phase (degree)")
    which = "" if front.all() else f", {front.sum()} of {len(front)} elements, in front"
    amplitude.set_title(f"elements, all streams{which}", fontsize="small")
    phase.set_title(f"elements, strongest stream, of user {user + 1}{which}", fontsize="small")


def _joined(positions: np.ndarray, x: np.ndarray, stream: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return places, the power of all elements at each, and the excitation of the strongest there by one stream."""
    places, number = np.unique(np.round(positions, 6), axis=0, return_inverse=True)
    power = np.bincount(number, (np.abs(x) ** 2).sum(1))
    strongest = np.zeros(len(places), complex)
    order = np.argsort(np.abs(x[:, stream]), kind="stable")
    strongest[number[order]] = x[order, stream]  # the last one stays
    return places, power, strongest


def _draw_squares(
    axes: "Axes",
    places: np.ndarray,
    pitch: float,
    values: np.ndarray,
    colours: str,
    limits: tuple[float, float],
    label: str,
) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    squares = [Rectangle((x - pitch / 2, y - pitch / 2), pitch, pitch) for x, y in places]
    drawn = PatchCollection(squares, cmap=colours, edgecolor="none")
    drawn.set_array(values)
    drawn.set_clim(*limits)
    axes.grid(visible=False)
    axes.add_collection(drawn)
    axes.autoscale_view()
    axes.set(xlabel="x (mm)", ylabel="y (mm)", aspect="equal")
    axes.figure.colorbar(drawn, ax=axes, label=label)


def _pitch(places: np.ndarray) -> float:
    """Return the least distance between places, half a wavelength for a single one [wavelengths]."""
    if len(places) == 1:
        return 0.5
    from scipy.spatial import KDTree

    return float(KDTree(places).query(places, k=2)[0][:, 1].min())
