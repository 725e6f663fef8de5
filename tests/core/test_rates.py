"""Rates of any network against the definition, written out with loops in NumPy."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    broadcast_rates,
    conjugate_gradient_by_differences,
    even_stack,
    gaussian,
    phases,
    relative_error,
    stack_product,
)

from metamimo.metrics.effective import broadcast_backward, broadcast_forward, effective_channel
from metamimo.metrics.rates import broadcast_sum_rate, heard_dpc, rates, rates_of_received, received
from metamimo.problem import Link
from metamimo.surfaces.digital import FullyDigital

SERVES = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], bool)
PORTS = np.array([[1, 1, 1, 0], [1, 0, 1, 1], [1, 1, 0, 0]], bool)
NOISE = 0.3
network_rates = jax.jit(rates)
network_channel = jax.jit(effective_channel)


@cache
def unequal_link() -> tuple[Link, tuple, list[np.ndarray]]:
    """A stack, digital arrays of 4 and 2 elements; the padding carries a channel that must not count."""
    surfaces = (even_stack(2, 9, 4), FullyDigital.build(np.eye(4)), FullyDigital.build(np.eye(2)))
    link = Link(
        surfaces=surfaces,
        channel=jnp.asarray(gaussian(0, 2, 3, 3, 2, 9)),
        serves=jnp.asarray(SERVES),
        ports=jnp.asarray(PORTS),
        noise_power=jnp.asarray(NOISE),
        bandwidth=jnp.asarray(1.0),
        frequencies=jnp.asarray([1.0, 2.0]),
        weights=jnp.ones(3),
    )
    state = (jnp.asarray(phases(1, 2, 9)), jnp.zeros(0), jnp.zeros(0))
    return link, state, [stack_product(surfaces[0], phases(1, 2, 9)), np.eye(4), np.eye(2)]


def by_definition(link: Link, responses: list[np.ndarray], f: np.ndarray, order: list[int] | None = None) -> np.ndarray:
    """R = ln det(I + own J^-1), one subcarrier, user, station and interferer after another."""
    channel = np.asarray(link.channel)
    freq, stations, users, rx, _ = channel.shape
    place = None if order is None else {u: i for i, u in enumerate(order)}
    out = np.zeros((freq, users))
    for c in range(freq):
        for u in range(users):
            covariance = []
            for v in range(users):
                z = np.zeros((rx, f.shape[-1]), complex)
                for b in range(stations):
                    if not SERVES[b, v]:
                        continue
                    n, p = responses[b].shape
                    for port in range(p):
                        if PORTS[b, port]:
                            z += np.outer(channel[c, b, u, :, :n] @ responses[b][:, port], f[c, b, v, port])
                covariance.append(z @ z.conj().T)
            hears = [v for v in range(users) if v != u and (place is None or place[v] > place[u])]
            j = NOISE * np.eye(rx) + sum((covariance[v] for v in hears), np.zeros((rx, rx)))
            out[c, u] = np.log(np.linalg.det(np.eye(rx) + covariance[u] @ np.linalg.inv(j)).real)
    return out


@pytest.mark.parametrize("order", [None, [0, 1, 2], [2, 0, 1]])
def test_general_network(order: list[int] | None) -> None:
    link, state, responses = unequal_link()
    f = gaussian(2, 2, 3, 3, 4, 2)
    h = network_channel(link, state)
    assert h.shape == (2, 3, 3, 2, 4)
    value = network_rates(
        h, jnp.asarray(f), link.serves, link.noise_power, None if order is None else jnp.asarray(order)
    )
    np.testing.assert_allclose(value, by_definition(link, responses, f, order), rtol=1e-11)


def test_switched_off_and_padded_ports_are_zero_columns() -> None:
    link, state, responses = unequal_link()
    h = np.asarray(network_channel(link, state))
    channel = np.asarray(link.channel)
    for b, a in enumerate(responses):
        n, p = a.shape
        expected = np.zeros((2, 3, 2, 4), complex)
        expected[..., :p] = channel[:, b, ..., :n] @ a
        expected[..., ~PORTS[b]] = 0
        np.testing.assert_allclose(h[:, b], expected, atol=1e-12)


def test_shared_surface_equals_one_a_station() -> None:
    stack = even_stack(2, 9, 4)
    common = {
        "channel": jnp.asarray(gaussian(0, 2, 3, 3, 2, 9)), "serves": jnp.asarray(SERVES), "ports": jnp.asarray(PORTS),
        "noise_power": jnp.asarray(NOISE), "bandwidth": jnp.asarray(1.0), "frequencies": jnp.ones(2),
        "weights": jnp.ones(3),
    }  # fmt: skip
    state = jnp.asarray(phases(3, 3, 2, 9))
    shared = network_channel(Link(surfaces=(stack,), **common), (state,))
    each = network_channel(Link(surfaces=(stack,) * 3, **common), tuple(state))
    np.testing.assert_allclose(shared, each, rtol=1e-12)


def test_dirty_paper_mask_hides_streams_that_were_encoded_before() -> None:
    hears = np.asarray(heard_dpc(jnp.asarray([2, 0, 1])))
    # 2 is encoded first and hears 0 and 1; 1 is encoded last and hears nobody.
    np.testing.assert_array_equal(hears, [[0, 1, 0], [0, 0, 0], [1, 1, 0]])


def test_last_encoded_user_has_a_clean_channel() -> None:
    h, f = gaussian(4, 3, 2, 5), gaussian(5, 3, 5, 2)
    args = jnp.asarray(h)[None, None], jnp.asarray(f)[None, None], jnp.ones((1, 3), bool), jnp.asarray(1.0)
    dpc, linear = (np.asarray(network_rates(*args, order))[0] for order in (jnp.asarray([1, 2, 0]), None))
    alone = np.linalg.slogdet(np.eye(2) + h[0] @ f[0] @ f[0].conj().T @ h[0].conj().T)[1]
    assert dpc[0] == pytest.approx(alone, rel=1e-12)
    assert dpc[1] == pytest.approx(linear[1], rel=1e-12)
    assert (dpc >= linear - 1e-12).all()


@pytest.mark.parametrize("rx", [1, 2, 3])
def test_broadcast_rate_is_the_general_one(rx: int) -> None:
    h, f = gaussian(6, 3, rx, 7), gaussian(7, 3, 7, rx)
    args = jnp.asarray(h)[None, None], jnp.asarray(f)[None, None], jnp.ones((1, 3), bool)
    general = np.asarray(network_rates(*args, jnp.asarray(1.0)))[0]
    np.testing.assert_allclose(general, broadcast_rates(h, f), rtol=1e-12)
    z = np.einsum("irp,jps->irjs", h, f)
    np.testing.assert_allclose(received(*args)[0], z, rtol=1e-10)
    assert float(jax.jit(broadcast_sum_rate)(jnp.asarray(z))) == pytest.approx(general.sum(), rel=1e-12)


@pytest.mark.parametrize("rx", [1, 2, 3])
def test_closed_form_gradient_of_the_rate(rx: int) -> None:
    z = gaussian(8, 3, rx, 3, rx)

    def general(z: jax.Array) -> jax.Array:
        return rates_of_received(z[None], jnp.asarray(1.0), ~jnp.eye(3, dtype=bool)).sum()

    closed, automatic = (jax.jit(jax.grad(g))(jnp.asarray(z)) for g in (lambda z: 1.7 * broadcast_sum_rate(z), general))
    assert relative_error(closed, 1.7 * automatic) <= 1e-12
    if rx == 2:
        eye = np.broadcast_to(np.eye(6).reshape(3, 2, 6), (3, 3, 2, 6))[0]
        measured = conjugate_gradient_by_differences(
            lambda z: broadcast_rates(eye, z.reshape(6, 3, 2).transpose(1, 0, 2)).sum(), z
        )
        # JAX's gradient is twice the conjugate of df/dz*.
        assert relative_error(0.5 * np.conj(automatic), measured) <= 1e-8


@pytest.mark.parametrize("snr_db", [60, 120])
def test_weak_interference_beside_a_strong_own_signal_keeps_its_digits(snr_db: int) -> None:
    """Own signal 120 dB above the noise, interference at the noise: J is summed, never taken as a difference."""
    z = gaussian(9, 2, 2, 2, 2)
    strong = 10 ** (snr_db / 20)
    scale = np.where(np.eye(2, dtype=bool), strong, 1.0)[:, None, :, None]
    value = jax.jit(rates_of_received)(jnp.asarray(scale * z)[None], jnp.asarray(1.0), ~jnp.eye(2, dtype=bool))[0]
    for u in range(2):
        own, other = z[u, :, u], z[u, :, 1 - u]
        j = np.eye(2) + other @ other.conj().T
        s = np.linalg.svd(np.linalg.inv(np.linalg.cholesky(j)) @ own, compute_uv=False) * strong
        assert float(value[u]) == pytest.approx(np.log1p(s**2).sum(), rel=1e-12)


def test_effective_channel_halves_are_one_derivative() -> None:
    stack = even_stack(2, 9, 4)
    link = Link.broadcast(stack, jnp.asarray(gaussian(0, 2, 2, 9)), noise_power=1.0, bandwidth=1.0, frequency=1.0)
    state = jnp.asarray(phases(1, 2, 9))
    cotangent = jnp.asarray(gaussian(2, 2, 2, 4))

    @jax.jit
    def both(state: jax.Array) -> tuple:
        h, kept = broadcast_forward(link, state)
        general, pull = jax.vjp(lambda s: effective_channel(link, (s[None],))[0, 0], state)
        return h, general, broadcast_backward(link, state, kept, cotangent), pull(cotangent)[0]

    h, general, halves, automatic = both(state)
    np.testing.assert_allclose(h, general, rtol=1e-12)
    assert relative_error(halves, automatic) <= 1e-12
