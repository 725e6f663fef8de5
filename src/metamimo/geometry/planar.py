"""Planar grids of elements, centred on the z axis."""

import math
from typing import Literal

import numpy as np

from metamimo.errors import ConfigError


def grid_shape(count: int) -> tuple[int, int]:
    """Split a number of elements into a grid that is as square as the divisors permit.

    Args:
        count: number of elements, at least 1.

    Returns:
        (elements along x, elements along y); the first is the largest divisor not above sqrt(count).

    Raises:
        ConfigError: if `count` is below 1.

    >>> grid_shape(16), grid_shape(12), grid_shape(7)
    ((4, 4), (3, 4), (1, 7))
    """
    if count < 1:
        raise ConfigError(f"count: a grid needs at least 1 element, got {count}")
    along_x = next(d for d in range(math.isqrt(count), 0, -1) if count % d == 0)
    return along_x, count // along_x


def grid_positions(
    count: int, spacing: float, height: float = 0.0, *, long_side: Literal["x", "y"] = "y"
) -> np.ndarray:
    """Return the positions of a planar grid, row by row with x fastest, centred on the z axis.

    Args:
        count: number of elements; the grid is the one of `grid_shape`.
        spacing: distance between neighbours [m].
        height: z coordinate of the plane [m].
        long_side: axis of the longer side, where the grid is no square.

    Returns:
        Positions, shape (count, 3) [m].

    >>> grid_positions(4, 1.0)[:2]
    array([[-0.5, -0.5,  0. ],
           [ 0.5, -0.5,  0. ]])
    """
    along_x, along_y = grid_shape(count) if long_side == "y" else grid_shape(count)[::-1]
    return _rectangle(along_x, along_y, spacing, spacing, height)


def strip_positions(strips: int, per_strip: int, spacing: float, strip_spacing: float) -> np.ndarray:
    """Return the positions of elements on parallel strips along x, strip by strip, centred on the origin.

    Args:
        strips: number of strips.
        per_strip: elements of a strip.
        spacing: distance between the elements of a strip [m].
        strip_spacing: distance between strips [m].

    Returns:
        Positions, shape (strips * per_strip, 3) [m].

    >>> strip_positions(2, 2, 1.0, 4.0)[:, :2].tolist()
    [[-0.5, -2.0], [0.5, -2.0], [-0.5, 2.0], [0.5, 2.0]]
    """
    return _rectangle(per_strip, strips, spacing, strip_spacing)


def line_positions(count: int, spacing: float) -> np.ndarray:
    """Return the positions of elements on the x axis, centred on the origin.

    Args:
        count: number of elements.
        spacing: distance between neighbours [m].

    Returns:
        Positions, shape (count, 3) [m].

    >>> line_positions(3, 0.5)[:, 0]
    array([-0.5,  0. ,  0.5])
    """
    positions = np.zeros((count, 3))
    positions[:, 0] = (np.arange(count) - (count - 1) / 2) * spacing
    return positions


def feed_line(count: int, n_elements: int, spacing: float) -> np.ndarray:
    """Return the positions of feeds on a line along y between the columns of a grid of elements.

    Feeds lie at x = 0, or half a cell off where a column of the grid is there, and at y = (j - (R - 1) / 2) L / R with
    L the elements along y times their spacing.

    Args:
        count: number R of feeds, at least 1.
        n_elements: elements of the grid of `grid_positions`.
        spacing: distance between neighbouring elements [m].

    Returns:
        Positions, shape (count, 3) [m].

    Raises:
        ConfigError: if a count is below 1.

    >>> feed_line(2, 9, 1.0)[:, :2].tolist()
    [[0.5, -0.75], [0.5, 0.75]]
    """
    if count < 1:
        raise ConfigError(f"count: a line needs at least 1 feed, got {count}")
    along_x, along_y = grid_shape(n_elements)
    line = line_positions(count, along_y * spacing / count)[:, [1, 0, 2]]
    line[:, 0] = spacing / 2 * (along_x % 2)
    return line


def _rectangle(along_x: int, along_y: int, x_spacing: float, y_spacing: float, height: float = 0.0) -> np.ndarray:
    """Return positions row by row, x fastest."""
    x = (np.arange(along_x) - (along_x - 1) / 2) * x_spacing
    y = (np.arange(along_y) - (along_y - 1) / 2) * y_spacing
    xs, ys = np.meshgrid(x, y)
    return np.column_stack([xs.ravel(), ys.ravel(), np.full(xs.size, float(height))])


def displacements(observers: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Return observer minus source for every pair, shape (observers, sources, 3) [m]."""
    return observers[:, None, :] - sources[None, :, :]
