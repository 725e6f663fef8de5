"""Selection of RF chains at a fixed effective channel, against brute force over all subsets."""

from collections.abc import Iterator
from functools import partial
from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metamimo.precoders.chain_selection import (
    METHODS,
    ChainSelection,
    backward_elimination,
    greedy_elimination,
    selection_stage,
    smooth_selection,
)
from metamimo.precoders.sca import sca_precoder

USERS, PORTS = 3, 5
LEAST = 0.35
ROUNDING = 1e-6
DRAWS = 5


def draw(seed: int, users: int = USERS, ports: int = PORTS) -> tuple[np.ndarray, np.ndarray]:
    """Channel and regularised zero-forcing."""
    rng = np.random.default_rng(seed)
    a = (rng.standard_normal((users, ports)) + 1j * rng.standard_normal((users, ports))) * np.sqrt(500)
    w = a.conj() @ np.linalg.inv(a.T @ a.conj() + users * np.eye(ports))
    return a, w * np.sqrt(0.9 / users) / np.linalg.norm(w, axis=1, keepdims=True)


def limits(users: int = USERS, ports: int = PORTS, **changes: Any) -> dict[str, Any]:
    numbers = {"fixed": 0.5, "per_chain": 0.14, "sum_limit": 1.0, "port_limits": np.full(ports, 0.5)}
    return {**numbers, "min_rate": np.full(users, LEAST), **changes}


def subsets() -> Iterator[np.ndarray]:
    for chains in range(USERS, PORTS + 1):
        for chosen in combinations(range(PORTS), chains):
            yield np.isin(np.arange(PORTS), chosen)


def energy_efficiency(a: np.ndarray, w: Any, chains: int) -> float:
    f = np.abs(a @ np.asarray(w).T) ** 2
    rate = np.log1p(np.diagonal(f) / (f.sum(1) - np.diagonal(f) + 1)).sum()
    return rate / (0.5 + 0.14 * chains + (np.abs(np.asarray(w)) ** 2).sum())


@pytest.fixture(scope="module")
def against_brute_force() -> dict[str, np.ndarray]:
    """Energy efficiency of every method over that of the best subset."""
    found: dict[str, list[float]] = {name: [] for name in METHODS}
    for seed in range(DRAWS):
        a, w = draw(seed)
        tried = [sca_precoder(a, np.where(active, w, 0), **limits(), active=active) for active in subsets()]
        best = max(float(result.history[-1]) for result in tried if result.feasible)
        for name, method in METHODS.items():
            result = method(partial(sca_precoder, a, **limits()), w, np.ones(PORTS, bool))
            assert result.feasible
            assert result.value == pytest.approx(energy_efficiency(a, result.w, int(result.active.sum())), rel=1e-9)
            found[name].append(float(result.value) / best)
    return {name: np.array(ratios) for name, ratios in found.items()}


def test_backward_elimination_is_close_to_brute_force(against_brute_force: dict[str, np.ndarray]) -> None:
    assert against_brute_force["backward"].mean() >= 0.98
    assert against_brute_force["backward"].min() >= 0.95


def test_greedy_elimination_is_within_one_percent_of_brute_force(against_brute_force: dict[str, np.ndarray]) -> None:
    assert against_brute_force["greedy"].min() >= 0.99


def test_smooth_selection_is_weaker_but_not_far(against_brute_force: dict[str, np.ndarray]) -> None:
    assert against_brute_force["smooth"].min() >= 0.85
    assert against_brute_force["smooth"].mean() <= against_brute_force["backward"].mean()


@pytest.mark.parametrize("method", METHODS.values())
def test_off_means_exactly_zero_and_enough_chains_stay_on(method: Any) -> None:
    a, w = draw(7)
    usable = np.array([True, True, False, True, True])
    result = method(partial(sca_precoder, a, **limits(per_chain=2.0)), w, usable)
    active = np.asarray(result.active)
    assert active.sum() >= USERS
    assert not (active & ~usable).any()
    assert (np.asarray(result.w)[:, ~active] == 0).all()
    assert (np.abs(np.asarray(result.w)[:, active]).sum(0) > 0).all()
    ports = (np.abs(np.asarray(result.w)) ** 2).sum(0)
    assert ports.sum() <= 1 + ROUNDING
    assert (ports <= 0.5 * (1 + ROUNDING)).all()


