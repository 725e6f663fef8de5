"""`metamimo show`: field pictures of a stored design, from every kind of surface and from a scheme."""

import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cli_tools import metamimo
from stored_designs import CENTRES, KNOWN, TOLD, USERS, broadcasting, stored
from typer.testing import CliRunner

from metamimo.channels.dipole_field import dipole_field
from metamimo.cli import app
from metamimo.figures.beam_table import beam_rows, print_beam
from metamimo.figures.radiation import Shown, draw_radiation
from metamimo.interop.design_file import Panel, StoredDesign
from metamimo.physics.patterns import DipoleOnPlane
from metamimo.physics.radiation import direction_of
from metamimo.problem import Consumption, Limit, Problem
from metamimo.schemes.stochastic_sca import ssca
from metamimo.surfaces.parallel_plate import ParallelPlateDMA


def field(text, name):
    """Return the numbers of one line of the table."""
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?", line.removeprefix(name))]


def a_panel(excitations, positions, centre=(0, 0, 0), accepted=None):
    """Return slots at 10 GHz with given excitations of (user, element)."""
    coupling = DipoleOnPlane().coupling(positions, 0.0299792458)
    x = np.asarray(excitations, complex)[None, :, :, None]
    radiated = (x.conj() * (coupling @ x)).real.sum()
    return Panel(
        radiators=DipoleOnPlane(),
        positions=positions,
        centre=np.asarray(centre, float),
        excitations=x,
        coupling=coupling[None],
        state=np.zeros(1),
        precoder=x[:, :, :1],
        accepted=np.array([radiated if accepted is None else accepted]),
    )


LINE = np.array([[-0.0075, 0, 0], [0.0075, 0, 0]])


@pytest.mark.parametrize("name", sorted({*KNOWN, *TOLD}))
def test_every_kind_of_surface_is_shown(name, tmp_path):
    path = stored(name).write(tmp_path / "design.nc")
    found = CliRunner().invoke(app, ["show", str(path), "--station", "1"])
    assert found.exit_code == 0, found.output
    shown = Shown.of(StoredDesign.read(path), 1)
    directivity, azimuth, elevation = field(found.output, "peak directivity")
    assert directivity == pytest.approx(10 * np.log10(shown.beam.directivity), abs=6e-3)
    towards = direction_of(*np.deg2rad([azimuth, elevation]))
    assert 10 * np.log10(shown.parts(towards).sum()) == pytest.approx(directivity, abs=0.02)
    subcarrier = shown.subcarrier
    for kind, start in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        picture = tmp_path / f"design-station1-subcarrier{subcarrier}.{kind}"
        assert f"wrote   {picture}" in found.output
        assert picture.read_bytes().startswith(start)


def test_table_has_gain_and_powers():
    """A lone slot of which 2 W are taken: 4.77 dBi, 3 dB less of gain, and a beam of 180 by 90 degrees."""
    one = StoredDesign(frequencies=np.array([10e9]), panels=(a_panel([[1.0]], np.zeros((1, 3)), accepted=2.0),))
    rows = dict(beam_rows(Shown.of(one)))
    assert rows["peak directivity"] == "4.77 dBi at azimuth 0.0°, elevation 0.0°"
    assert rows["peak realised gain"] == "1.76 dBi, over accepted power"
    assert rows["half-power beamwidth"] == "azimuth 180.0°, elevation 90.0°"
    assert rows["radiated power"] == "1 W (1 W on 1 subcarriers)"
    assert rows["accepted power"] == "2 W (2 W on 1 subcarriers)"
    assert rows["efficiency"] == "50 % (50 %)"


def test_table_is_drawn_on_a_terminal(capsys, monkeypatch):
    shown = Shown.of(StoredDesign(frequencies=np.array([10e9]), panels=(a_panel([[1, 1]], LINE),)))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_beam(shown)
    lines = capsys.readouterr().out.splitlines()
    for name, value in beam_rows(shown):
        assert any(re.fullmatch(rf"│ {name} +│ {re.escape(value)} +│", line) for line in lines), name


def test_pictures_show_the_pattern_and_the_elements():
    """Two users, in phase and in opposite phase; the second one with a tenth of the amplitude."""
    panel = a_panel([[1, 1], [0.1, -0.1]], LINE, centre=(5, 0, 0))
    users = np.array([[5.0, 0, 10], [15.0, 0, 10]])
    design = StoredDesign(frequencies=np.array([10e9]), panels=(panel,), users=users)
    shown = Shown.of(design)
    axes = draw_radiation(shown).axes
    by_title = {one.get_title(): one for one in axes if one.get_title()}
    peak = 10 * np.log10(shown.beam.directivity)
    uv, azimuth, elevation, amplitude, phase = by_title.values()
    assert f"peak {peak:.1f} dBi" in uv.get_title()
    image = uv.images[0].get_array()
    assert np.nanmax(image) == pytest.approx(peak, abs=1e-3)
    assert np.ma.getmaskarray(np.ma.masked_invalid(image))[0, 0]  # outside of the visible region
    marks = [tuple(np.round(np.concatenate(line.get_data()).astype(float), 6)) for line in uv.lines]
    assert set(marks) == {(0.0, 0.0), (round(0.5**0.5, 6), 0.0)}
    for cut in (azimuth, elevation):
        lines = {line.get_label(): line for line in cut.lines}
        assert list(lines) == ["all streams", "user 1", "user 2"]
        assert max(lines["all streams"].get_ydata()) == pytest.approx(peak, abs=1e-3)
    own = {line.get_label(): line for line in azimuth.lines}
    forward = np.argmin(np.abs(own["user 1"].get_xdata()))
    # In opposite phase nothing goes forwards: the curve stands at the floor of the picture.
    assert own["user 1"].get_ydata()[forward] == pytest.approx(peak, abs=0.05)
    assert own["user 2"].get_ydata()[forward] == pytest.approx(peak - 40)
    assert own["user 1"].get_color() == "C0"
    np.testing.assert_allclose(amplitude.collections[0].get_array(), [0, 0], atol=1e-9)
    np.testing.assert_allclose(phase.collections[0].get_array(), [0, 0], atol=1e-9)
    assert "user 1" in phase.get_title()
    for one in (uv, amplitude, phase):
        assert one.get_xlabel()
        assert one.get_ylabel()
    labels = {one.get_ylabel() for one in axes}
    assert {"Directivity (dBi)", "Amplitude over the largest (dB)", "Phase (degree)", "y (mm)"} <= labels


