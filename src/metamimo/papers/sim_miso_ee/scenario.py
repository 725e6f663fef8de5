"""Parameters of the paper; `mark` says where a value comes from: seed (paper), lit (its literature), chosen (here)."""

from typing import Literal

from pydantic import Field, model_validator

from metamimo.experiments.config import Scenario
from metamimo.papers.fields import count, number
from metamimo.physics.kernels import Kernel

CITATION = """@article{sim2025layers,
  title = {Energy Efficiency of {SIM}-Assisted Multi-User {MISO} Systems: How Many Layers Do We Need?},
  journal = {arXiv:2504.15737},
  year = {2025},
}"""


class SimMiso(Scenario):
    """One base station with a line of antennas behind a stacked metasurface, single-antenna users in a disc."""

    n_ports: int = count(6, "chosen")
    n_users: int = count(4, "lit")
    n_layers: int = Field(default=3, ge=1, json_schema_extra={"mark": "chosen", "traced": True})
    n_elements: int = count(36, "chosen")
    objective: Literal["energy_efficiency", "sum_rate"] = Field(
        default="energy_efficiency", json_schema_extra={"mark": "seed"}
    )
    kernel: Kernel = Field(default="sampled", json_schema_extra={"mark": "seed"})
    carrier: float = number(28e9, "Hz", "seed", gt=0)
    bandwidth: float = number(10e6, "Hz", "seed", gt=0)
    noise_dbm: float = number(-104.0, "dBm", "lit", ge=-200, le=100)
    thickness: float = number(5.0, "wavelengths", "seed", gt=0)
    layer_spacing: float | None = number(None, "wavelengths", "seed", gt=0)
    feed_distance: float | None = number(None, "wavelengths", "seed", gt=0)
    element_spacing: float = number(0.5, "wavelengths", "seed", gt=0)
    antenna_spacing: float = number(0.5, "wavelengths", "seed", gt=0)
    insertion_loss_db: float = number(0.0, "dB per layer", "chosen", ge=0)
    amplitude_floor: float = number(1.0, "", "chosen", gt=0, le=1)
    evm: float = number(0.0, "", "chosen", ge=0, lt=1)
    station_height: float = number(15.0, "m", "seed", gt=0)
    user_height: float = number(1.65, "m", "seed", ge=0)
    distance: float = number(50.0, "m", "chosen", gt=0)
    radius: float = number(10.0, "m", "chosen", ge=0)
    path_loss_exponent: float = number(2.2, "", "chosen", gt=0)
    power_dbm: float = number(30.0, "dBm", "chosen", ge=-100, le=100)
    port_power_dbm: float = number(27.0, "dBm", "chosen", ge=-100, le=100)
    min_rate: float = number(0.5, "bit/s/Hz", "chosen", ge=0)
    amplifier_efficiency: float = number(0.35, "", "chosen", gt=0, le=1)
    chain_power: float = number(0.4, "W", "chosen", ge=0)
    static_power: float = number(1.0, "W", "chosen", ge=0)
    user_power: float = number(10e-3, "W", "chosen", ge=0)
    control_power: float = number(0.1, "W", "chosen", ge=0)
    element_power: float = number(10e-3, "W", "chosen", ge=0)

    @property
    def spacing(self) -> float:
        """Distance between layers [wavelengths]: the thickness over the layers, unless it is given."""
        return self.thickness / self.n_layers if self.layer_spacing is None else self.layer_spacing

    @property
    def feeding(self) -> float:
        """Distance from the antennas to the first layer [wavelengths]: that between layers, unless it is given."""
        return self.spacing if self.feed_distance is None else self.feed_distance

    @model_validator(mode="after")
    def _consistent(self) -> "SimMiso":
        if self.n_users > self.n_ports:
            raise ValueError(f"n_users: must not exceed n_ports = {self.n_ports}, got {self.n_users}")
        if self.radius > self.distance:
            raise ValueError(f"radius: the users' disc must not reach below the station at {self.distance} m")
        return self
