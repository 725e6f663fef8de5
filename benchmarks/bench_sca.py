"""The convex passes of the single-antenna precoder at the default size, 4 users and 6 ports: time of a pass and a run.

Yardsticks: the same pass written in CVXPY with parameters, compiled once, and the closed-form steps to the same end,
which know neither port limits nor least rates.
"""

from functools import partial

import cvxpy as cp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measure import CPU_TIME, interleave, report

from metamimo.precoders.energy_efficient import energy_efficient_precoder
from metamimo.precoders.sca import sca_precoder
from metamimo.precoders.zero_forcing import regularised_zero_forcing

pytestmark = CPU_TIME

USERS, PORTS, DRAWS = 4, 6, 8
FIXED, PER_CHAIN, LIMIT, PORT_LIMIT, LEAST = 0.5, 0.14, 1.0, 0.5, 0.35
SPEC_MS = 10
"""Milliseconds of a pass that the specification expects."""


@pytest.fixture(scope="module", params=[10.0, 1e3])
def draws(request):
    """Return channels of one mean gain, and regularised zero-forcing for them."""
    rng = np.random.default_rng(7)
    shape = (DRAWS, USERS, PORTS)
    a = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * np.sqrt(request.param / 2)
    start = jax.vmap(lambda h: regularised_zero_forcing(h[:, None], jnp.asarray(0.9))[..., 0])(jnp.asarray(a))
    return request.param, a, np.asarray(start)


def solve(a, w, *, port_limit, least, **options):
    """Run the precoder on all draws."""
    limits = {"sum_limit": LIMIT, "port_limits": np.full(PORTS, port_limit), "min_rate": np.full(USERS, least)}
    chains = {"fixed": FIXED, "per_chain": PER_CHAIN, "active": np.ones(PORTS, bool)}
    return [sca_precoder(*pair, **limits, **chains, **options) for pair in zip(a, w, strict=True)]


def modelled():
    """Return one pass written in CVXPY and compiled once, as a function of a channel and a precoder."""
    w, t, p = cp.Variable((USERS, PORTS), complex=True), cp.Variable(USERS), cp.Variable(PORTS)
    rows, wanted = cp.Parameter((USERS, PORTS), complex=True), cp.Parameter((USERS, PORTS), complex=True)
    square, price = cp.Parameter(USERS, nonneg=True), cp.Parameter(nonneg=True)
    f = rows @ w.T
    conditions = [t >= np.expm1(LEAST), p <= PORT_LIMIT, cp.sum(p) <= LIMIT, cp.imag(cp.diag(f)) == 0]
    for k in range(USERS):
        others = [i for i in range(USERS) if i != k]
        noise = 1 + cp.sum_squares(cp.real(f[k, others])) + cp.sum_squares(cp.imag(f[k, others]))
        conditions.append(cp.real(wanted[k] @ w[k]) - square[k] * t[k] >= noise)
    conditions += [cp.sum_squares(cp.real(w[:, m])) + cp.sum_squares(cp.imag(w[:, m])) <= p[m] for m in range(PORTS)]
    problem = cp.Problem(cp.Maximize(price * cp.sqrt(cp.sum(cp.log1p(t))) - cp.sum(p)), conditions)

    def one(a, start):
        received = np.abs(a @ start.T) ** 2
        own = np.diagonal(received)
        sinr = own / (received.sum(1) - own + 1)
        rho = np.sqrt(own) / sinr
        rows.value, wanted.value, square.value = a, 2 * rho[:, None] * a, rho**2
        consumed = FIXED + PER_CHAIN * PORTS + (np.abs(start) ** 2).sum()
        price.value = 2 * consumed / np.sqrt(np.log1p(sinr).sum())
        problem.solve(solver=cp.CLARABEL)
        return w.value

    assert problem.is_dpp()
    return one


def test_pass(benchmark, rounds, draws):
    gain, a, w = draws
    model = modelled()
    one_pass = partial(solve, a, w, port_limit=PORT_LIMIT, least=LEAST, max_passes=1)
    same = np.array([np.abs(x.w - model(*pair)).max() for x, *pair in zip(one_pass(), a, w, strict=True)])
    own, other = interleave(
        benchmark, one_pass, {"cvxpy": lambda: [model(*pair) for pair in zip(a, w, strict=True)]}, rounds
    )
    own, cvxpy = own / DRAWS * 1e3, other["cvxpy"] / DRAWS * 1e3
    print(f"\ngain {gain:g}: {np.median(own):.2f} ms a pass, CVXPY {np.median(cvxpy):.1f} ms")
    print(f"gain {gain:g}: precoders of the two differ by at most {same.max():.0e}")
    report(benchmark, f"gain {gain:g}, CVXPY over a pass", cvxpy / own, 1)
    report(benchmark, f"gain {gain:g}, a pass over the {SPEC_MS} ms of the specification", own / SPEC_MS, 1, "<=")


def test_run(benchmark, rounds, draws):
    gain, a, w = draws
    fixed, limit = jnp.asarray(FIXED + PER_CHAIN * PORTS), jnp.asarray(LIMIT)

    @jax.jit
    def steps(a, w):
        run = partial(energy_efficient_precoder, fixed=fixed, power=limit)
        return jax.lax.map(lambda x: run(x[0][:, None], x[1][..., None]), (a, w))

    run = partial(solve, a, w, port_limit=np.inf, least=0.0)
    found, closed = run(), steps(a, w)
    ratio = np.array([x.history[-1] for x in found]) / np.asarray(closed.history[:, -1])
    passes = np.mean([int(x.passes) for x in found])
    own, other = interleave(benchmark, run, {"steps": lambda: steps(a, w)}, rounds)
    print(
        f"\ngain {gain:g}: {np.median(own) / DRAWS * 1e3:.1f} ms a run of {passes:.1f} passes; closed-form steps "
        f"{np.median(other['steps']) / DRAWS * 1e3:.2f} ms, {np.asarray(closed.iterations).mean():.0f} steps"
    )
    print(f"gain {gain:g}: energy efficiency over that of the steps, mean {ratio.mean():.5f}, least {ratio.min():.5f}")
    report(benchmark, f"gain {gain:g}, a run over the closed-form steps", own / other["steps"], None)
