"""Design files: what every surface radiates, there and back, and files that are not what they should be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from stored_designs import CENTRES, KNOWN, TOLD, USERS, broadcasting, drawn, made, stored
from typer.testing import CliRunner

from metamimo.cli import app
from metamimo.errors import ConfigError, ShapeError
from metamimo.geometry.planar import grid_positions
from metamimo.interop.design_file import StoredDesign
from metamimo.physics.patterns import ElementPattern, FieldSample, Isotropic
from metamimo.problem import Design, Link
from metamimo.surfaces.digital import FullyDigital
from metamimo.surfaces.registry import SURFACES

NAMES = sorted({*KNOWN, *TOLD})


@pytest.mark.parametrize("name", sorted(SURFACES))
def test_every_surface_is_stored_or_refused(name):
    if name in NAMES:
        assert len(stored(name).panels) == 2
        return
    link, design, _ = made(name)
    with pytest.raises(ConfigError, match=f"positions: {type(link.surfaces[0]).__name__} was not told where"):
        StoredDesign.of(link, design)


@pytest.mark.parametrize("name", NAMES)
def test_stored_powers_are_those_of_the_ledger_and_of_the_sphere(name):
    """The same watts three ways: F^H A^H C A F, x^H C x, and the integral of the far field."""
    _, _, (accepted, radiated) = made(name)
    design = stored(name)
    np.testing.assert_allclose([panel.accepted.sum() for panel in design.panels], accepted, rtol=1e-9)
    np.testing.assert_allclose([panel.radiated.sum() for panel in design.panels], radiated, rtol=1e-9)
    for station, panel in enumerate(design.panels):
        for subcarrier, power in enumerate(panel.radiated):
            assert design.aperture(station, subcarrier).radiated == pytest.approx(power, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_stations_send_the_users_that_they_serve(name):
    first, second = (panel.excitations for panel in stored(name).panels)
    assert first.any((0, 2, 3)).tolist() == [True, True]
    assert second.any((0, 2, 3)).tolist() == [False, True]


@pytest.mark.parametrize("name", NAMES)
def test_file_gives_back_the_design(name, tmp_path):
    design = stored(name)
    read = StoredDesign.read(design.write(tmp_path / "design.nc"))
    assert len(read.panels) == len(design.panels)
    for there, here in [(read, design), *zip(read.panels, design.panels, strict=True)]:
        for field, value in vars(here).items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(getattr(there, field), value, err_msg=field, strict=True)
            elif field == "radiators":
                assert there.radiators == value
    assert [path.name for path in tmp_path.iterdir()] == ["design.nc"]


def test_unequal_stations_keep_their_own_sizes(tmp_path):
    kinds = [(grid_positions(n, 0.4), Isotropic()) for n in (4, 6)]
    surfaces = tuple(FullyDigital.build(pattern.coupling(places, 1.0)) for places, pattern in kinds)
    like = broadcasting(surfaces[1])
    link = Link(**{**vars(like), "surfaces": surfaces})
    states = tuple(surface.feasible.random(jax.random.key(0)) for surface in surfaces)
    design = Design(states, jnp.ones((1, 2, 2, 6, 1), complex))
    made = StoredDesign.of(link, design, positions=[places for places, _ in kinds], pattern=Isotropic())
    read = StoredDesign.read(made.write(tmp_path / "design.nc"))
    assert [panel.excitations.shape for panel in read.panels] == [(1, 2, 4, 1), (1, 2, 6, 1)]
    assert read.users is None


@pytest.mark.parametrize(
    ("name", "given", "error", "message"),
    [
        ("stacked", {"positions": None, "pattern": None}, ConfigError, "positions: StackedSurface was not told where"),
        ("stacked", {"pattern": None}, ConfigError, "pattern: positions and pattern belong together, got None"),
        ("stacked", {"positions": None}, ConfigError, "positions: positions and pattern belong together, got None"),
        ("stacked", {"pattern": Isotropic()}, ConfigError, "positions, pattern: their coupling matrix must be that of"),
        ("stacked", {"pattern": FieldSample(0.26)}, ConfigError, "to 1 %, got 3.8 % at station 0"),
        ("stacked", {"positions": grid_positions(9, 0.6)}, ConfigError, "positions, pattern: their coupling"),
        ("stacked", {"positions": grid_positions(8, 0.5)}, ShapeError, "excitations: .*element 8.* got shape"),
        ("stacked", {"centres": None}, ConfigError, "centres: users are seen from the centres of 2 stations, got None"),
        ("stacked", {"centres": np.zeros((3, 3))}, ShapeError, "centres: must be those of 2 stations, got 3"),
        ("stacked", {"users": np.zeros((3, 3))}, ShapeError, r"users: must have shape \(2, 3\), got \(3, 3\)"),
        ("stacked", {"users": CENTRES}, ConfigError, "users: must be numbers, and not where station 0 is"),
        ("stacked", {"users": np.full((2, 3), np.nan)}, ConfigError, "users: must be numbers"),
        ("parallel_plate", {"positions": np.zeros((8, 3)), "pattern": Isotropic()}, ConfigError, "knows where its ele"),
    ],
)
def test_what_does_not_fit_is_refused(name, given, error, message):
    link, design, _ = made(name)
    positions, pattern = TOLD.get(name, (None, None))
    usual = {"positions": positions, "pattern": pattern, "centres": CENTRES, "users": USERS}
    with pytest.raises(error, match=message):
        StoredDesign.of(link, design, **{**usual, **given})


class Unknown(Isotropic):
    """A pattern that no file can name."""


def test_patterns_of_ones_own_must_be_registered(tmp_path):
    link, design, _ = made("digital")
    unknown: ElementPattern = Unknown()
    made_of = StoredDesign.of(link, design, positions=TOLD["digital"][0], pattern=unknown)
    with pytest.raises(ConfigError, match="pattern: Unknown is in no registry"):
        made_of.write(tmp_path / "design.nc")
    assert not list(tmp_path.iterdir())


def test_silent_stations_have_no_pattern(tmp_path):
    link = broadcasting(SURFACES.get("digital").example(), serves=((True, True), (False, False)))
    design, _ = drawn(link)
    positions, pattern = TOLD["digital"]
    path = StoredDesign.of(link, design, positions=positions, pattern=pattern).write(tmp_path / "design.nc")
    found = CliRunner().invoke(app, ["show", str(path), "--station", "1"])
    assert found.exit_code == 2
    assert found.output == "error: station: 1 radiates nothing on subcarrier 0\n"


def rewritten(path, change):
    """Write a file again with one thing changed."""
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        tree.load()
    parts = {name: node.to_dataset(inherit=False) for name, node in zip(tree.groups, tree.subtree, strict=True)}
    change(parts)
    xr.DataTree.from_dict(parts).to_netcdf(path, engine="h5netcdf")


def without(name):
    def change(parts):
        parts["/station1"] = parts["/station1"].drop_vars(name)

    return change


def with_attribute(group, **values):
    return lambda parts: parts[group].attrs.update(values)


def scaled(name, factor):
    def change(parts):
        parts["/station1"][name] = factor * parts["/station1"][name]

    return change


def shortened(parts):
    parts["/station1"] = parts["/station1"].isel(port=slice(None, -1), element=slice(None, -1))


BROKEN = {
    "version": (with_attribute("/", version=2), "must be of the format 'metamimo/design', version 1"),
    "format": (with_attribute("/", format="other"), "(given: 'other', version 1)"),
    "positions": (without("positions"), "positions"),
    "imaginary part": (without("excitations_imag"), "excitations_imag"),
    "radiated": (without("radiated"), "radiated"),
    "excitations": (scaled("excitations_real", 1.001), "radiated: must be x^H C x of the excitations"),
    "not a number": (scaled("precoder_real", np.nan), "precoder: must be finite"),
    "accepted": (scaled("accepted", -1), "accepted: must be positive where the elements are excited"),
    "sizes": (shortened, "coupling: must have the dimensions grid, element, other"),
    "coupling": (scaled("positions", 1.5), "positions, pattern: their coupling matrix must be that of the surface"),
    "pattern": (with_attribute("/station1", pattern="dipol_on_plane"), "did you mean dipole_on_plane"),
    "parameters": (with_attribute("/station1", pattern_parameters="{"), "Expecting property name"),
    "more parameters": (with_attribute("/station1", pattern_parameters='{"area": 1}'), "unexpected keyword argument"),
    "station": (lambda parts: parts.__setitem__("/other", parts.pop("/station1")), "station1"),
    "no station": (lambda parts: [parts.pop(f"/station{b}") for b in (0, 1)], "panels: there must be at least one"),
    "frequencies": (lambda parts: parts["/"].update({"frequencies": -parts["/"].frequencies}), "frequencies: must be"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_have_one_clear_message(name, tmp_path):
    path = stored("parallel_plate").write(tmp_path / "design.nc")
    change, message = BROKEN[name]
    rewritten(path, change)
    _refused(path, message)


def test_what_is_no_design_file_has_one_clear_message(tmp_path):
    whole = stored("digital").write(tmp_path / "whole.nc").read_bytes()
    (tmp_path / "half.nc").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.nc").write_text("no netCDF")
    _refused(tmp_path / "none.nc", "design: there is no file")
    _refused(tmp_path / "half.nc", "cannot be read as netCDF")
    _refused(tmp_path / "text.nc", "cannot be read as netCDF")


def _refused(path, message):
    before = sorted(path.parent.iterdir())
    found = CliRunner().invoke(app, ["show", str(path)])
    assert found.exit_code == 2, found.output
    assert found.output.startswith("error: design: ")
    assert str(path) in found.output
    assert message in found.output
    assert sorted(path.parent.iterdir()) == before
