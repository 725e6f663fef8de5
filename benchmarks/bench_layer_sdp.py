"""Semidefinite relaxation of one layer: low-rank factors against Clarabel, same problem and objective.

Four antennas, four users with one antenna each, two layers at half the thickness of five wavelengths, zero forcing at
random phases, signal-to-noise ratios of 10 to 30 dB. Clarabel runs with its supernodal factorisation on data made once,
nine times faster than its default at 36 elements; a relaxation is what one pass of the layer step solves.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measure import CPU_TIME, interleave, report

from metamimo.linalg import cmatmul
from metamimo.physics.patterns import FieldSample
from metamimo.problem import Link
from metamimo.surfaces.stacked import StackedSurface
from metamimo.tuners.layer_bound import layer_bound_min_sinr
from metamimo.tuners.layer_coefficients import layer_coefficients
from metamimo.tuners.layer_relaxation import user_rates
from metamimo.tuners.layer_sdp import layer_relaxation, layer_step

pytestmark = CPU_TIME

USERS, LAYERS, THICKNESS = 4, 2, 5.0
SNR_PER_ELEMENT = 3e3
DRAWS = {16: 3, 25: 3, 36: 2}
AGREE, GAP = 1e-4, 1e-4
ROUNDS_OF_CLARABEL = 3
"""At most: at 36 elements it takes ten seconds a draw."""

low_rank = jax.jit(functools.partial(layer_relaxation, backend="low_rank"))
clarabel = jax.jit(functools.partial(layer_relaxation, backend="clarabel"))
step = jax.jit(functools.partial(layer_step, backend="low_rank"))
bound = jax.jit(layer_bound_min_sinr)


def draw(elements, seed):
    """Return coefficients and phases of the first layer."""
    gap = THICKNESS / LAYERS
    stack = StackedSurface.build(
        n_layers=LAYERS,
        n_elements=elements,
        n_ports=USERS,
        wavelength=1.0,
        element_spacing=0.5,
        antenna_spacing=0.5,
        layer_spacing=gap,
        pattern=FieldSample(0.25),
    )
    rng = np.random.default_rng(seed)
    channel = (rng.standard_normal((USERS, 1, elements, 2)) @ [1, 1j]) * np.sqrt(SNR_PER_ELEMENT / 2)
    link = Link.broadcast(stack, jnp.asarray(channel), noise_power=1.0, bandwidth=1.0, frequency=28e9)
    state = stack.feasible.random(jax.random.key(seed))
    h = channel[:, 0] @ np.asarray(stack.response(state))[0]
    forcing = h.conj().T @ np.linalg.inv(h @ h.conj().T + USERS * np.eye(USERS))
    precoder = forcing / np.linalg.norm(forcing, axis=0) / np.sqrt(USERS)
    v = layer_coefficients(link, state, jnp.asarray(precoder.T[..., None]), 0)
    np.testing.assert_allclose(cmatmul(v, state[0][:, None])[..., 0], h @ precoder, rtol=1e-9, atol=1e-9)
    return v, state[0]


def describe(found):
    """Return the largest relative gap between certificate and value."""
    value, certified = np.array([[float(one.value), float(one.bound)] for one in found]).T
    return ((certified - value) / value).max()


@pytest.mark.parametrize("held", [False, True], ids=["free", "held"])
@pytest.mark.parametrize("elements", [16, 25, 36])
def test_against_clarabel(benchmark, rounds, elements, held):
    draws = [draw(elements, seed) for seed in range(DRAWS[elements])]
    least = [user_rates(v, phi) * held for v, phi in draws]
    arguments = [(v, phi, rate) for (v, phi), rate in zip(draws, least, strict=True)]
    own, reference = ([solve(*a) for a in arguments] for solve in (low_rank, clarabel))
    assert all(bool(one.solved) for one in (*own, *reference))
    pairs = [(float(a.value), float(b.value)) for a, b in zip(own, reference, strict=True)]
    apart = max(abs(a / b - 1) for a, b in pairs)
    gap = describe(own)
    print(
        f"\n{elements} elements, {'rates of the start held' if held else 'no rate constraints'}: objectives "
        f"{', '.join(f'{a:.5f}' for a, _ in pairs)} nat, {apart:.1e} from Clarabel, certified gap {gap:.1e}, "
        f"Clarabel's {describe(reference):.1e}"
    )
    assert apart < AGREE
    assert gap < GAP
    assert all(float(a.bound) >= max(pair) - 1e-6 for a, pair in zip(own, pairs, strict=True))
    low, others = interleave(
        benchmark,
        lambda: [low_rank(*a) for a in arguments],
        {"clarabel": lambda: [clarabel(*a) for a in arguments]},
        min(rounds, ROUNDS_OF_CLARABEL),
    )
    each = [np.median(seconds) / len(draws) for seconds in (low, others["clarabel"])]
    print(f"{each[0] * 1e3:.1f} ms, Clarabel {each[1] * 1e3:.0f} ms")
    limit = 50 if elements == 36 else None
    report(benchmark, f"layer relaxation, {elements} elements, Clarabel over low rank", others["clarabel"] / low, limit)


@pytest.mark.parametrize("elements", [36, 100])
def test_low_rank_alone(benchmark, rounds, elements):
    v, phi = draw(elements, 0)
    none = jnp.zeros(USERS)
    found, whole, smallest = low_rank(v, phi, none), step(v, phi, none), bound(v, phi)
    assert describe([found]) < GAP
    own, others = interleave(
        benchmark,
        functools.partial(low_rank, v, phi, none),
        {"step": functools.partial(step, v, phi, none), "bound": functools.partial(bound, v, phi)},
        rounds,
    )
    print(
        f"\n{elements} elements: relaxation {np.median(own) * 1e3:.0f} ms, gap {describe([found]):.1e}; whole step "
        f"{np.median(others['step']) * 1e3:.0f} ms, {int(whole.solves)} relaxations, {float(whole.start_rate):.2f} to "
        f"{float(whole.rate):.2f} nat; max-min SINR bound {np.median(others['bound']) * 1e3:.0f} ms, "
        f"{float(smallest.bound):.4g} against {float(smallest.reached):.4g} reached by a matrix"
    )
    report(benchmark, f"layer step over one relaxation, {elements} elements", others["step"] / own, None)
