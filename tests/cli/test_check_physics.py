"""`metamimo check-physics`: a stored design of the usual model, scored where energy is conserved."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

from metamimo.channels.plane_waves import scattered_waves
from metamimo.cli import app
from metamimo.errors import ConfigError, ShapeError
from metamimo.interop.sim_design import SimDesign
from metamimo.planner.physics_check import check_physics, coupled_stack, last_layer_channel, plane_waves_of, usual_stack

WAVES = scattered_waves(jax.random.key(3), jnp.ones(2), 20)


def made(layers=1, spacing=0.5, **changes):
    """Random phases for two users and two antennas."""
    rng = np.random.default_rng(0)
    return SimDesign(
        **{
            "phases": rng.uniform(0, 2 * np.pi, (layers, 9)),
            "precoder": np.eye(2) * np.sqrt(0.5),
            "noise_power": 0.1,
            "wavelength": 0.01,
            "element_spacing": 0.005,
            "antenna_spacing": 0.005,
            "layer_spacing": 0.01 * spacing,
            "feed_distance": 0.01 * spacing,
            "gains": np.asarray(WAVES.gains),
            "directions": np.asarray(WAVES.directions),
            "polarisations": np.asarray(WAVES.polarisations),
            **changes,
        }
    )


def climbed(design, steps=1000):
    """Phases that raise the gain of the first user's own antenna in the usual model: what a designer would do."""
    stack, rows = usual_stack(design), last_layer_channel(design, plane_waves_of(design)[0])

    def gain(phases):
        return jnp.log((jnp.abs(stack.apply_rows(jnp.exp(1j * phases), rows[None])[0, :, 0]) ** 2).sum())

    step = jax.jit(lambda phases: jax.lax.fori_loop(0, steps, lambda _, p: p + 0.2 * jax.grad(gain)(p), phases))
    return replace(design, phases=np.asarray(step(jnp.asarray(design.phases))))


@pytest.fixture(scope="module")
def greedy():
    """Four layers a quarter wavelength apart with optimised phases: where the usual model creates energy."""
    return climbed(made(4, 0.25))


@pytest.fixture(scope="module")
def checked(greedy):
    return check_physics(greedy)


def test_file_gives_back_the_design(tmp_path):
    for design in (made(), made(gains=None, directions=None, polarisations=None, channel=np.ones((2, 9)) + 1j)):
        read = SimDesign.read(design.write(tmp_path / "design.nc"))
        for name, value in vars(design).items():
            assert np.array_equal(getattr(read, name), value) or getattr(read, name) is value is None, name


def test_transparent_layers_deliver_what_the_bare_array_has():
    checked = check_physics(made(2, phases=np.zeros((2, 9))))
    assert checked.delivered == pytest.approx(checked.bare, rel=1e-6)
    assert checked.untouched <= checked.delivered * (1 + 1e-6)


def test_close_layers_promise_more_than_they_deliver(checked):
    assert checked.energy_gain > 1.1
    assert checked.promised > checked.delivered
    assert checked.verdict == f"over-promised by {100 * (checked.promised / checked.delivered - 1):.0f} %"
    assert max(checked.delivered, checked.untouched, checked.unmatched, checked.random, checked.bare) < checked.bound


def test_verdict_says_what_the_phases_are_worth(checked):
    worthless = replace(checked, delivered=checked.bare, promised=checked.bare / 2)
    assert worthless.verdict == (
        "kept: 50 % more is delivered than was promised, but the phases are worth nothing: the bare antennas do as well"
    )
    beyond = replace(checked, promised=checked.bound + 1, delivered=checked.bound - 1)
    assert beyond.verdict == "impossible: the promise exceeds the bound of any currents by 1.00"


def test_command_prints_the_verdict_and_every_rate(greedy, checked, tmp_path):
    found = CliRunner().invoke(app, ["check-physics", str(greedy.write(tmp_path / "design.nc"))])
    assert found.exit_code == 0
    assert found.output.strip() == str(checked)
    for rate in (checked.promised, checked.delivered, checked.bare, checked.bound):
        assert f"{rate:.2f}" in found.output


def test_channel_is_taken_apart_into_waves_that_make_it_again():
    design = made()
    stack = coupled_stack(design, 1, "accepted")
    assert stack.n_ports == 2
    rng = np.random.default_rng(1)
    for isotropic in (True, False):
        channel = rng.standard_normal((2, 9)) + 1j * rng.standard_normal((2, 9))
        waves, left = plane_waves_of(
            made(gains=None, directions=None, polarisations=None, channel=channel, isotropic=isotropic)
        )
        k = 2 * np.pi / 0.01 * np.asarray(waves.directions[0])
        x = (np.arange(9) % 3 - 1) * 0.005
        y = (np.arange(9) // 3 - 1) * 0.005
        z = 0.01 * (0.25 + 0.5)
        rows = np.exp(1j * (k[:, :1] * x + k[:, 1:2] * y + k[:, 2:] * z))
        if not isotropic:
            rows = rows * np.sqrt(np.pi) * np.asarray(waves.directions[0])[:, 2:]
        np.testing.assert_allclose(np.asarray(waves.gains) @ rows, channel, atol=2 * left * np.linalg.norm(channel))
        assert left < 1e-6


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"noise_power": 0.0}, ConfigError, r"noise_power: must be positive, got 0\.0"),
        (
            {"precoder": np.ones((3, 2))},
            ShapeError,
            r"gains: must have the dimensions user, path .*got shape \(2, 20\)",
        ),
        ({"directions": np.ones((2, 20, 3))}, ConfigError, "directions: must be unit vectors, to 1e-06"),
        ({"phases": np.full((1, 9), np.nan)}, ConfigError, "phases: must be finite"),
        ({"gains": None}, ConfigError, "users: give gains, directions and polarisations of their waves, or a channel"),
        ({"channel": np.ones((2, 9))}, ConfigError, "users: give gains, directions and polarisations"),
    ],
)
def test_bad_designs_have_one_clear_message(changes, error, message):
    with pytest.raises(error, match=message):
        made(**changes)


def test_bad_files_have_one_clear_message(tmp_path):
    cases = {"none.nc": "there is no file", "text.nc": "cannot be read as netCDF"}
    (tmp_path / "text.nc").write_text("no netCDF")
    for name, message in cases.items():
        found = CliRunner().invoke(app, ["check-physics", str(tmp_path / name)])
        assert found.exit_code == 2
        assert message in found.output
    import xarray as xr

    xr.Dataset(attrs={"format": "other"}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    found = CliRunner().invoke(app, ["check-physics", str(tmp_path / "other.nc")])
    assert found.exit_code == 2
    assert "must be of the format 'metamimo/sim-design', version 1 (given: 'other', version None)" in found.output
    too_close = made(1, 0.1).write(tmp_path / "close.nc")
    found = CliRunner().invoke(app, ["check-physics", str(too_close)])
    assert found.exit_code == 2
    assert "point dipoles need at least 0.2 wavelengths, got 0.1" in found.output
