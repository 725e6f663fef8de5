"""Propagation between planes: the printed formula, symmetry, and who creates energy."""

import inspect
from itertools import pairwise

import numpy as np
import pytest

from metamimo.errors import ConfigError
from metamimo.geometry.planar import grid_positions
from metamimo.physics.diffraction import clip_singular_values, propagation_matrix

PITCH = 0.5  # half a wavelength


def hop(count: int, gap: float, kernel: str = "sampled", pitch: float = PITCH) -> np.ndarray:
    return propagation_matrix(grid_positions(count, pitch, gap), grid_positions(count, pitch), 1.0, pitch**2, kernel)


def test_facing_elements() -> None:
    """Acceptance check 1, conjugated into this package's time factor."""
    w = propagation_matrix(np.array([[0, 0, 0.025]]), np.zeros((1, 3)), 0.05, 0.025**2)[0, 0]
    printed = 0.025**2 / 0.025 * (1 / (2 * np.pi * 0.025) - 1j / 0.05) * np.exp(1j * np.pi)
    assert abs(w - printed.conjugate()) <= 1e-14


def test_every_entry_is_the_conjugate_of_the_printed_formula() -> None:
    to, source = grid_positions(12, 0.02, 0.03), grid_positions(6, 0.025)
    w, area, wavelength = propagation_matrix(to, source, 0.05, 4e-4), 4e-4, 0.05
    for n, p in enumerate(to):
        for m, q in enumerate(source):
            r = np.sqrt(((p - q) ** 2).sum())
            cosine = (p[2] - q[2]) / r
            printed = area * cosine / r * (1 / (2 * np.pi * r) - 1j / wavelength) * np.exp(2j * np.pi * r / wavelength)
            assert abs(w[n, m] - printed.conjugate()) <= 1e-14 * max(1, abs(printed))


@pytest.mark.parametrize("kernel", ["sampled", "clipped", "band_limited"])
def test_hop_between_equal_grids_is_reciprocal(kernel: str) -> None:
    w = hop(12, 0.4, kernel)
    np.testing.assert_allclose(w, w.T, rtol=0, atol=1e-14)


