"""Growth of the signal-to-noise ratio with the elements of one strip in line of sight (section V, Theorem 3).

One user in direction theta; the element n sends x_n = psi_n v_n f, v the wave of the strip and h_n = exp(jk x_n
sin(theta)) the channel, so z_n = h_n v_n decides. Everything is over unit noise.
"""

import numpy as np

COEFFICIENTS = {"Lorentz": 0.5, "binary": 2 / np.pi**2}
"""Of the linear growth P N / sigma^2 at equal sum of |x|^2, as the number of elements grows."""


def geometric_sum(count: int, x: float | np.ndarray) -> np.ndarray:
    """Return Gamma(x) = sum_{n < count} exp(jnx).

    >>> geometric_sum(4, np.array([0.0, np.pi])).real.round(12).tolist()
    [4.0, 0.0]
    """
    half = np.asarray(x, float) / 2
    sine = np.sin(half)
    flat = np.abs(sine) < 1e-12
    # At multiples of a whole turn every term is one; the sign of the ratio there is that of the phase factor.
    ratio = np.where(flat, count * np.cos((count - 1) * half), np.sin(count * half) / np.where(flat, 1, sine))
    return np.where(flat, count, np.exp(1j * half * (count - 1)) * ratio)


def lorentz_states(z: np.ndarray) -> np.ndarray:
    """Return psi_n = (j + exp(-j arg z_n)) / 2 (eq. 72)."""
    return (1j + np.exp(-1j * np.angle(z))) / 2


def binary_states(z: np.ndarray) -> np.ndarray:
    """Return psi_n = 1 where Re z_n >= 0 and 0 elsewhere (eq. 73)."""
    return (np.real(z) >= 0).astype(float)


def best_lorentz_states(z: np.ndarray) -> np.ndarray:
    """Return the states with the largest |sum z_n psi_n|, which is (|sum z_n| + sum |z_n|) / 2."""
    turn = np.angle(1j * z.sum())
    return (1j + np.exp(1j * (turn - np.angle(z)))) / 2


def best_binary_states(z: np.ndarray) -> np.ndarray:
    """Return the states with the largest |sum z_n psi_n|: the elements of the best half plane, by a sweep over all.

    The optimum is max over directions of sum max(0, Re(exp(-j direction) z_n)), and the set of elements that are on
    changes only where a z_n is orthogonal to the direction.
    """
    edges = np.angle(z)[:, None] + np.array([-np.pi / 2, np.pi / 2])
    edges = np.sort(np.mod(edges.ravel(), 2 * np.pi))
    middles = (edges + np.append(edges[1:], edges[0] + 2 * np.pi)) / 2
    on = np.real(np.exp(-1j * middles)[:, None] * z) > 0
    return on[np.argmax(np.abs(on @ z))].astype(float)


def lorentz_sum(count: int, slope: float) -> float:
    """Return |sum z_n psi_n| of `lorentz_states` without attenuation, z_n = exp(jn slope): |N + j Gamma| / 2."""
    return float(np.abs(count + 1j * geometric_sum(count, slope)) / 2)


def lorentz_power(count: int, slope: float) -> float:
    """Return sum |psi_n|^2 of `lorentz_states` without attenuation (eqs. 74 and 75): (N - Im Gamma) / 2."""
    return float((count - np.imag(geometric_sum(count, slope))) / 2)


def binary_sum(count: int, slope: float, terms: int = 20_000) -> complex:
    """Return sum z_n psi_n of `binary_states` without attenuation by its Fourier series (eqs. 76 and 77)."""
    m = np.arange(terms)
    weights = (-1.0) ** m / (2 * m + 1)
    series = geometric_sum(count, (2 * m + 2) * slope) + geometric_sum(count, -2 * m * slope)
    return complex(geometric_sum(count, slope) / 2 + (weights * series).sum() / np.pi)
