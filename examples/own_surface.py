"""A surface, a scheme and a figure of one's own, in one file; docs/own-surface.md explains it piece by piece."""

import functools
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from metamimo import Consumption, Design, Limit, Link, Problem, Solution, Status, Surface, UnitModulus, evaluate
from metamimo.batching import map_realisations
from metamimo.channels.rayleigh import correlated_rayleigh, path_gain
from metamimo.conventions import db_to_linear, dbm_to_watt, require_x64
from metamimo.errors import ConfigError
from metamimo.experiments.claims import Claim, is_above
from metamimo.experiments.config import Axis, Experiment, Scenario, SchemeChoice, scenario_at
from metamimo.experiments.study import Study, Variable
from metamimo.experiments.tasks import Task
from metamimo.figures.reproduce import reproduce_study
from metamimo.geometry.planar import grid_positions
from metamimo.geometry.users import annulus_distances
from metamimo.metrics.effective import effective_channel
from metamimo.papers.registry import load, register
from metamimo.physics.patterns import FieldSample, psd_root
from metamimo.precoders.zero_forcing import regularised_zero_forcing
from metamimo.randomness import purpose_key, trial_key
from metamimo.schemes.common import solved, starting_state
from metamimo.schemes.registry import SCHEMES
from metamimo.surfaces.registry import SURFACES

jax.config.update("jax_enable_x64", True)
WAVELENGTH = 0.05
USERS = 2


class SubArrays(Surface):
    """Hybrid array: every RF chain feeds its own group of elements through a divider and lossy phase shifters.

    Signal model: x = diag(state) V a, where column p of V spreads port p over its N / P elements with the amplitude
    sqrt(10^(-IL/10) P / N) each.
    """

    feed: jax.Array
    coupling: jax.Array
    feasible: UnitModulus
    n_ports: int = eqx.field(static=True)
    n_elements: int = eqx.field(static=True)

    @classmethod
    def build(cls, coupling: np.ndarray, *, n_ports: int, insertion_loss_db: float) -> "SubArrays":
        """Make the array from the coupling matrix of its elements; a group is a run of consecutive elements."""
        require_x64("SubArrays")
        n = len(coupling)
        if n % n_ports:
            raise ConfigError(f"n_ports: must divide the {n} elements into equal groups, got {n_ports}")
        size = n // n_ports
        feed = np.kron(np.eye(n_ports), np.full((size, 1), (db_to_linear(-insertion_loss_db) / size) ** 0.5))
        return cls(jnp.asarray(feed, complex), jnp.asarray(coupling)[None], UnitModulus(shape=(n,)), n_ports, n)

    @classmethod
    def example(cls) -> "SubArrays":
        """Return the small instance that the conformance suite runs on."""
        return sub_arrays(n_elements=16, n_ports=4, insertion_loss_db=1.5)

    def response(self, state: jax.Array) -> jax.Array:
        """Return A(state), shape (1, element, port)."""
        return (state[:, None] * self.feed)[None]


def sub_arrays(n_elements: int, n_ports: int, insertion_loss_db: float) -> SubArrays:
    """Return the array on a half-wave grid of elements that are samples of the field."""
    positions = grid_positions(n_elements, WAVELENGTH / 2)
    coupling = FieldSample(area=(WAVELENGTH / 2) ** 2).coupling(positions, WAVELENGTH)
    return SubArrays.build(coupling, n_ports=n_ports, insertion_loss_db=insertion_loss_db)


SURFACES.register("sub-arrays", f"{__name__}:SubArrays")


def check(surface: Surface) -> None:
    """Check what every surface promises, on a random state."""
    keys = jax.random.split(jax.random.key(0), 3)
    state = surface.feasible.random(keys[0])
    assert bool(surface.feasible.contains(state))

    # The thin product is the product with the response.
    rows = jax.random.normal(keys[1], (1, 3, surface.n_elements), complex)
    response = np.asarray(surface.response(state))
    product, kept = surface.rows_forward(state, rows)
    np.testing.assert_allclose(product, np.asarray(rows) @ response, atol=1e-12)

    # Its derivative is that of finite differences.
    cotangent = jax.random.normal(keys[2], product.shape, complex)
    gradient = surface.rows_backward(state, kept, cotangent)
    step = 1e-6 * jax.random.normal(keys[0], state.shape, complex)
    ahead, behind = (surface.apply_rows(state + sign * step, rows) for sign in (1, -1))
    np.testing.assert_allclose((cotangent * (ahead - behind)).sum() / 2, (gradient * step).sum(), rtol=1e-6)

    # It radiates A^H C A, and no more than it accepts.
    accepted, radiated = (np.asarray(surface.power_matrix(state, kind))[0] for kind in ("accepted", "radiated"))
    expected = response[0].conj().T @ np.asarray(surface.coupling[0]) @ response[0]
    np.testing.assert_allclose(radiated, expected, atol=1e-12)
    assert np.linalg.eigvalsh(accepted - radiated).min() >= -1e-9


def random_state_rzf(problem: Problem, *, key: jax.Array, start: Design | None = None) -> Solution:
    """Draw a random state and use all power for regularised zero-forcing."""
    power = problem.broadcast_limit("random-state-rzf")  # refuses problems that are more general than the scheme
    state = starting_state(problem, key, start)
    h = effective_channel(problem.link, (state[None],))[0, 0] / jnp.sqrt(problem.link.noise_power)
    precoder = regularised_zero_forcing(h, power)
    nothing = jnp.zeros(1)  # no iterations, so no history beyond the value that `solved` computes
    done = solved(problem, state, precoder, nothing, jnp.asarray(Status.CONVERGED), jnp.asarray(0), jnp.asarray(1))
    return eqx.tree_at(lambda s: s.history, done, done.value[None])


