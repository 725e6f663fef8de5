"""Parameters of the paper; `mark` says where a value comes from: seed (paper), lit (its literature), chosen (here)."""

from typing import Literal

from pydantic import Field, model_validator

from metamimo.conventions import SPEED_OF_LIGHT
from metamimo.experiments.config import Scenario
from metamimo.papers.fields import count, number

CITATION = """@article{zhi2025holographic,
  title = {Holographic {MIMO} Multi-Cell Communications},
  author = {Zhi, Kangda and Yang, Tianyu and Li, Shuangyang and Song, Yi and Wu, Qingqing and Caire, Giuseppe},
  journal = {arXiv:2502.16669},
  year = {2025},
}"""

Budget = Literal["unit wave", "split wave", "field"]
"""What the power P of a station limits: the sum of |x|^2 on average, with a unit wave at every element or with a centre
feed's wave divided; or x^H C x, the radiated power, exactly."""


class HolographicCells(Scenario):
    """Cells of equal size, each with a hologram of microstrips, that serve multi-antenna users over clustered paths."""

    n_cells: int = count(3, "chosen")
    n_users: int = count(2, "chosen")
    n_rx: int = count(2, "chosen")
    n_chains: int = count(4, "chosen")
    per_strip: int = count(4, "chosen")
    budget: Budget = Field(default="unit wave", json_schema_extra={"mark": "seed"})
    carrier: float = number(28e9, "Hz", "lit", gt=0)
    bandwidth: float = number(100e6, "Hz", "chosen", gt=0)
    attenuation: float = number(0.6, "Np/m", "lit", ge=0)
    wavenumber: float = number(827.67, "rad/m", "lit", gt=0)
    element_spacing: float = number(0.25, "wavelengths", "chosen", gt=0)
    strip_spacing: float = number(0.5, "wavelengths", "chosen", gt=0)
    area: float = number(1.0, "cells of half a wavelength squared", "chosen", gt=0)
    amplitude: float = Field(default=1.0, gt=0, json_schema_extra={"mark": "chosen"})
    power_dbm: float = number(30.0, "dBm", "chosen", ge=-100, le=100)
    noise_dbm: float = number(-94.0, "dBm", "chosen", ge=-200, le=100)
    cell_distance: float = number(200.0, "m", "chosen", gt=0)
    r_min: float = number(10.0, "m", "chosen", gt=0)
    path_loss_db: float = number(72.0, "dB", "lit")
    path_loss_exponent: float = number(2.92, "", "lit", gt=0)
    shadowing_db: float = number(8.7, "dB", "lit", ge=0)
    clusters: int = count(5, "chosen")
    rays: int = count(10, "chosen")
    spread: float = number(7.5, "degrees", "chosen", ge=0)
    elevation: float = number(30.0, "degrees", "chosen", ge=0, le=90)

    @property
    def wavelength(self) -> float:
        """Wavelength [m]."""
        return SPEED_OF_LIGHT / self.carrier

    @property
    def columns(self) -> int:
        """Elements of a row of the conventional arrays: half a wavelength apart on the length of a strip."""
        return max(1, round(self.per_strip * self.element_spacing / 0.5))

    @model_validator(mode="after")
    def _consistent(self) -> "HolographicCells":
        if self.r_min >= self.cell_distance / 2:
            raise ValueError(f"r_min: must be below half of cell_distance = {self.cell_distance}, got {self.r_min}")
        return self
