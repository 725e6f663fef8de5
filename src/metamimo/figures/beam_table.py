"""The main beam and the powers of a stored design, for a terminal or a log."""

import math
import sys

import numpy as np

from metamimo.figures.radiation import Shown


def print_beam(shown: Shown) -> None:
    """Print them: a table on a terminal, plain lines otherwise."""
    rows = beam_rows(shown)
    if not sys.stdout.isatty():
        width = max(len(name) for name, _ in rows)
        sys.stdout.writelines(f"{name:<{width}}  {value}\n" for name, value in rows)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("quantity", "value")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def beam_rows(shown: Shown) -> list[tuple[str, str]]:
    """Return names and values with units; powers are those of the subcarrier, and of all in brackets."""
    beam, panel = shown.beam, shown.design.panels[shown.station]
    gain = beam.directivity * shown.radiated / shown.accepted
    count = len(shown.design.frequencies)
    radiated, accepted = float(panel.radiated.sum()), float(panel.accepted.sum())
    return [
        ("station", f"{shown.station} of 0 to {len(shown.design.panels) - 1}"),
        ("subcarrier", f"{shown.subcarrier} of 0 to {count - 1}, {shown.design.frequencies[shown.subcarrier]:.10g} Hz"),
        ("peak directivity", f"{_decibel(beam.directivity)} dBi at {_angles(beam.azimuth, beam.elevation)}"),
        ("peak realised gain", f"{_decibel(gain)} dBi, over accepted power"),
        ("half-power beamwidth", f"azimuth {_angle(beam.azimuth_width)}, elevation {_angle(beam.elevation_width)}"),
        ("radiated power", f"{shown.radiated:.4g} W ({radiated:.4g} W on {count} subcarriers)"),
        ("accepted power", f"{shown.accepted:.4g} W ({accepted:.4g} W on {count} subcarriers)"),
        ("efficiency", f"{100 * shown.radiated / shown.accepted:.4g} % ({100 * radiated / accepted:.4g} %)"),
    ]


def _decibel(value: float) -> str:
    return f"{10 * np.log10(value):.2f}"


def _angles(azimuth: float, elevation: float) -> str:
    return f"azimuth {_angle(azimuth)}, elevation {_angle(elevation)}"


def _angle(degrees: float) -> str:
    return "none" if math.isnan(degrees) else f"{degrees + 0.0:.1f}°"
