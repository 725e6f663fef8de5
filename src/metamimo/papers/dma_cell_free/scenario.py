"""Parameters of the paper; `mark` says where a value comes from: seed (paper), chosen (its number was lost)."""

from typing import Literal

from pydantic import Field, model_validator

from metamimo.conventions import SPEED_OF_LIGHT
from metamimo.experiments.config import Scenario
from metamimo.papers.fields import count, number

CITATION = """@misc{dma-cell-free,
  title = {Robust Beamforming for Cell-Free Systems with Parallel-Plate-Waveguided Dynamic Metasurfaces},
  note = {preprint},
}"""


class CellFreeDma(Scenario):
    """Stations with parallel-plate antennas on a line, which together serve users in two discs over OFDM.

    Budgets and noise are the paper's numbers over 10^-3: |i|^2 of feed currents in A^2, |V|^2 of open wires in V^2.
    """

    n_stations: int = count(4, "chosen")
    n_users: int = count(4, "chosen")
    n_subcarriers: int = count(16, "chosen")
    n_slots: int = count(64, "chosen")
    n_feeds: int = count(4, "chosen")
    taps: int = count(4, "chosen")
    guide_modes: int = Field(default=0, ge=0, json_schema_extra={"mark": "seed"})
    fading: Literal["element", "correlated", "link", "none"] = Field(
        default="element", json_schema_extra={"mark": "chosen"}
    )
    pathloss: Literal["product", "free_space_only"] = Field(default="product", json_schema_extra={"mark": "chosen"})
    largest_strength: float = Field(default=10.0, gt=0, json_schema_extra={"mark": "chosen"})
    carrier: float = number(10e9, "Hz", "chosen", gt=0)
    bandwidth: float = number(100e6, "Hz", "chosen", gt=0)
    detuning: float = number(100e6, "Hz", "chosen")
    height: float = number(5e-3, "m", "chosen", gt=0)
    slot_spacing: float = number(0.25, "wavelengths", "chosen", gt=0)
    wire_radius: float = number(1e-4, "m", "chosen", gt=0)
    station_gap: float = number(100.0, "wavelengths", "chosen", ge=0)
    disc_offset: float = number(2.0, "m", "chosen")
    disc_side: float = number(3.0, "m", "chosen")
    disc_distance: float = number(8.0, "m", "chosen", gt=0)
    disc_radius: float = number(1.0, "m", "chosen", ge=0)
    wire_length: float = number(0.5, "wavelengths", "chosen", gt=0)
    path_loss_db: float = number(30.0, "dB", "chosen")
    path_loss_exponent: float = number(2.2, "", "chosen", ge=0)
    csi_error: float = number(0.1, "", "chosen", ge=0)
    noise_dbm: float = number(-70.0, "dB over 1e-3 V^2", "chosen", ge=-200, le=100)
    power_dbm: float = number(15.0, "dB over 1e-3 A^2", "chosen", ge=-100, le=100)

    @property
    def wavelength(self) -> float:
        """Wavelength at the carrier [m]."""
        return SPEED_OF_LIGHT / self.carrier

    @model_validator(mode="after")
    def _consistent(self) -> "CellFreeDma":
        half = self.bandwidth * (self.n_subcarriers - 1) / (2 * self.n_subcarriers)
        if abs(self.detuning) <= half:
            raise ValueError(
                f"detuning: slots must be resonant outside of the band of +-{half:g} Hz, where nothing tunes them, "
                f"got {self.detuning:g}"
            )
        if half >= self.carrier:
            raise ValueError(f"bandwidth: must leave all subcarriers above zero, got {self.bandwidth:g}")
        return self
