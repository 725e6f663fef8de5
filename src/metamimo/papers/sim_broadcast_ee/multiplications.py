"""Complex multiplications of the paper's algorithms (Perović et al. 2024, eqs. 56 to 58), counted from their steps.

An inverse or determinant of an n x n matrix counts n^3, a Hermitian eigendecomposition 4 n^3. The paper's own
polynomials are lost; these count the steps as this package states them, without the shortcuts of its accelerated
stages.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Sizes that a count depends on.

    Attributes:
        ports: antennas N_t.
        users: users K.
        rx: antennas of each user N_r.
        layers: layers L of the stack.
        elements: meta-elements N of each layer.
    """

    ports: int
    users: int
    rx: int
    layers: int
    elements: int


def covariance_step(size: Size) -> int:
    """Count one step of Algorithm 1: recursive inverses, bound, eigendecompositions and new covariance factors.

    >>> [covariance_step(Size(ports, 4, 2, 4, 100)) for ports in (4, 8, 16, 32, 64)]
    [928, 2400, 7648, 27360, 103648]
    """
    return size.users * (3 * size.ports**2 * size.rx + 5 * size.ports * size.rx**2 + 7 * size.rx**3)


def cyclic_sweep(size: Size) -> int:
    """Count one sweep of water-filling over the users, the benchmark of Xu and Qiu (2013), eqs. 15 and 16.

    >>> [cyclic_sweep(Size(ports, 4, 2, 4, 100)) for ports in (4, 8, 16, 32, 64)]
    [832, 3520, 21184, 148672, 1116352]
    """
    thin = 2 * size.ports**2 * size.rx + 2 * size.ports * size.rx**2 + 6 * size.rx**3
    return size.users * (size.ports**3 + thin)


def precoder_step(size: Size) -> int:
    """Count one step of Algorithm 3 (eq. 57), in streams where there are antennas enough, in antennas otherwise.

    >>> [precoder_step(Size(ports, 4, 2, 4, 100)) for ports in (4, 8, 16, 32, 64)]
    [2496, 5056, 5568, 6592, 8640]
    """
    streams, ports = size.users * size.rx, size.ports
    bound = streams**3 + 2 * streams**2 * size.rx + 6 * size.users * size.rx**3 + streams**2 * ports
    if ports >= streams:
        return bound + 7 * streams**3
    # In the order of the steps: products, eigendecomposition of N_t x N_t, products, inverse, pseudoinverse.
    products = streams * size.rx * ports + ports**2 * streams
    rest = 2 * ports**2 * streams + ports**3 + 2 * streams * ports**2 + streams**2 * ports
    return bound + products + 4 * ports**3 + rest


def forward_pass(size: Size) -> int:
    """Count the effective channels for given phases: through the stack, then to the users."""
    hops = (size.layers - 1) * size.elements**2 * size.ports
    return hops + size.layers * size.elements * size.ports + size.users * size.rx * size.elements * size.ports


def backward_pass(size: Size) -> int:
    """Count the gradient's way back through the stack."""
    return (size.layers - 1) * size.elements**2 * size.ports + 2 * size.layers * size.elements * size.ports


def sim_dpc_iteration(size: Size, inner: int = 3, line_search: int = 3) -> int:
    """Count an outer iteration of Algorithm 2 (eq. 56).

    Args:
        size: sizes.
        inner: steps of Algorithm 1.
        line_search: trial steps of the phases.
    """
    ports, rx = size.ports, size.rx
    value = size.users * (ports * rx**2 + ports**2 * rx) + ports**3
    gradient = (
        size.users * (ports * rx**2 + ports * rx * size.elements)
        + ports**3
        + ports**2 * size.elements
        + backward_pass(size)
    )
    forward = forward_pass(size)
    return inner * covariance_step(size) + forward + gradient + line_search * (forward + value)


def sim_nolp_iteration(size: Size, line_search: int = 3) -> int:
    """Count an outer iteration of the schemes without precoding, which is the phase stage of Algorithm 4.

    Args:
        size: sizes; with reduced RF chains, `ports` may be all antennas or the active ones only.
        line_search: trial steps of the phases.
    """
    ports, rx = size.ports, size.rx
    value = size.users * (2 * ports**2 * rx + 2 * ports * rx**2 + 2 * rx**3)
    gradient = value + size.users * ports * rx * size.elements + backward_pass(size)
    forward = forward_pass(size)
    return forward + gradient + line_search * (forward + value)


def sim_lp_iteration(size: Size, inner: int = 3, line_search: int = 3) -> int:
    """Count an outer iteration of Algorithm 4 (eq. 58).

    Args:
        size: sizes.
        inner: steps of Algorithm 3.
        line_search: trial steps of the phases.
    """
    return inner * precoder_step(size) + sim_nolp_iteration(size, line_search)