@pytest.mark.parametrize("kernel", ["sampled", "band_limited"])
def test_entries_depend_on_the_grid_offset_only(kernel: str) -> None:
    w = hop(20, 0.5, kernel)
    seen: dict[tuple[int, int], complex] = {}
    for n in range(20):
        for m in range(20):
            offset = (n % 4 - m % 4, n // 4 - m // 4)
            assert abs(seen.setdefault(offset, w[n, m]) - w[n, m]) <= 1e-14
    assert len(seen) == 7 * 9


@pytest.mark.parametrize(("gap", "norm"), [(1.0, 1.000), (0.5, 1.150), (0.25, 1.722)])
def test_gain_of_the_sampled_hop(gap: float, norm: float) -> None:
    """Acceptance check 2."""
    assert np.linalg.norm(hop(100, gap), 2) == pytest.approx(norm, abs=2e-3)


@pytest.mark.parametrize("count", [16, 25, 100])
@pytest.mark.parametrize("gap", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("kernel", ["clipped", "band_limited"])
def test_passive_kernels_are_contractions(kernel: str, gap: float, count: int) -> None:
    norm = np.linalg.norm(hop(count, gap, kernel), 2)
    assert norm <= 1 + 1e-9
    assert norm > 0.9  # not by losing everything


@pytest.mark.parametrize("pitch", [0.2, 0.35, 0.7])
def test_band_limited_is_a_contraction_at_every_pitch(pitch: float) -> None:
    assert np.linalg.norm(hop(25, 0.3, "band_limited", pitch), 2) <= 1 + 1e-9


@pytest.mark.parametrize(("gap", "percent"), [(5 / 3, 1.6), (1.0, 4.5), (0.5, 15.0), (0.25, 42.0)])
def test_band_limited_leaves_the_sampled_kernel_near_the_surface(gap: float, percent: float) -> None:
    """Pitfall 6 prints these distances (Frobenius); they vary slowly with N, which it does not name."""
    sampled = hop(36, gap)
    distance = np.linalg.norm(hop(36, gap, "band_limited") - sampled) / np.linalg.norm(sampled)
    assert 100 * distance == pytest.approx(percent, rel=0.05)


@pytest.mark.parametrize(
    ("offset", "pitch", "gap"),
    [
        ((0.0, 0.0), 0.5, 0.5),
        ((1.0, 0.5), 0.5, 0.5),
        ((0.15, -0.4), 0.3, 0.2),
        ((1.4, 0.7), 0.7, 1.3),
        ((0.6, 1.2), 0.6, 0.6),
    ],
)
def test_band_limited_entry_is_the_integral(offset: tuple[float, float], pitch: float, gap: float) -> None:
    """Against a rule in Cartesian wave numbers, which shares nothing with the polar rule under test."""
    k, edge, (x, y) = 2 * np.pi, np.pi / pitch, offset
    total = 0j
    corner = np.sqrt(max(k**2 - edge**2, 0.0))
    for low, high in pairwise(sorted({0.0, *(p for p in (k, corner) if p < edge), edge})):
        for u, weight in zip(*smooth_rule(low, high), strict=True):
            circle = min(np.sqrt(max(k**2 - u**2, 0.0)), edge)
            for start, end in ((0.0, circle), (circle, edge)):
                v, dv = smooth_rule(start, end)
                k_z = np.sqrt((k**2 - u**2 - v**2).astype(complex)).conj()  # decays under exp(-j k_z z)
                total += weight * np.cos(u * x) * (np.exp(-1j * k_z * gap) * np.cos(v * y) * dv).sum()
    expected = 4 * pitch**2 / (4 * np.pi**2) * total
    observer = np.array([[x, y, gap]])
    # A second observer on the pitch grid must not change the first one's quadrature beyond rounding.
    observers = np.vstack([observer, observer + np.array([6 * pitch, 0, 0])])
    w = propagation_matrix(observers, np.zeros((1, 3)), 1.0, pitch**2, "band_limited")
    assert abs(w[0, 0] - expected) <= 1e-8


def smooth_rule(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre after t = s^2 (3 - 2 s), which takes square roots off both ends."""
    node, weight = np.polynomial.legendre.leggauss(60)
    s = (node + 1) / 2
    return low + (high - low) * s**2 * (3 - 2 * s), (high - low) * 6 * s * (1 - s) * weight / 2


def test_clipping_keeps_small_singular_values() -> None:
    w = hop(25, 0.25)
    u, s, vh = np.linalg.svd(w)
    np.testing.assert_allclose(clip_singular_values(w), u @ np.diag(np.minimum(s, 1)) @ vh, atol=1e-13)
    assert s[0] > 1.2
    np.testing.assert_allclose(clip_singular_values(0.1 * w), 0.1 * w, atol=1e-15)


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("wavelength", {"wavelength": 0.0}),
        ("area", {"area": -1.0}),
        ("area", {"area": float("nan")}),
        ("observers", {"observers": grid_positions(4, 0.5)}),
        ("observers", {"observers": grid_positions(4, 0.5, -1.0)}),
        ("observers", {"observers": np.array([[0, 0, 1.0], [0, 0, 1.1]])}),
    ],
)
def test_bad_input_names_the_argument(field: str, arguments: dict) -> None:
    good = {
        "observers": grid_positions(4, 0.5, 1.0),
        "sources": grid_positions(4, 0.5),
        "wavelength": 1.0,
        "area": 0.25,
    }
    with pytest.raises(ConfigError, match=f"^{field}: "):
        propagation_matrix(**{**good, **arguments})


def test_unknown_kernel_names_the_choices() -> None:
    unchecked = inspect.unwrap(propagation_matrix)  # the run-time type check of the tests would answer first
    with pytest.raises(ConfigError, match=r"^kernel: must be one of sampled, clipped, band_limited, got 'exact'"):
        unchecked(grid_positions(4, 0.5, 1.0), grid_positions(4, 0.5), 1.0, 0.25, "exact")
