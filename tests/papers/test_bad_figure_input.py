"""Bad values for the real figures: one message that names field, rule and value, and nothing on the disk."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "cli"))
from cli_tools import metamimo

FIG3, FIG4, FIG6 = (f"sim-broadcast-ee/fig{i}" for i in (3, 4, 6))


@pytest.mark.parametrize(
    ("figure", "settings", "words"),
    [
        (FIG3, ["n_layers=0"], ["n_layers", "greater than or equal to 1", "0"]),
        (FIG3, ["n_users=0"], ["n_users", "greater than or equal to 1", "0"]),
        (FIG3, ["n_ports=2.5"], ["n_ports", "valid integer", "2.5"]),
        (FIG3, ["chain_power=-1"], ["chain_power", "greater than or equal to 0", "-1"]),
        (FIG3, ["static_power=-0.1"], ["static_power", "greater than or equal to 0", "-0.1"]),
        (FIG3, ["insertion_loss_db=-3"], ["insertion_loss_db", "greater than or equal to 0", "-3"]),
        (FIG3, ["wavelength=0"], ["wavelength", "greater than 0", "0"]),
        (FIG3, ["power_dbm=NaN"], ["power_dbm", "finite number", "nan"]),
        (FIG3, ["power_dbm=1000"], ["power_dbm", "less than or equal to 100", "1000"]),
        (FIG3, ["r_max=50"], ["r_max", "must not be below r_min = 100.0", "50"]),
        (FIG3, ["kernel=fft"], ["kernel", "'sampled', 'clipped' or 'band_limited'", "'fft'"]),
        (FIG3, ["grid=round"], ["grid", "'any' or 'square'", "'round'"]),
        (FIG3, ["n_elements=49"], ["n_elements", "axis n_elements sweeps this field"]),
        (FIG3, ["powr_dbm=3"], ["powr_dbm", "no such field of SimBroadcast", "did you mean power_dbm"]),
        (FIG4, ["grid=square"], ["n_elements", "square number where grid is 'square'", "got 32"]),
        (FIG4, ["n_layers=0"], ["n_layers", "axis n_layers sweeps this field"]),
        (FIG6, ["n_elements=50", "grid=square"], ["n_elements", "square number where grid is 'square'", "got 50"]),
    ],
)
def test_one_message_and_exit_code_two(tmp_path, figure, settings, words):
    options = [part for setting in settings for part in ("--set", setting)]
    done = metamimo(tmp_path, "reproduce", figure, *options)
    assert done.returncode == 2, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_square_grids_pass_where_all_points_are_square(tmp_path):
    """The same option on a figure of square layers gets as far as the next rule that is broken."""
    done = metamimo(tmp_path, "reproduce", FIG3, "--set", "grid=square", "--out", "no/such")
    assert done.returncode == 2
    assert "out: the parent of the output folder must exist" in done.stderr
