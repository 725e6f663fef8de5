"""Phase stage W1: 4 users with 2 antennas, 8 streams, 4 layers of 100 elements, batch 32, complex128.

Work is counted as in the closed form: 8 real operations for a complex multiplication and addition; a forward pass
carries d = 8 rows through L - 1 products with N x N and one with N x P, a backward pass takes the same and L d N for
the gradient.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measure import CPU_TIME, REAL_FLOPS, flops_of_zgemm, interleave, report, zgemm
from numpy_reference import Options, ascend, w1_problem

from metamimo.linalg import squared_norm
from metamimo.metrics.rates import broadcast_sum_rate
from metamimo.optimise.projected_gradient import StepRule
from metamimo.problem import Link
from metamimo.surfaces.stacked import StackedSurface
from metamimo.tuners.projected_gradient import tune_projected_gradient

pytestmark = CPU_TIME

USERS, RX, STREAMS, LAYERS, ELEMENTS, BATCH = 4, 2, 8, 4, 100, 32
ITERATIONS = 40
ROWS = USERS * RX
FORWARD = REAL_FLOPS * ((LAYERS - 1) * ROWS * ELEMENTS**2 + ROWS * ELEMENTS * STREAMS)
BACKWARD = FORWARD + REAL_FLOPS * LAYERS * ROWS * ELEMENTS


@pytest.fixture(scope="module")
def w1():
    """Return the surface, its propagation matrices, and a batch of channels and phases."""
    hops, _, _ = w1_problem(0)
    draws = [w1_problem(seed) for seed in range(BATCH)]
    surface = StackedSurface(hops[0], np.array(hops[1:]), np.eye(ELEMENTS), n_layers=LAYERS)
    channels, phases = (jnp.asarray(np.stack(column)) for column in list(zip(*draws, strict=True))[1:])
    return surface, hops, channels, phases


def value_and_gradient(surface, channel, state):
    """Return the sum rate and its gradient by the conjugate state for streams that are fed port by port."""
    h, kept = surface.rows_forward(state, channel[None])
    rate, pull = jax.vjp(broadcast_sum_rate, h[0].reshape(USERS, RX, USERS, -1))
    slope = pull(jnp.ones(()))[0].reshape(1, USERS, RX, -1)
    return rate, surface.rows_backward(state, kept, slope).conj() / 2


def merged(surface, channels, states):
    return jax.vmap(value_and_gradient, in_axes=(None, 0, 0))(surface, channels, states)


def one_after_another(surface, channels, states):
    return jax.lax.map(lambda item: value_and_gradient(surface, *item), (channels, states))


@pytest.mark.parametrize("order", [merged, one_after_another])
def test_value_and_gradient(benchmark, rounds, w1, order):
    surface, _, channels, phases = w1
    program = jax.jit(order)
    repeats = 10

    def target():
        for _ in range(repeats):
            out = program(surface, channels, phases)
        return out

    own, other = interleave(benchmark, target, {"zgemm": zgemm()}, rounds)
    speed = repeats * BATCH * (FORWARD + BACKWARD) / own
    peak = flops_of_zgemm() / other["zgemm"].min()
    micros = np.median(own) / repeats / BATCH * 1e6
    print(f"\n{order.__name__}: {micros:.1f} us a realisation, zgemm peak {peak / 1e9:.1f} GF/s")
    report(benchmark, f"W1 value and gradient, {order.__name__}, over the zgemm peak", speed / peak, 0.9)
    report(
        benchmark,
        f"W1 value and gradient, {order.__name__}, over the zgemm beside it",
        speed * other["zgemm"] / flops_of_zgemm(),
        None,
    )


def test_iterations(benchmark, rounds, w1):
    """Whole iterations of the tuner, one realisation after another, against the same iterations in plain NumPy."""
    surface, hops, channels, phases = w1
    precoder = np.eye(STREAMS, dtype=complex).reshape(STREAMS, USERS, -1).transpose(1, 0, 2)

    def tune(surface, channels, states):
        def one(item):
            link = Link.broadcast(surface, item[0], noise_power=1.0, bandwidth=1.0, frequency=1.0)
            return tune_projected_gradient(
                link, item[1], jnp.asarray(precoder), rule=StepRule(), tolerance=0.0, window=10,
                max_iterations=ITERATIONS,
            )  # fmt: skip

        return jax.lax.map(one, (channels, states))

    program = jax.jit(tune)
    options = Options(tolerance=0.0, max_iterations=ITERATIONS)
    host = [(np.asarray(g), np.asarray(phi)) for g, phi in zip(channels, phases, strict=True)]

    def plain():
        return [ascend(hops, g, phi, precoder, 1.0, None, options) for g, phi in host]

    found, runs = program(surface, channels, phases), plain()
    # The plain history is rate over (fixed power 1 + |F|^2).
    expected = np.array([run.history for run in runs]) * (1 + float(squared_norm(jnp.asarray(precoder))))
    difference = np.abs(np.asarray(found.history)[:, 1:] / expected - 1).max()
    trials = int(found.trials.sum())
    print(f"\nlargest relative difference to plain NumPy over {ITERATIONS} iterations: {difference:.1e}")
    print(f"{trials / BATCH / ITERATIONS:.2f} forward passes an iteration, plain NumPy {_trials(runs):.2f}")
    own, other = interleave(
        benchmark, lambda: program(surface, channels, phases), {"zgemm": zgemm(), "plain": plain}, rounds
    )
    micros = 1e6 / BATCH / ITERATIONS
    print(f"{np.median(own) * micros:.0f} us an iteration, plain NumPy {np.median(other['plain']) * micros:.0f} us")
    useful = trials * FORWARD + int(found.iterations.sum()) * BACKWARD
    peak = flops_of_zgemm() / other["zgemm"].min()
    report(benchmark, "W1 iteration over the zgemm peak", useful / own / peak, None)
    report(benchmark, "W1 iteration, plain NumPy over metamimo", other["plain"] / own, 2.5)


def _trials(runs):
    return sum(run.trials for run in runs) / BATCH / ITERATIONS