SCHEMES.register("random-state-rzf", f"{__name__}:random_state_rzf")


class SubArrayCell(Scenario):
    """Parameters; a traced field can be swept without another compilation."""

    n_elements: int = Field(default=16, ge=1)
    n_ports: int = Field(default=4, ge=1)
    power_dbm: float = Field(default=30.0, json_schema_extra={"unit": "dBm", "traced": True})
    insertion_loss_db: float = Field(default=1.5, ge=0, json_schema_extra={"unit": "dB", "traced": True})


def draw_problem(surface: Surface, root: jax.Array, power: jax.Array, key: jax.Array) -> Problem:
    """Draw one realisation from the key of its trial: users first, then fading, whatever the surface is."""
    distance = annulus_distances(purpose_key(key, "users"), USERS, 100.0, 200.0)
    gain = path_gain(distance, WAVELENGTH, exponent=3.5)
    channel = correlated_rayleigh(purpose_key(key, "fading"), gain, 1, root)
    return Problem(
        link=Link.broadcast(surface, channel, noise_power=dbm_to_watt(-94.0), bandwidth=20e6, frequency=6e9),
        limits=(Limit(power[None]),),
        consumption=Consumption.of(per_chain=0.5, static=10.0, per_element=5e-3),
        min_rate=jnp.zeros(USERS),
    )


@functools.cache
def program(scheme: str) -> Callable[..., dict[str, jax.Array]]:
    """Return the compiled chunk of one scheme."""

    def chunk(surface: Surface, root: jax.Array, power: jax.Array, seed: jax.Array, trials: jax.Array) -> dict:
        def one(trial: jax.Array) -> dict[str, jax.Array]:
            key = trial_key(seed, trial)
            problem = draw_problem(surface, root, power, key)
            solution = SCHEMES.get(scheme)(problem, key=key)
            scored = evaluate(problem, solution.design)
            return {
                "energy_efficiency": scored.energy_efficiency * 1e-6,
                "rate": scored.rates,
                "radiated": scored.ledger.radiated.sum(),
                "status": solution.status,
            }

        return map_realisations(one, trials)

    return jax.jit(chunk)


def compute(experiment: Experiment, task: Task) -> dict[str, np.ndarray]:
    """Return the numbers of one task, with a leading axis of `task.count` realisations."""
    cell = scenario_at(experiment, task.index)
    assert isinstance(cell, SubArrayCell)
    surface = sub_arrays(cell.n_elements, cell.n_ports, cell.insertion_loss_db)
    root = jnp.asarray(psd_root(np.asarray(surface.coupling[0])))
    power = jnp.asarray(dbm_to_watt(cell.power_dbm))
    # The last chunk is padded, so that one program serves all chunks and gives the same bits.
    trials = np.minimum(task.first + np.arange(task.chunk), task.first + task.count - 1)
    run = program(experiment.schemes[task.scheme].scheme)
    out = jax.device_get(run(surface, root, power, jnp.asarray(experiment.seed), jnp.asarray(trials)))
    return {name: np.asarray(values)[: task.count] for name, values in out.items()}


def loss_figure(mode: str) -> Study:
    """Return the figure: energy efficiency against the loss of the phase shifters."""
    losses = (0.0, 1.0, 2.0, 3.0) if mode == "full" else (0.0, 3.0)
    checks = (
        Claim(
            "tuned",
            "a tuned state beats a random one at every loss",
            "> 0",
            is_above("energy_efficiency", "tuned", "random", [{"insertion_loss_db": loss} for loss in losses]),
        ),
    )
    experiment = Experiment(
        name="own/loss",
        title="Sub-arrays: energy efficiency against insertion loss",
        scenario=SubArrayCell(),
        axes=(Axis(name="insertion_loss_db", values=losses, label="Insertion loss"),),
        schemes=(
            SchemeChoice(label="tuned", scheme="sim-lp"),  # made for stacked surfaces, runs on this one unchanged
            SchemeChoice(label="random", scheme="random-state-rzf"),
        ),
        trials=50 if mode == "full" else 4,
        chunk=10 if mode == "full" else 4,
        claims=tuple(claim.id for claim in checks),
    )
    return Study(
        experiment=experiment,
        compute=compute,
        variables=(
            Variable("energy_efficiency", unit="Mbit/J", long_name="Energy efficiency"),
            Variable("rate", dims=("user",), unit="bit/s/Hz", long_name="Rate of each user"),
            Variable("radiated", unit="W", long_name="Radiated power"),
            Variable("status", dtype="int32", long_name="Status (0: converged)"),
        ),
        sizes={"user": USERS},
        headline="energy_efficiency",
        claims=checks,
    )


register("own/loss", __name__, "loss_figure", "Sub-arrays: energy efficiency against insertion loss")


def main() -> None:
    """Check the surface and make the figure at quick size."""
    check(SURFACES.get("sub-arrays").example())
    with TemporaryDirectory() as folder:
        done = reproduce_study(load("own/loss", "quick"), Path(folder))
        assert done.results is not None
        curves = done.results.curves("energy_efficiency")
        print(curves["mean"].to_series().unstack().round(2))
        (claim,) = done.claims
        print(f"{claim.claim.text}: {claim.verdict.holds}, {claim.verdict.note}")
        assert claim.verdict.holds


if __name__ == "__main__":
    main()
