"""Parameters of the paper; `mark` says where a value comes from: seed (paper), lit (its literature), chosen (here)."""

import math
from typing import Literal

from pydantic import Field, model_validator

from metamimo.experiments.config import Scenario
from metamimo.papers.fields import count, number
from metamimo.physics.kernels import Kernel

CITATION = """@article{perovic2024energy,
  author = {Perovi{\\'c}, Nemanja Stefan and Bahingayi, Eduard E. and Tran, Le-Nam},
  title = {Energy-Efficient Designs for {SIM}-Based Broadcast {MIMO} Systems},
  journal = {arXiv:2409.00628},
  year = {2024},
}"""


class SimBroadcast(Scenario):
    """One base station with a stacked metasurface, users with several antennas in an annulus around it."""

    n_ports: int = count(16, "chosen")
    n_users: int = count(4, "chosen")
    n_rx: int = count(2, "chosen")
    n_layers: int = count(4, "chosen")
    n_elements: int = count(100, "seed")
    grid: Literal["any", "square"] = Field(default="any", json_schema_extra={"mark": "chosen"})
    kernel: Kernel = Field(default="sampled", json_schema_extra={"mark": "seed"})
    wavelength: float = number(0.05, "m", "chosen", gt=0)
    element_spacing: float = number(0.5, "wavelengths", "chosen", gt=0)
    antenna_spacing: float = number(0.5, "wavelengths", "chosen", gt=0)
    layer_spacing: float = number(0.5, "wavelengths", "chosen", gt=0)
    insertion_loss_db: float = number(0.0, "dB per layer", "chosen", ge=0)
    power_dbm: float = number(30.0, "dBm", "chosen", ge=-100, le=100)
    noise_dbm: float = number(-94.0, "dBm", "chosen", ge=-200, le=100)
    bandwidth: float = number(20e6, "Hz", "chosen", gt=0)
    path_loss_exponent: float = number(3.5, "", "lit", gt=0)
    r_min: float = number(100.0, "m", "chosen", gt=0)
    r_max: float = number(200.0, "m", "chosen", gt=0)
    chain_power: float = number(0.5, "W", "chosen", ge=0)
    static_power: float = number(10.0, "W", "chosen", ge=0)
    element_power: float = number(5e-3, "W", "chosen", ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> "SimBroadcast":
        if self.grid == "square" and math.isqrt(self.n_elements) ** 2 != self.n_elements:
            raise ValueError(f"n_elements: must be a square number where grid is 'square', got {self.n_elements}")
        if self.r_max < self.r_min:
            raise ValueError(f"r_max: must not be below r_min = {self.r_min}, got {self.r_max}")
        return self
