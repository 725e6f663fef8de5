"""Stack of coupled dipoles: value and gradient of a sum rate against the factorisation that no method can avoid.

Yardstick: the LU of the same matrix I - G S by LAPACK (SciPy), measured beside it.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from measure import CPU_TIME, interleave, report

from metamimo.channels.plane_waves import dipole_channel, scattered_waves
from metamimo.metrics.rates import linear_user_rates
from metamimo.surfaces.coupled import CoupledStack

pytestmark = CPU_TIME

USERS = 4


def problem(layers, elements):
    """Return the jitted value and gradient at some phases, and the matrix that is factored there."""
    surface = CoupledStack.build(n_layers=layers, n_elements=elements, n_ports=USERS, wavelength=1.0)
    channel = dipole_channel(surface, scattered_waves(jax.random.key(0), jnp.ones(USERS), 20))
    precoder = jax.random.normal(jax.random.key(1), (USERS, USERS, 1), complex)
    phases = jax.random.uniform(jax.random.key(2), (layers, elements), maxval=2 * jnp.pi)

    def rate(phases, surface, channel):
        h = surface.apply_rows(jnp.exp(-1j * phases), channel[None])[0]
        return linear_user_rates(h, precoder, jnp.zeros(())).sum()

    program = jax.jit(jax.value_and_grad(rate))
    alpha = np.asarray(surface.polarisabilities(jnp.exp(-1j * phases)))[0]
    matrix = np.asfortranarray(np.eye(len(alpha)) - np.asarray(surface.atoms)[0] * alpha)
    return (lambda: program(phases, surface, channel)), matrix


def lu(matrix):
    return lambda: scipy.linalg.lapack.zgetrf(matrix)[0]


@pytest.mark.parametrize(("layers", "elements", "bound"), [(3, 100, 2.0), (3, 36, None), (6, 100, None)])
def test_value_and_gradient_against_the_factorisation(benchmark, rounds, layers, elements, bound):
    program, matrix = problem(layers, elements)
    seconds, others = interleave(benchmark, program, {"lu": lu(matrix)}, rounds)
    name = f"value and gradient over LU, N={elements}, L={layers}"
    report(benchmark, name, seconds / others["lu"], bound, "<=")


def test_cost_grows_with_the_cube_of_the_dipoles(benchmark, rounds):
    """Measured exponents in L and N of value and gradient."""
    base, _ = problem(3, 36)
    more_layers, _ = problem(6, 36)
    more_elements, _ = problem(3, 100)
    seconds, others = interleave(benchmark, base, {"layers": more_layers, "elements": more_elements}, rounds)
    report(benchmark, "exponent in L, 3 to 6 layers of 36", np.log2(others["layers"] / seconds), None)
    report(benchmark, "exponent in N, 36 to 100", np.log(others["elements"] / seconds) / np.log(100 / 36), None)


def test_one_program_for_a_batch_of_states(benchmark, rounds):
    """Ten states by one batched factorisation against ten calls: whether batching pays on this machine."""
    surface = CoupledStack.build(n_layers=3, n_elements=25, n_ports=USERS, wavelength=1.0)
    channel = dipole_channel(surface, scattered_waves(jax.random.key(0), jnp.ones(USERS), 20))[None]
    states = jnp.exp(1j * jax.random.uniform(jax.random.key(2), (10, 3, 25), maxval=2 * jnp.pi))
    batched = jax.jit(jax.vmap(lambda s: surface.apply_rows(s, channel)))
    in_turn = jax.jit(lambda states: jax.lax.map(lambda s: surface.apply_rows(s, channel), states))
    seconds, others = interleave(
        benchmark, lambda: batched(states), {"one after another": lambda: in_turn(states)}, rounds
    )
    report(benchmark, "ten states, one after another over one batch", others["one after another"] / seconds, None)
