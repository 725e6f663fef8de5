"""Fully digital array: lossless ports radiate what they accept."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import gaussian

from metamimo.errors import ShapeError
from metamimo.geometry.planar import grid_positions
from metamimo.physics.patterns import FieldSample, Isotropic
from metamimo.surfaces.digital import FullyDigital

EMPTY = jnp.zeros(0)


@pytest.mark.parametrize("spacing", [0.35, 0.5, 0.8])
@pytest.mark.parametrize("pattern", [Isotropic(), FieldSample(0.25)])
def test_matched_ports_radiate_what_they_accept(pattern, spacing: float) -> None:
    surface = FullyDigital.build(pattern.coupling(grid_positions(6, spacing), 1.0), matched=True)
    radiated = np.asarray(surface.power_matrix(EMPTY, "radiated"))[0]
    np.testing.assert_allclose(radiated, np.eye(6), atol=1e-9)
    np.testing.assert_array_equal(surface.power_matrix(EMPTY, "accepted")[0], np.eye(6))


def test_superdirective_modes_are_not_driven() -> None:
    coupling = Isotropic().coupling(grid_positions(25, 0.15), 1.0)
    surface = FullyDigital.build(coupling, matched=True)
    radiated = np.asarray(surface.power_matrix(EMPTY, "radiated"))[0]
    value = np.linalg.eigvalsh(radiated)
    kept = (np.linalg.eigvalsh(coupling) > 1e-2 * np.linalg.eigvalsh(coupling)[-1]).sum()
    np.testing.assert_allclose(value, np.repeat([0, 1], [25 - kept, kept]), atol=1e-9)
    assert np.linalg.norm(surface.response(EMPTY)[0], 2) ** 2 <= 100 / np.linalg.eigvalsh(coupling)[-1] * (1 + 1e-9)


def test_unmatched_ports_drive_the_elements_directly() -> None:
    coupling = Isotropic().coupling(grid_positions(4, 0.25), 1.0)
    surface = FullyDigital.build(coupling)
    a = gaussian(0, 4)
    np.testing.assert_allclose(surface.apply_rows(EMPTY, jnp.asarray(a)[None, None])[0, 0], a, atol=1e-15)
    np.testing.assert_allclose(surface.power_matrix(EMPTY, "radiated")[0], coupling, atol=1e-15)
    assert surface.n_tunable == 0


def test_bad_coupling_is_named() -> None:
    with pytest.raises(ShapeError, match=r"^coupling: .*\(2, 3\)"):
        FullyDigital.build(np.ones((2, 3)))
