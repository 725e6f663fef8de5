"""Small problems and plain NumPy definitions that the core tests share; no code under test judges itself."""

from collections.abc import Callable, Sequence
from functools import cache
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np

from metamimo.geometry.planar import grid_positions
from metamimo.physics.diffraction import Kernel, propagation_matrix
from metamimo.physics.patterns import FieldSample
from metamimo.problem import Link
from metamimo.surfaces.base import Surface
from metamimo.surfaces.stacked import StackedSurface


def gaussian(seed: int, *shape: int) -> np.ndarray:
    """Independent CN(0, 1) entries."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def phases(seed: int, *shape: int) -> np.ndarray:
    return np.exp(2j * np.pi * np.random.default_rng(seed).random(shape))


@cache
def even_stack(
    layers: int = 3,
    elements: int = 9,
    ports: int = 6,
    *,
    max_layers: int | None = None,
    kernel: Kernel = "sampled",
    loss_db: float = 0.0,
) -> StackedSurface:
    """An evenly spaced half-wave stack at unit wavelength."""
    return StackedSurface.build(
        n_layers=layers,
        n_elements=elements,
        n_ports=ports,
        wavelength=1.0,
        element_spacing=0.5,
        antenna_spacing=0.5,
        layer_spacing=0.5,
        pattern=FieldSample(0.25),
        kernel=kernel,
        insertion_loss_db=loss_db,
        max_layers=max_layers,
    )


@cache
def uneven_stack(layers: int = 3, *, max_layers: int = 4) -> StackedSurface:
    """Every hop has another distance and a tilt in its coefficients, so that no hop is symmetric."""
    first = propagation_matrix(grid_positions(9, 0.5, 0.4), grid_positions(4, 0.5), 1.0, 0.25)
    hops = [
        (1 + 0.1 * gaussian(i, 9, 9))
        * propagation_matrix(grid_positions(9, 0.5, gap), grid_positions(9, 0.45), 1.0, 0.25)
        for i, gap in enumerate(np.linspace(0.5, 0.9, max_layers - 1))
    ]
    coupling = FieldSample(0.25).coupling(grid_positions(9, 0.5), 1.0)
    return StackedSurface(first, np.array(hops), coupling, n_layers=layers, max_layers=max_layers)


def stack_product(surface: StackedSurface | SimpleNamespace, state: np.ndarray) -> np.ndarray:
    """B = Phi^L W^L ... Phi^1 W^1 as eq. (2) prints it."""
    hops = np.asarray(surface.hops)
    b = state[0][:, None] * np.asarray(surface.first)
    for l in range(1, int(surface.n_layers)):
        b = state[l][:, None] * (hops[0 if len(hops) == 1 else l - 1] @ b)
    return b


def broadcast_link(surface: Surface, *, users: int = 2, rx: int = 2, seed: int = 0, noise: float = 0.05) -> Link:
    channel = jnp.asarray(gaussian(seed, users, rx, surface.n_elements))
    return Link.broadcast(surface, channel, noise_power=noise, bandwidth=2.0, frequency=6e9)


def broadcast_rates(h: np.ndarray, f: np.ndarray) -> np.ndarray:
    """Eq. (8) user by user over unit noise [nat]; h is (user, rx, port), f is (user, port, stream)."""
    out = []
    for k, hk in enumerate(h):
        covariance = [hk @ fj @ fj.conj().T @ hk.conj().T for fj in f]
        j = np.eye(len(hk)) + sum(c for i, c in enumerate(covariance) if i != k)
        out.append(np.linalg.slogdet(j + covariance[k])[1] - np.linalg.slogdet(j)[1])
    return np.array(out)


def conjugate_gradient_by_differences(
    function: Callable[[np.ndarray], float], x: np.ndarray, step: float = 1e-5
) -> np.ndarray:
    """df/dx* by central differences in the real and the imaginary part of every entry."""
    out = np.empty(x.shape, complex)
    for index in np.ndindex(x.shape):
        unit = np.zeros(x.shape, complex)
        unit[index] = step
        real, imaginary = (function(x + d) - function(x - d) for d in (unit, 1j * unit))
        out[index] = (real + 1j * imaginary) / (4 * step)
    return out


def relative_error(value: Sequence | np.ndarray, expected: Sequence | np.ndarray) -> float:
    """Norm of the difference over the norm of what is expected."""
    expected = np.asarray(expected)
    return float(np.linalg.norm(np.asarray(value) - expected) / np.linalg.norm(expected))


def scaled(f: np.ndarray, power: float) -> np.ndarray:
    """The precoder of that direction with |F|^2 = power."""
    return f * np.sqrt(power) / np.linalg.norm(f)
