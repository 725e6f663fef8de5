"""The cell-free scheme over real processes: the same iterates, counted messages, lost stations."""

import contextlib
import dataclasses
import functools
import os
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cell_free_problems import cell_free

from metamimo.channels.csi import FreshEstimates
from metamimo.errors import ConfigError, MetamimoError
from metamimo.metrics.evaluate import evaluate
from metamimo.problem import Status
from metamimo.schemes.cell_free_joint import cell_free_joint
from metamimo.schemes.distributed import run_distributed
from metamimo.schemes.messages import Traffic, central_numbers, exchange_numbers, quantised
from metamimo.schemes.station_descent import DescendingStation
from metamimo.schemes.station_process import StationProcess
from metamimo.schemes.stochastic_sca import ssca

KEY = jax.random.key(8)
STATIONS, FREQ, USERS, ITERATIONS = 4, 2, 2, 6
OPTIONS = {"first_precoder": "own", "max_iterations": ITERATIONS, "tolerance": 0.0}


def problem(sampled=False):
    p = cell_free(5, stations=STATIONS, users=USERS, freq=FREQ, power=5.0)
    return dataclasses.replace(p, csi=FreshEstimates(p.link.channel, jnp.asarray(0.1))) if sampled else p


@functools.cache
def here(sampled=False):
    return run_distributed(problem(sampled), key=KEY, client="here", **OPTIONS)


@pytest.fixture(scope="module")
def workers():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=STATIONS,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def expected(form, exchanges):
    numbers = exchanges * exchange_numbers(form, stations=STATIONS, freq=FREQ, users=USERS)
    return Traffic(numbers, 128 * numbers)


@pytest.mark.parametrize("sampled", [False, True])
def test_stations_on_their_own_follow_the_single_program(sampled):
    """Check 16: local data and summed amplitudes are enough, and messages are counted."""
    p = problem(sampled)
    one = jax.jit(lambda p: ssca(p, key=KEY, **OPTIONS))(p)
    many = here(sampled)
    np.testing.assert_allclose(many.solution.history, one.history, rtol=1e-12)
    np.testing.assert_allclose(many.solution.design.precoder, one.design.precoder, atol=1e-11)
    np.testing.assert_allclose(many.solution.design.state[0], one.design.state[0], atol=1e-11)
    np.testing.assert_allclose(many.solution.rates, one.rates, rtol=1e-6)
    assert many.exchanges == int(one.trials)
    assert many.traffic == expected("cpu", many.exchanges)
    assert int(many.solution.status) == Status.ITERATION_LIMIT


def test_processes_that_add_in_the_same_order_give_the_same_bits(workers):
    report = run_distributed(problem(), key=KEY, client=workers, **OPTIONS)
    for a, b in zip(jax.tree.leaves(report.solution), jax.tree.leaves(here().solution), strict=True):
        np.testing.assert_array_equal(a, b)
    assert report.traffic == expected("cpu", report.exchanges)
    assert report.returned.numbers * 2 == report.traffic.numbers
    assert len({traffic.numbers for traffic in report.sent}) == 1


def test_a_ring_gives_the_same_design_with_fewer_messages(workers):
    report = run_distributed(problem(True), key=KEY, client=workers, form="ring", **OPTIONS)
    np.testing.assert_allclose(report.solution.history, here(True).solution.history, rtol=1e-11)
    np.testing.assert_allclose(report.solution.rates, here(True).solution.rates, rtol=1e-6)
    assert report.exchanges == ITERATIONS + 1
    assert report.traffic == expected("ring", report.exchanges)
    assert report.returned == Traffic()


PRODUCTS = 27
"""Complex numbers that carry the inner products of an iteration of L-BFGS."""
DESCENT = OPTIONS | {"safeguard": False, "joint_iterations": 12}


def of_equal_budgets():
    p = problem()
    return dataclasses.replace(p, limits=(dataclasses.replace(p.limits[0], power=jnp.full(STATIONS, 5.0)),))


@functools.cache
def descent_here():
    return run_distributed(of_equal_budgets(), key=KEY, client="here", **DESCENT)


def test_descending_stations_follow_the_single_program():
    p = of_equal_budgets()
    one = jax.jit(
        lambda p: cell_free_joint(p, key=KEY, first_precoder="own", first_steps=ITERATIONS, max_iterations=12)
    )(p)
    many = descent_here()
    np.testing.assert_allclose(many.solution.history, one.history, rtol=1e-8)
    np.testing.assert_allclose(many.solution.rates, one.rates, rtol=1e-6)
    assert many.exchanges == int(one.trials)
    assert int(many.solution.iterations) == int(one.iterations) == ITERATIONS + 12
    amplitudes, products = expected("cpu", many.exchanges), 12 * 2 * STATIONS * PRODUCTS
    assert many.traffic == Traffic(amplitudes.numbers + products, amplitudes.bits + 128 * products)
    assert float(many.solution.value) > float(here().solution.value)


def test_descending_processes_give_the_same_bits(workers):
    report = run_distributed(of_equal_budgets(), key=KEY, client=workers, **DESCENT)
    for a, b in zip(jax.tree.leaves(report.solution), jax.tree.leaves(descent_here().solution), strict=True):
        np.testing.assert_array_equal(a, b)
    assert report.traffic == descent_here().traffic


def test_a_ring_descends_as_well(workers):
    report = run_distributed(of_equal_budgets(), key=KEY, client=workers, form="ring", **DESCENT)
    np.testing.assert_allclose(report.solution.history, descent_here().solution.history, rtol=1e-7)
    amplitudes, products = expected("ring", report.exchanges).numbers, 12 * 2 * (STATIONS - 1) * PRODUCTS
    assert report.traffic.numbers == amplitudes + products


