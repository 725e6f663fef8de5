"""Power ledger, consumption and the score of a design."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import even_stack, gaussian, phases
from test_rates import PORTS, SERVES, by_definition, unequal_link

from metamimo.conventions import NAT_TO_BIT
from metamimo.metrics.evaluate import evaluate, objective_value
from metamimo.metrics.power import ledger, port_power, power_matrices
from metamimo.problem import Consumption, Design, Limit, Link, Problem

score = jax.jit(evaluate)
book = jax.jit(ledger)
PRICES = {"per_chain": 0.5, "static": 10.0, "per_element": 0.005, "control": 2.0, "per_user": 0.1}


def problem_of(link: Link, **options) -> Problem:
    bs = link.serves.shape[0]
    return Problem(
        link=link,
        limits=(Limit(jnp.ones(bs)),),
        consumption=Consumption.of(**{**PRICES, "amplifier_efficiency": 0.4, **options}),
        min_rate=jnp.zeros(link.weights.size),
    )


def network() -> tuple[Link, tuple, list[np.ndarray], np.ndarray]:
    link, state, responses = unequal_link()
    f = gaussian(2, 2, 3, 3, 4, 2)
    f[:, 0, :, 1] = 0  # this chain exists but carries nothing
    return link, state, responses, f


def sent_power(f: np.ndarray) -> np.ndarray:
    """|F|^2 of every port [bs, port], counting served streams and existing ports only."""
    return (np.abs(f) ** 2 * SERVES[None, :, :, None, None] * PORTS[None, :, None, :, None]).sum((0, 2, 4))


def test_accepted_and_radiated_power_of_every_station() -> None:
    link, state, responses, f = network()
    powers = book(problem_of(link), Design(state, jnp.asarray(f)))
    np.testing.assert_allclose(powers.accepted, sent_power(f).sum(1), rtol=1e-12)
    np.testing.assert_allclose(port_power(link, jnp.asarray(f)), sent_power(f), rtol=1e-12)
    for b, a in enumerate(responses):
        ports = a.shape[1]
        coupling = np.asarray(link.surfaces[b].coupling[0])
        radiated = 0.0
        for c in range(2):
            for u in range(3):
                for s in range(2):
                    x = a @ (f[c, b, u, :ports, s] * SERVES[b, u] * PORTS[b, :ports])
                    radiated += (x.conj() @ coupling @ x).real
        assert float(powers.radiated[b]) == pytest.approx(radiated, rel=1e-12)
    np.testing.assert_allclose(powers.accepted, powers.radiated + powers.lost, rtol=1e-14)


def test_power_matrices_are_zero_where_ports_are_padding() -> None:
    link, state, _, _ = network()
    for kind in ("accepted", "radiated"):
        m = np.asarray(power_matrices(link, state, kind))
        assert m.shape == (3, 2, 4, 4)
        assert not m[2, :, 2:].any()
        assert not m[2, :, :, 2:].any()
        np.testing.assert_allclose(m, m.conj().swapaxes(-1, -2), atol=1e-14)


@pytest.mark.parametrize(("idle", "chains"), [(False, PORTS.sum() - 1), (True, PORTS.sum())])
def test_consumed_power_charges_everything_once(idle: bool, chains: int) -> None:
    link, state, _, f = network()
    powers = book(problem_of(link, idle_chains=idle), Design(state, jnp.asarray(f)))
    tunable = 2 * 9  # the stack's two layers; digital arrays have none
    fixed = chains * 0.5 + 3 * (10.0 + 2.0) + tunable * 0.005 + 3 * 0.1
    assert float(powers.consumed) == pytest.approx(sent_power(f).sum() / 0.4 + fixed, rel=1e-12)


def test_shared_surface_is_charged_once_a_station_and_by_layers_in_use() -> None:
    stack = even_stack(2, 9, 4, max_layers=4)
    link = Link(
        surfaces=(stack,), channel=jnp.asarray(gaussian(0, 1, 3, 2, 1, 9)), serves=jnp.ones((3, 2), bool),
        ports=jnp.ones((3, 4), bool), noise_power=jnp.asarray(1.0), bandwidth=jnp.asarray(1.0),
        frequencies=jnp.ones(1), weights=jnp.ones(2),
    )  # fmt: skip
    consumption = Consumption.of(per_element=1.0)
    assert float(consumption.fixed(link, jnp.asarray(0.0))) == 3 * 2 * 9


def test_unserved_streams_cost_nothing() -> None:
    link, state, _, f = network()
    louder = f.copy()
    louder[:, ~SERVES] *= 100
    first, second = (book(problem_of(link), Design(state, jnp.asarray(g))).accepted for g in (f, louder))
    np.testing.assert_array_equal(first, second)


def test_score_is_rates_over_consumed_power() -> None:
    link, state, responses, f = network()
    problem = problem_of(link)
    metrics = score(problem, Design(state, jnp.asarray(f)))
    bits = by_definition(link, responses, f).mean(0) * NAT_TO_BIT
    np.testing.assert_allclose(metrics.rates, bits, rtol=1e-11)
    assert float(metrics.sum_rate) == pytest.approx(bits.sum(), rel=1e-11)
    assert float(metrics.energy_efficiency) == pytest.approx(bits.sum() / float(metrics.ledger.consumed), rel=1e-11)
    assert float(metrics.jain) == pytest.approx(bits.sum() ** 2 / (3 * (bits**2).sum()), rel=1e-11)
    assert int(metrics.served) == 3
    assert objective_value(metrics, "sum_rate") is metrics.sum_rate
    assert objective_value(metrics, "energy_efficiency") is metrics.energy_efficiency


def test_weights_bandwidth_and_a_silent_design() -> None:
    link, state, _, f = network()
    weighted = Link(
        **{**{n: getattr(link, n) for n in link.__dataclass_fields__}, "weights": jnp.asarray([2.0, 0.0, 1.0]),
           "bandwidth": jnp.asarray(5.0)}
    )  # fmt: skip
    plain, heavy = (score(problem_of(l), Design(state, jnp.asarray(f))) for l in (link, weighted))
    total = float(2 * plain.rates[0] + plain.rates[2])
    assert float(heavy.sum_rate) == pytest.approx(total, rel=1e-12)
    assert float(heavy.energy_efficiency) == pytest.approx(5 * total / float(plain.ledger.consumed), rel=1e-12)
    silent = score(problem_of(link), Design(state, jnp.zeros_like(jnp.asarray(f))))
    assert float(silent.sum_rate) == 0
    assert float(silent.jain) == 1
    assert float(silent.ledger.accepted.sum()) == 0


def test_passive_stack_never_radiates_more_than_it_accepts() -> None:
    stack = even_stack(3, 16, 4, kernel="band_limited")
    link = Link.broadcast(stack, jnp.asarray(gaussian(0, 2, 1, 16)), noise_power=1.0, bandwidth=1.0, frequency=1.0)
    for seed in range(5):
        design = Design((jnp.asarray(phases(seed, 1, 3, 16)),), jnp.asarray(gaussian(seed, 1, 1, 2, 4, 1)))
        powers = book(problem_of(link), design)
        assert float(powers.lost[0]) > 0
