"""What solvers see and return: borders that name what is wrong, messages, one readable screen."""

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import broadcast_link, even_stack, gaussian

from metamimo.errors import ConfigError, ShapeError
from metamimo.problem import Consumption, Design, Ledger, Limit, Link, Problem, Solution, Status, to_bits

LINK = broadcast_link(even_stack(2, 9, 4))


def problem(**changes) -> Problem:
    fields = {
        "link": LINK,
        "limits": (Limit(jnp.asarray([2.0])),),
        "consumption": Consumption.of(),
        "min_rate": jnp.zeros(2),
    }
    return Problem(**{**fields, **changes})


WITHOUT_TYPE_CHECKS = """
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_enable_x64", True)
from metamimo.errors import ShapeError
from metamimo.problem import Link
from metamimo.surfaces.digital import FullyDigital
from metamimo.surfaces.stacked import StackedSurface

array = FullyDigital.build(np.eye(4))
good = dict(surfaces=(array,), channel=jnp.ones((1, 2, 3, 1, 4), complex), serves=jnp.ones((2, 3), bool),
            ports=jnp.ones((2, 4), bool), noise_power=jnp.asarray(1.0), bandwidth=jnp.asarray(1.0),
            frequencies=jnp.ones(1), weights=jnp.ones(3))
Link(**good)
stack = dict(first=np.ones((4, 2), complex), hops=np.zeros((1, 4, 4), complex), coupling=np.eye(4), n_layers=2)
StackedSurface(**stack)
cases = [
    (Link, good, "serves", jnp.ones((3, 2), bool)),
    (Link, good, "ports", jnp.ones((2, 5), bool)),
    (Link, good, "frequencies", jnp.ones(2)),
    (Link, good, "weights", jnp.ones(2)),
    (Link, good, "surfaces", (array,) * 3),
    (Link, good, "channel", jnp.ones((1, 2, 3, 1, 5), complex)),
    (StackedSurface, stack, "hops", np.zeros((1, 3, 4), complex)),
    (StackedSurface, stack, "coupling", np.eye(3)),
]
for maker, fields, name, value in cases:
    try:
        maker(**{**fields, name: value})
    except ShapeError as error:
        assert str(error).startswith(f"{name}: ") and "got" in str(error), f"{name}: {error}"
    else:
        raise SystemExit(f"{maker.__name__} took a wrong {name}")
"""


def test_arrays_that_do_not_fit_are_named() -> None:
    """In a process of its own: the run-time type check of the test suite would answer first."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_TYPE_CHECKS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_channel_must_match_the_largest_surface() -> None:
    with pytest.raises(ShapeError, match=r"channel: must have 9 elements.*got 8"):
        Link.broadcast(
            even_stack(2, 9, 4), jnp.asarray(gaussian(0, 2, 1, 8)), noise_power=1.0, bandwidth=1.0, frequency=1.0
        )


def test_sum_limit_of_a_plain_problem() -> None:
    assert float(problem().broadcast_limit("x")) == 2.0


@pytest.mark.parametrize(
    "limits",
    [
        (),
        (Limit(jnp.ones(1)), Limit(jnp.ones(1))),
        (Limit(jnp.ones((1, 4))),),
        (Limit(jnp.ones(1), kind="radiated"),),
    ],
)
def test_scheme_refuses_limits_that_it_would_ignore(limits: tuple[Limit, ...]) -> None:
    with pytest.raises(ConfigError, match=r"^limits: sim-lp takes one sum limit on accepted power"):
        problem(limits=limits).broadcast_limit("sim-lp")


def test_scheme_refuses_more_stations_or_subcarriers() -> None:
    link = Link(
        surfaces=LINK.surfaces, channel=jnp.asarray(gaussian(0, 2, 3, 2, 1, 9)), serves=jnp.ones((3, 2), bool),
        ports=jnp.ones((3, 4), bool), noise_power=jnp.asarray(1.0), bandwidth=jnp.asarray(1.0),
        frequencies=jnp.ones(2), weights=jnp.ones(2),
    )  # fmt: skip
    with pytest.raises(ConfigError, match="got 3 stations, 2 subcarriers"):
        problem(link=link).broadcast_limit("sim-lp")


def test_every_status_says_what_to_do() -> None:
    assert {int(s) for s in Status} == set(range(len(Status)))
    assert len({s.message for s in Status}) == len(Status)
    for status in Status:
        assert status is Status.CONVERGED or ":" in status.message


def test_problem_travels_through_jit_and_batches() -> None:
    scaled = jax.jit(jax.vmap(lambda power: problem(limits=(Limit(power[None]),)).broadcast_limit("x") * 2))
    np.testing.assert_array_equal(scaled(jnp.asarray([1.0, 2.0])), [2, 4])


def test_solution_prints_one_screen() -> None:
    powers = Ledger(*(jnp.asarray([x]) for x in (1.0, 0.8, 0.2)), consumed=jnp.asarray(12.5))
    solution = Solution(
        design=Design((jnp.ones((1, 2, 9), complex),), jnp.ones((1, 1, 2, 4, 1), complex)),
        value=jnp.asarray(4.2e6), history=jnp.asarray([1e6, 4.2e6]), status=jnp.asarray(1), iterations=jnp.asarray(7),
        trials=jnp.asarray(9), ledger=powers, rates=jnp.asarray([3.0, 1e-9]), start_values=jnp.asarray([4.2e6, 3e6]),
        upper_bound=jnp.asarray(8.4e6), bound_name="norm bound", bound_scope="global",
        bound_quality="moderate",
    )  # fmt: skip
    assert float(solution.gap) == pytest.approx(1)
    text = str(solution)
    for part in ("4.2 Mbit/J", "raise max_iterations", "7 iterations", "9 evaluations", "1 of 2 users",
                 "accepted power per station [W]: 1", "radiated: 0.8, lost: 0.2",
                 "consumed: 12.5 W", "starts: 2 of 2, values 3 to 4.2",
                 "at most 50 % below the optimum: upper bound 8.4 Mbit/J",
                 "(norm bound; such bounds are moderate)"):  # fmt: skip
        assert part in text, part
    assert len(text.splitlines()) <= 24
    stage = str(dataclasses.replace(solution, bound_scope="stage", upper_bound=jnp.asarray(4.41e6)))
    assert "at most 4.8 % below the optimum of this stage: upper bound 4.41 Mbit/J" in stage
    loose = dataclasses.replace(solution, bound_quality="loose", upper_bound=jnp.asarray(8.5e6))
    assert "no useful one known" in str(loose)


def test_nats_to_bits() -> None:
    np.testing.assert_allclose(to_bits(jnp.log(jnp.asarray([2.0, 8.0]))), [1, 3], rtol=1e-15)
