"""Grids: shape, order, centre."""

import numpy as np
import pytest

from metamimo.errors import ConfigError
from metamimo.geometry.planar import displacements, grid_positions, grid_shape


@pytest.mark.parametrize("count", range(1, 65))
def test_grid_takes_the_largest_divisor_up_to_the_root(count: int) -> None:
    x, y = grid_shape(count)
    assert x * y == count
    assert x == max(d for d in range(1, count + 1) if count % d == 0 and d * d <= count)


@pytest.mark.parametrize("count", [0, -4])
def test_empty_grid_is_refused_by_name_and_value(count: int) -> None:
    with pytest.raises(ConfigError, match=f"count: .*{count}"):
        grid_shape(count)


@pytest.mark.parametrize("count", [1, 7, 12, 25])
def test_positions_are_centred_and_count_x_first(count: int) -> None:
    along_x, along_y = grid_shape(count)
    p = grid_positions(count, 0.3, height=1.5)
    expected = [
        ((i - (along_x - 1) / 2) * 0.3, (j - (along_y - 1) / 2) * 0.3, 1.5)
        for j in range(along_y)
        for i in range(along_x)
    ]
    np.testing.assert_allclose(p, expected, atol=1e-15)
    np.testing.assert_allclose(p[:, :2].mean(0), 0, atol=1e-15)


def test_long_side_turns_the_grid_and_keeps_x_first() -> None:
    p = grid_positions(6, 1.0, long_side="x")
    np.testing.assert_array_equal(p[:, 0], [-1, 0, 1, -1, 0, 1])
    np.testing.assert_array_equal(p[:, 1], [-0.5] * 3 + [0.5] * 3)


def test_displacement_points_from_source_to_observer() -> None:
    a, b = grid_positions(4, 1.0, 2.0), grid_positions(6, 1.0)
    d = displacements(a, b)
    assert d.shape == (4, 6, 3)
    np.testing.assert_array_equal(d[2, 5], a[2] - b[5])
    np.testing.assert_array_equal(d, -displacements(b, a).swapaxes(0, 1))
