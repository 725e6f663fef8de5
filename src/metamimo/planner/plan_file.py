"""The plan file: scenario, what is searched, limits of area and cost, draws. YAML, every field checked."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from metamimo.errors import ConfigError
from metamimo.experiments.config import explain
from metamimo.papers.sim_miso_ee.scenario import SimMiso

STARTER = """\
# A plan for `metamimo plan FILE`. Fields that are left out keep their defaults; unknown fields are errors.
name: starter

scenario:
  n_users: 4                  # single-antenna users
  carrier: 28.0e+9            # Hz
  bandwidth: 10.0e+6          # Hz
  noise_dbm: -104.0           # dBm, over the bandwidth
  distance: 50.0              # m, centre of the users' disc
  radius: 10.0                # m
  path_loss_exponent: 2.2
  thickness: 5.0              # wavelengths, shared by the layers; or set layer_spacing instead
  kernel: sampled             # sampled (the papers), clipped or band_limited (no energy from nothing)
  power_dbm: 30.0             # dBm, all antennas together
  port_power_dbm: 27.0        # dBm, one antenna
  min_rate: 0.5               # bit/s/Hz, every user
  amplifier_efficiency: 0.35
  chain_power: 0.4            # W, an RF chain that is on
  static_power: 1.0           # W
  control_power: 0.1          # W, controller of the surface
  element_power: 0.01         # W, a meta-atom
  user_power: 0.01            # W, a terminal

search:
  n_layers: [1, 2, 3, 4, 5, 6, 8, 10]
  n_elements: [16, 25, 36, 49, 64]    # a layer
  n_ports: [4, 6, 8, 10]              # antennas

limits:
  area: 0.01                  # m^2, of a layer
  # budget: 500.0             # largest price, with the prices below
prices:
  element: 0.5
  chain: 50.0
  fixed: 100.0

draws: 20                     # of users and channels, common to all cells
final_draws: 100              # of the best cells, to tell them apart
starts: 1
seed: 0
"""

_FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Search(BaseModel):
    """The grid; every value at least 1, in increasing order."""

    model_config = _FROZEN

    n_layers: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8, 10)
    n_elements: tuple[int, ...] = (16, 25, 36, 49, 64)
    n_ports: tuple[int, ...] = (4, 6, 8, 10)

    @model_validator(mode="after")
    def _consistent(self) -> "Search":
        for name in ("n_layers", "n_elements", "n_ports"):
            values = getattr(self, name)
            if not values or values[0] < 1 or list(values) != sorted(set(values)):
                raise ValueError(f"{name}: must be increasing whole numbers from 1 on, got {list(values)}")
        return self


class Limits(BaseModel):
    """What a design may take: area of a layer [m^2] and price, in the unit of the prices; none by default."""

    model_config = _FROZEN

    area: float | None = Field(default=None, gt=0)
    budget: float | None = Field(default=None, gt=0)


class Prices(BaseModel):
    """Price of a meta-atom, an RF chain with its antenna, and the rest, in any one unit."""

    model_config = _FROZEN

    element: float = Field(default=0.0, ge=0)
    chain: float = Field(default=0.0, ge=0)
    fixed: float = Field(default=0.0, ge=0)


class Plan(BaseModel):
    """A plan: the scenario's own counts of layers, meta-atoms and antennas are replaced by those of the search."""

    model_config = _FROZEN

    name: str = Field(default="plan", pattern=r"^[a-z0-9][a-z0-9-]*$")
    scenario: SimMiso = SimMiso()
    search: Search = Search()
    limits: Limits = Limits()
    prices: Prices = Prices()
    draws: int = Field(default=20, ge=2)
    final_draws: int | None = Field(default=None, ge=2)
    starts: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> "Plan":
        if self.search.n_ports[0] < self.scenario.n_users:
            raise ValueError(
                f"n_ports: must be at least the {self.scenario.n_users} users, got {self.search.n_ports[0]}"
            )
        if self.scenario.port_power_dbm > self.scenario.power_dbm:
            raise ValueError(
                f"port_power_dbm: an antenna's limit must not exceed that of all, {self.scenario.power_dbm} dBm, "
                f"got {self.scenario.port_power_dbm} dBm"
            )
        if self.draws_of_finalists < self.draws:
            raise ValueError(f"final_draws: must be at least draws, {self.draws}, got {self.final_draws}")
        if not self.elements_that_fit():
            raise ValueError(f"area: no number of meta-atoms of the search fits into {self.limits.area} m^2")
        return self

    def elements_that_fit(self) -> tuple[int, ...]:
        """Return the numbers of meta-atoms whose layer is within the area limit."""
        pitch = self.scenario.element_spacing * 3e8 / self.scenario.carrier
        area = self.limits.area
        return tuple(n for n in self.search.n_elements if area is None or n * pitch**2 <= area)

    @property
    def draws_of_finalists(self) -> int:
        """Draws that the best cells meet: five times those of all cells, unless the plan says otherwise."""
        return 5 * self.draws if self.final_draws is None else self.final_draws

    def price(self, layers: int, elements: int, ports: int) -> float:
        """Return what a design costs."""
        return self.prices.fixed + layers * elements * self.prices.element + ports * self.prices.chain


def load_plan(path: Path) -> Plan:
    """Read and check a plan file.

    Args:
        path: a YAML file; `STARTER` is one.

    Raises:
        ConfigError: if the file cannot be read, is no YAML, or a field is unknown or breaks its rule.
    """
    import yaml

    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"plan: cannot read {path} ({error.strerror})") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"plan: {path} is no YAML file: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"plan: {path} must hold fields such as `scenario:`, got {type(content).__name__}")
    try:
        return Plan.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error)}") from None