@pytest.mark.parametrize("method", METHODS.values())
def test_never_worse_than_all_chains(method: Any) -> None:
    a, w = draw(8)
    everything = sca_precoder(a, w, **limits(), active=np.ones(PORTS, bool))
    selected = method(partial(sca_precoder, a, **limits()), w, np.ones(PORTS, bool))
    assert selected.value >= float(everything.history[-1]) * (1 - 1e-3)


@pytest.mark.parametrize("method", METHODS.values())
def test_free_chains_all_stay_on(method: Any) -> None:
    a, w = draw(9)
    result = method(partial(sca_precoder, a, **limits(per_chain=0.0)), w, np.ones(PORTS, bool))
    assert result.active.all()


def test_useless_chain_is_switched_off_by_the_indicators() -> None:
    a, w = draw(10)
    a[:, 2] *= 1e-4
    for indicator in ("log", "ratio", "exp"):
        result = smooth_selection(partial(sca_precoder, a, **limits()), w, np.ones(PORTS, bool), indicator=indicator)
        assert not result.active[2]


def test_smooth_selection_tops_up_to_one_chain_a_user() -> None:
    """Two users hear two antennas only; the third chain that they need by the rule is the strongest of the rest."""
    a, w = draw(11)
    a[:, 2:] *= 1e-5
    result = smooth_selection(partial(sca_precoder, a, **limits(min_rate=np.zeros(3))), w, np.ones(PORTS, bool))
    assert result.active.sum() == USERS
    assert result.active[:2].all()


def test_no_more_ports_than_users_means_no_choice() -> None:
    a, w = draw(12, ports=3)
    for method in METHODS.values():
        solve = partial(sca_precoder, a, **limits(ports=3))
        assert method(solve, w, np.ones(3, bool)).active.all()


def test_every_number_of_chains_is_reported() -> None:
    a, w = draw(13)
    result = backward_elimination(partial(sca_precoder, a, **limits()), w, np.ones(PORTS, bool))
    values = np.asarray(result.values)
    assert np.isnan(values).tolist() == [True, True, True, False, False, False]
    assert np.nanmax(values) == result.value
    assert np.nanargmax(values) == result.active.sum()


def test_feasible_beats_efficient() -> None:
    """With a least rate that only many chains reach, fewer chains are no result, however efficient."""
    a, w = draw(14)
    given = limits(per_chain=0.5, min_rate=np.full(USERS, 6.0))
    every = [sca_precoder(a, np.where(active, w, 0), **given, active=active) for active in subsets()]
    assert any(result.feasible for result in every)
    assert not all(result.feasible for result in every)
    found = greedy_elimination(partial(sca_precoder, a, **given), w, np.ones(PORTS, bool))
    assert found.feasible
    values = np.asarray(found.values)
    assert found.value == np.nanmax(values)


def test_out_of_reach_is_reported() -> None:
    a, w = draw(15)
    solve = partial(sca_precoder, a, **limits(min_rate=np.full(USERS, 15.0)))
    result = backward_elimination(solve, w, np.ones(PORTS, bool))
    assert not result.feasible
    assert np.isfinite(result.w).all()
    assert np.isnan(result.values).all()


@pytest.mark.parametrize("method", METHODS)
def test_stage_is_the_host_function(method: Any) -> None:
    a, w = draw(16, 2, 3)
    given = limits(2, 3)

    def one(a: jax.Array, w: jax.Array) -> ChainSelection:
        arrays = {name: jnp.asarray(value) for name, value in given.items()}
        return selection_stage(a, w, **arrays, active=jnp.ones(3, bool), method=method)

    got = jax.jit(lambda a, w: jax.lax.map(lambda x: one(*x), (a, w)))(a[None], w[None])
    alone = METHODS[method](partial(sca_precoder, a, **given), w, np.ones(3, bool))
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x[0], y), got, alone)