def test_maps_show_amplitude_and_phase_of_each_element():
    design = StoredDesign(frequencies=np.array([10e9]), panels=(a_panel([[1, 0.1j]], LINE),))
    axes = {one.get_title(): one for one in draw_radiation(Shown.of(design)).axes}
    np.testing.assert_allclose(axes["elements, all streams"].collections[0].get_array(), [0, -20], atol=1e-9)
    (phase,) = [one for title, one in axes.items() if "strongest stream, of user 1" in title]
    np.testing.assert_allclose(phase.collections[0].get_array(), [0, 90], atol=1e-9)
    squares = [path.get_extents().intervalx.tolist() for path in phase.collections[0].get_paths()]
    np.testing.assert_allclose(squares, [[-15, 0], [0, 15]], atol=1e-3)


def test_dipoles_at_one_place_count_together_and_only_those_in_front():
    design = stored("coupled_stack")
    shown = Shown.of(design)
    (amplitude,) = [one for one in draw_radiation(shown).axes if one.get_title().startswith("elements, all streams")]
    assert amplitude.get_title() == "elements, all streams, 8 of 20 elements, in front"
    x = design.panels[0].excitations[0]
    power = (np.abs(x) ** 2).sum((0, 2))
    # Electric dipoles of two layers of four atoms, then the magnetic ones, then the antennas.
    expected = power[4:8] + power[12:16]
    values = 10 ** (np.asarray(amplitude.collections[0].get_array()) / 10)
    np.testing.assert_allclose(sorted(values), sorted(expected / expected.max()), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--station", "2"], "error: station: must be a number from 0 to 1, got 2\n"),
        (["--station", "-1"], "error: station: must be a number from 0 to 1, got -1\n"),
        (["--subcarrier", "9"], "error: subcarrier: must be a number from 0 to 1, got 9\n"),
        (["--out", "none/there"], "error: out: the parent of the output folder must exist"),
    ],
)
def test_bad_choices_have_one_clear_message(options, message, tmp_path):
    path = stored("parallel_plate").write(tmp_path / "design.nc")
    found = CliRunner().invoke(app, ["show", str(path), *options])
    assert found.exit_code == 2
    assert found.output.startswith(message)
    assert [left.name for left in tmp_path.iterdir()] == ["design.nc"]


@pytest.fixture(scope="module")
def network():
    """Two stations of nine slots that serve two users in line of sight together, designed by `ssca`."""
    surface = ParallelPlateDMA.on_grid(
        9, 2, 7.5e-3, frequencies=np.array([9.98e9, 10e9, 10.02e9]), resonance=10.1e9, height=5e-3
    )
    like = broadcasting(surface, serves=((True, True), (True, True)))
    channel = dipole_field(
        jax.random.key(0), surface.positions, CENTRES, USERS, surface.frequencies, fading="none", pathloss="product"
    )
    link = type(like)(**{**vars(like), "channel": channel, "noise_power": jnp.asarray(1e-12)})
    limits = (Limit(jnp.ones(2), "accepted"),)
    problem = Problem(link, limits, Consumption.of(static=1.0), jnp.zeros(2), objective="sum_rate")
    solution = jax.jit(lambda given: ssca(given, key=jax.random.key(1), max_iterations=3))(problem)
    return link, solution


def test_design_of_a_scheme_is_shown_by_the_command(network, tmp_path):
    link, solution = network
    design = StoredDesign.of(link, solution.design, centres=CENTRES, users=USERS)
    for name in ("accepted", "radiated"):
        powers = [getattr(panel, name).sum() for panel in design.panels]
        np.testing.assert_allclose(powers, getattr(solution.ledger, name), rtol=1e-9)
    folder = tmp_path / "here"
    folder.mkdir()
    design.write(folder / "cell-free.nc")
    done = metamimo(folder, "show", "cell-free.nc", "--station", "1", "--subcarrier", "0", "--out", "pictures")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    written = {path.name for path in (folder / "pictures").iterdir()}
    assert written == {"cell-free-station1-subcarrier0.png", "cell-free-station1-subcarrier0.pdf"}
    panel = design.panels[1]
    radiated, *_ = field(done.stdout, "radiated power")
    assert radiated == pytest.approx(panel.radiated[0], rel=1e-3)
    assert field(done.stdout, "efficiency")[1] == pytest.approx(
        100 * panel.radiated.sum() / panel.accepted.sum(), rel=1e-3
    )
    assert Shown.of(design).subcarrier == 1  # the middle one