def prepared(workers, trap, *arguments):
    """Set a trap on all workers, once as many live as are needed."""
    for _ in range(100):
        # The scheduler hears late of a worker that died in the case before, and a new one takes its time.
        with contextlib.suppress(OSError):
            workers.wait_for_workers(STATIONS, timeout=60)
            workers.run(trap, *arguments)
            return
        time.sleep(0.1)


def _die_at_a_turn(number, last):
    """Let the station of this process end it in an iteration of L-BFGS."""
    plain, turns = DescendingStation.turn, iter(range(100))

    def deadly(self):
        if self._number == number and next(turns) == last:
            os._exit(1)
        return plain(self)

    DescendingStation.turn = deadly


def test_the_others_descend_without_a_station_that_dies(workers):
    prepared(workers, _die_at_a_turn, 2, 4)
    report = run_distributed(of_equal_budgets(), key=KEY, client=workers, on_failure="continue", **DESCENT)
    assert [(f.station, f.iteration) for f in report.failures] == [(2, ITERATIONS + 4)]
    history, whole = np.asarray(report.solution.history), np.asarray(descent_here().solution.history)
    np.testing.assert_allclose(history[: ITERATIONS + 4], whole[: ITERATIONS + 4], rtol=1e-10)
    assert history[ITERATIONS + 4] < whole[ITERATIONS + 4]
    assert (np.diff(history[ITERATIONS + 4 :]) >= 0).all()
    assert len(history) == len(whole)
    silent = ~np.asarray(report.solution.design.precoder).any((0, 2, 3, 4))
    np.testing.assert_array_equal(silent, [False, False, True, False])


def _die_in_iteration(number, last):
    """Let the station of this process end it, the hard way."""
    plain = StationProcess.aim

    def deadly(self, t):
        if t == last and self._number == number:
            os._exit(1)
        return plain(self, t)

    StationProcess.aim = deadly


@pytest.mark.parametrize(("form", "on_failure"), [("cpu", "raise"), ("ring", "continue")])
def test_a_station_that_dies_is_named_or_left_behind(workers, form, on_failure):
    prepared(workers, _die_in_iteration, 2, 3)

    def attempt():
        return run_distributed(problem(), key=KEY, client=workers, form=form, on_failure=on_failure, **OPTIONS)

    if on_failure == "raise":
        with pytest.raises(MetamimoError, match=r"lost in iteration 3: station 2 .*on_failure='continue'"):
            attempt()
        return
    report = attempt()
    assert [(f.station, f.iteration) for f in report.failures] == [(2, 3)]
    history = np.asarray(report.solution.history)
    np.testing.assert_allclose(history[:3], np.asarray(here().solution.history)[:3], rtol=1e-11)
    assert history[3] < history[2]
    assert (np.diff(history[3:]) >= 0).all()
    design = report.solution.design
    silent = ~np.asarray(design.precoder).any((0, 2, 3, 4))
    np.testing.assert_array_equal(silent, [False, False, True, False])
    assert float(report.solution.value) == pytest.approx(float(evaluate(problem(), design).sum_rate), rel=1e-12)


def test_fewer_bits_a_message_cost_rate():
    values = {}
    for bits in (3, 6, 16):
        report = run_distributed(problem(True), key=KEY, client="here", bits=bits, **OPTIONS)
        values[bits] = float(report.solution.value)
        messages = 2 * STATIONS * report.exchanges
        assert report.traffic.bits == messages * (2 * bits * FREQ * USERS**2 + 64)
    whole = float(here(True).solution.value)
    assert values[3] < values[6] < whole * 1.01
    assert values[16] == pytest.approx(whole, rel=1e-3)


def test_counts_of_the_specification_and_the_quantiser():
    """Check 16, with the counters of the runs above."""
    sizes = {"stations": 4, "freq": 16, "users": 4}
    assert exchange_numbers("cpu", **sizes) == 2 * 4 * 256
    assert exchange_numbers("ring", **sizes) == 2 * 3 * 256
    assert exchange_numbers("mesh", **sizes) == 4 * 3 * 256
    assert central_numbers(**sizes, elements=64, ports=4) == 4 * (4096 + 256) + 128
    z = np.random.default_rng(0).normal(size=(3, 2, 2)) + 1j
    np.testing.assert_array_equal(quantised(z, None), z)
    for bits in (2, 8, 20):
        step = max(abs(z.real).max(), 1) / (2 ** (bits - 1) - 1)
        rounded = quantised(z, bits)
        assert abs((rounded - z).real).max() <= step * 0.5000001
        np.testing.assert_allclose(quantised(rounded, bits), rounded, rtol=1e-14)
    np.testing.assert_array_equal(quantised(0 * z, 4), 0 * z)


def test_what_cannot_run_is_refused():
    class Few:
        def scheduler_info(self, n_workers):
            return {"workers": {"tcp://127.0.0.1:1": {}}}

    cases: list[tuple[dict[str, Any], str]] = [
        ({"form": "mesh"}, "form: must be one of cpu, ring, got 'mesh'"),
        ({"on_failure": "ignore"}, "on_failure: must be one of raise, continue"),
        ({"bits": 1}, "bits: a real needs at least 2, got 1"),
        ({"joint_iterations": -1}, "joint_iterations: must not be negative, got -1"),
        ({"form": "ring"}, "form: stations in this process have no ring"),
        ({"client": Few()}, "client: needs a worker for each of 4 stations, has 1"),
    ]
    for options, message in cases:
        wanted: dict[str, Any] = {"client": "here"} | OPTIONS | options
        with pytest.raises(ConfigError, match=message):
            run_distributed(problem(), key=KEY, **wanted)
