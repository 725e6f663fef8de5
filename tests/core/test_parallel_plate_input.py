"""Parallel-plate antenna: what problems may ask of ports that carry currents, and what is refused."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import gaussian

from metamimo.conventions import SPEED_OF_LIGHT
from metamimo.errors import ConfigError, ShapeError
from metamimo.geometry.planar import feed_line, grid_positions
from metamimo.metrics.power import ledger
from metamimo.problem import Consumption, Design, Limit, Link, Problem
from metamimo.surfaces.feasible import UnitModulus
from metamimo.surfaces.parallel_plate import ParallelPlateDMA
from metamimo.surfaces.resonance import ResonanceStrength

RESONANCE, HEIGHT = 10.1e9, 5e-3
WAVELENGTH = SPEED_OF_LIGHT / 10e9
FREQUENCIES = np.array([9.97e9, 10.01e9])


def antenna(**changes) -> ParallelPlateDMA:
    options = {"frequencies": FREQUENCIES, "resonance": RESONANCE, "height": HEIGHT} | changes
    return ParallelPlateDMA.on_grid(8, 3, WAVELENGTH / 4, **options)


def test_ledger_counts_what_the_feeds_accept() -> None:
    surface, f = antenna(loss=0.1), gaussian(10, 2, 1, 2, 3, 1)
    state = surface.feasible.random(jax.random.key(0), (1,))
    problem = problem_of(surface, Limit(jnp.ones(1), "port"))
    entries = jax.jit(ledger)(problem, Design((state,), jnp.asarray(f)))
    powers = jax.device_get(jax.jit(lambda x: surface.powers(x))(state[0]))

    def total(m: np.ndarray) -> float:
        return sum((f[k, 0, u, :, 0].conj() @ m[k] @ f[k, 0, u, :, 0]).real for k in range(2) for u in range(2))

    assert float(entries.accepted[0]) == pytest.approx(total(powers.accepted), rel=1e-12)
    assert float(entries.lost[0]) == pytest.approx(total(powers.guided + powers.absorbed), rel=1e-9)


def problem_of(surface: ParallelPlateDMA, limit: Limit) -> Problem:
    link = Link(
        surfaces=(surface,),
        channel=jnp.asarray(gaussian(11, 2, 1, 2, 1, 8)),
        serves=jnp.ones((1, 2), bool),
        ports=jnp.ones((1, 3), bool),
        noise_power=jnp.ones(()),
        bandwidth=jnp.ones(()),
        frequencies=jnp.asarray(FREQUENCIES),
        weights=jnp.ones(2),
    )
    return Problem(link, (limit,), Consumption.of(), jnp.zeros(2), objective="sum_rate")


def test_currents_are_not_taken_for_waves() -> None:
    with pytest.raises(
        ConfigError, match="limits: a single port has an accepted power of its own where ports are waves"
    ):
        problem_of(antenna(), Limit(jnp.ones((1, 3)), "accepted"))
    channel = jnp.asarray(gaussian(0, 2, 1, 8))
    link = Link.broadcast(antenna(frequencies=FREQUENCIES[:1]), channel, noise_power=1.0, bandwidth=1.0, frequency=1e10)
    problem = Problem(link, (Limit(jnp.ones(1), "port"),), Consumption.of(), jnp.zeros(2))
    with pytest.raises(ConfigError, match="those of ParallelPlateDMA carry currents"):
        problem.broadcast_limit("sim-lp")
    ports = problem_of(antenna(), Limit(jnp.full((1, 3), 2.0), "port"))
    assert ports.limits[0].counts_waves


# Bad input.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"resonance": 9.99e9},
            r"resonance: must lie outside of the band 9\.97e\+09 to 1\.001e\+10 Hz.*got 9\.99e\+09",
        ),
        ({"resonance": -1.0}, "resonance: must be positive and finite"),
        ({"resonance": float("nan")}, "resonance: must be positive and finite"),
        ({"frequencies": np.array([1e10, np.nan])}, "frequencies: must be positive and finite"),
        ({"frequencies": np.array([])}, "frequencies: must be positive and finite"),
        ({"height": 0.0}, "height: must be positive and finite, got 0"),
        ({"height": 0.015}, "height: the guide carries one mode below half a wavelength"),
        ({"carrier": float("inf")}, "carrier: must be positive and finite"),
        ({"wire_radius": -1e-4}, "wire_radius: must be positive and finite"),
        ({"guide_modes": -1}, "guide_modes: must not be negative, got -1"),
        ({"loss": -0.1}, "loss: must not be negative"),
        ({"slots": grid_positions(4, WAVELENGTH / 9)}, "slots: must be at least .* m apart with guide_modes=0"),
        (
            {"slots": np.zeros((2, 3)), "guide_modes": 2},
            "slots: must be at least 0 m apart with guide_modes=2, got 0 m",
        ),
        ({"slots": grid_positions(4, 0.0075, 1.0)}, "slots: needs at least one finite position in the plane z = 0"),
        ({"slots": np.full((1, 3), np.nan)}, "slots: needs at least one finite position"),
        ({"feeds": np.zeros((0, 3))}, "feeds: needs at least one finite position"),
        (
            {"feeds": grid_positions(4, 0.0075)[:1]},
            "feeds: must be farther than the wire radius 0.0001 m from every slot",
        ),
        ({"feeds": grid_positions(4, 0.0075)[:1] + np.eye(3)[:1] * 5e-5}, "from every slot, got 5e-05 m"),
        ({"feeds": np.zeros((2, 3))}, "from every feed, got 0 m"),
    ],
    ids=str,
)
def test_impossible_antennas_are_refused(changes: dict, message: str) -> None:
    given = {"slots": grid_positions(4, 0.0075), "feeds": np.zeros((1, 3)), "frequencies": FREQUENCIES}
    given |= {"resonance": RESONANCE, "height": HEIGHT} | changes
    with pytest.raises(ConfigError, match=message):
        ParallelPlateDMA.build(given.pop("slots"), given.pop("feeds"), **given)


def test_unfit_parts_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"feasible: must hold states of shape \(8,\), got \(4,\)"):
        antenna(feasible=UnitModulus((4,)))
    unchecked = inspect.unwrap(ParallelPlateDMA.build.__func__)  # the run-time type check would answer first
    slots, feeds = grid_positions(4, 0.0075), np.zeros((1, 3))
    with pytest.raises(ShapeError, match=r"resonance: must be one number or one a slot, got shape \(3,\)"):
        unchecked(
            ParallelPlateDMA, slots, feeds, frequencies=FREQUENCIES, resonance=np.full(3, RESONANCE), height=HEIGHT
        )
    for spacing in (0.0, float("nan")):
        with pytest.raises(ConfigError, match="spacing: must be positive and finite"):
            ParallelPlateDMA.on_grid(8, 3, spacing, frequencies=FREQUENCIES, resonance=RESONANCE, height=HEIGHT)
    with pytest.raises(ConfigError, match="count: a line needs at least 1 feed, got 0"):
        inspect.unwrap(feed_line)(0, 8, 0.0075)


def test_box_of_both_signs() -> None:
    both = ResonanceStrength((2,), most=3.0, allow_negative=True)
    assert both.project(jnp.array([-7.0, 2.0])).tolist() == [-3.0, 2.0]
    np.testing.assert_allclose(both.from_real(both.to_real(jnp.array([-3.0, 2.0]))), [-3, 2], rtol=1e-12)
    assert float(both.random(jax.random.key(0), (20,)).min()) < -1
    assert not bool(ResonanceStrength((1,)).contains(jnp.array([-0.1])))
    for most in (0.0, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match="most: must be positive and finite"):
            ResonanceStrength((2,), most=most)
