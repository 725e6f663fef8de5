"""Parameters of the study; `mark` says where a value comes from: lit (literature), chosen (here)."""

from typing import Literal

from pydantic import Field, model_validator

from metamimo.experiments.config import Scenario
from metamimo.papers.fields import count, number

CITATION = """@article{purcell1973scattering,
  title = {Scattering and absorption of light by nonspherical dielectric grains},
  author = {Purcell, Edward M. and Pennypacker, Carlton R.},
  journal = {The Astrophysical Journal},
  volume = {186},
  pages = {705--714},
  year = {1973},
}"""

Family = Literal["half", "quarter", "total", "thickness", "whole"]
LAYERS = (1, 2, 3, 4, 6)
"""Numbers of layers of the studies, through which a nested stack grows."""
SPACINGS = {"half": 0.5, "quarter": 0.25, "whole": 1.0, "total": 0.5}
"""Distance between layers [wavelengths] where it does not depend on their number."""


class SimPhysical(Scenario):
    """A line of dipole antennas over a ground plane, a stack above it, users reached by plane waves."""

    family: Family = Field(default="half", json_schema_extra={"mark": "chosen"})
    n_layers: int = count(3, "chosen")
    n_elements: int = count(25, "chosen")
    total_elements: int = count(36, "chosen")
    n_ports: int = count(4, "chosen")
    n_users: int = count(4, "chosen")
    paths: int = count(20, "chosen")
    broadside: bool = Field(default=False, json_schema_extra={"mark": "chosen"})
    carrier: float = number(28e9, "Hz", "lit", gt=0)
    snr: float = number(10.0, "per watt and unit gain", "chosen", gt=0)
    antenna_spacing: float = number(0.5, "wavelengths", "lit", gt=0)
    antenna_height: float = number(0.25, "wavelengths", "chosen", gt=0)
    element_spacing: float = number(0.5, "wavelengths", "lit", gt=0, le=0.7)
    thickness: float = number(3.0, "wavelengths", "chosen", gt=0)
    loss: float = number(0.03, "", "chosen", ge=0)
    quality: float = number(10.0, "", "chosen", gt=0)

    def __hash__(self) -> int:
        """Hash all fields, so that designs of a scenario can be kept."""
        return hash(tuple(self))

    @property
    def elements(self) -> int:
        """Atoms of a layer."""
        return self.total_elements // self.n_layers if self.family == "total" else self.n_elements

    @property
    def spacing(self) -> float:
        """Distance between layers, and from the antennas to the first [wavelengths]."""
        if self.family == "thickness":
            return self.thickness / self.n_layers
        return SPACINGS[self.family]

    @property
    def is_nested(self) -> bool:
        """Whether a stack of fewer layers is part of this one."""
        return self.family in ("half", "quarter", "whole")

    @model_validator(mode="after")
    def _consistent(self) -> "SimPhysical":
        if self.n_users > self.n_ports:
            raise ValueError(f"n_users: must not exceed n_ports = {self.n_ports}, got {self.n_users}")
        if self.broadside and self.n_users > 1:
            raise ValueError(f"broadside: is one direction, so n_users must be 1, got {self.n_users}")
        if self.family == "total" and self.total_elements % self.n_layers:
            raise ValueError(
                f"total_elements: must be a multiple of n_layers = {self.n_layers}, got {self.total_elements}"
            )
        return self
