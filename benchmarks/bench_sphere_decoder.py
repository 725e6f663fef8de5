"""Sphere decoding: accelerated against original search, against a general solver, and against the same search in C."""

import ctypes
import itertools
import shutil
import subprocess

import numpy as np
import pytest
from measure import CPU_TIME, interleave, report

from metamimo.optimise.sphere_decoder import _search, _Tree, decode
from metamimo.papers.hmimo_multicell.scenario import HolographicCells
from metamimo.papers.hmimo_multicell.tree_simulate import _blocks

pytestmark = CPU_TIME

C_SEARCH = r"""
#include <string.h>
#include <math.h>
/* The search without bound: same tree, same order, same tests; rest is n x n, columns row-major with R transposed. */
long search(int n, const double *columns, const double *c, double *best, long max_nodes) {
    static double rest[64 * 64], metric[64], x[64];
    static int tried[64];
    double radius = 0;
    for (int i = 0; i < n; i++) {
        double r = c[i];
        for (int j = i; j < n; j++) r -= columns[j * n + i] * best[j];
        radius += r * r;
    }
    double strict = 1e-10 * (radius > 1 ? radius : 1);
    memset(tried, 0, sizeof tried); memset(metric, 0, sizeof metric);
    for (int i = 0; i < n; i++) rest[(n - 1) * n + i] = c[i];
    int k = n - 1; long nodes = 0;
    for (;;) {
        if (tried[k] == 2) { if (++k == n) return nodes; continue; }
        double sign = rest[k * n + k] >= 0 ? 1 : -1;
        if (tried[k] == 1) sign = -sign;
        tried[k]++;
        if (nodes == max_nodes) return nodes;
        nodes++;
        double error = rest[k * n + k] - columns[k * n + k] * sign, reached = metric[k] + error * error;
        if (reached >= radius - strict) { tried[k] = 2; continue; }
        x[k] = sign;
        if (k == 0) { radius = reached; memcpy(best, x, n * sizeof(double)); tried[0] = 2; continue; }
        for (int i = 0; i < k; i++) rest[(k - 1) * n + i] = rest[k * n + i] - columns[k * n + i] * sign;
        metric[k - 1] = reached; k--; tried[k] = 0;
    }
}
"""


def instance(n, seed=0):
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((n, n))
    return factor @ factor.T, 3 * rng.standard_normal(n)


@pytest.fixture(scope="module")
def holograms():
    """Blocks of the descent at 24 elements a station, four scenes."""
    blocks = _blocks(HolographicCells(per_strip=6).model_dump_json(), 2502, (0, 1, 2, 3))
    return [part.reshape(-1, *part.shape[3:]) for part in blocks[:3]]


def test_proposed_against_original_search(benchmark, rounds, holograms):
    """Both to the proven optimum: a few blocks need millions of nodes without bounds."""

    def every(variant):
        return lambda: [decode(*each, variant=variant, max_nodes=10**9) for each in zip(*holograms, strict=True)]

    seconds, others = interleave(benchmark, every("proposed"), {"original": every("original")}, rounds)
    report(benchmark, "original over proposed, 36 blocks of 24 elements", others["original"] / seconds, 10)


def test_bare_search_against_the_same_in_c(benchmark, rounds, tmp_path):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source, library = tmp_path / "search.c", tmp_path / "search.so"
    source.write_text(C_SEARCH)
    subprocess.run([compiler, "-O3", "-march=native", "-shared", "-fPIC", "-o", library, source, "-lm"], check=True)
    search = ctypes.CDLL(str(library)).search
    search.restype = ctypes.c_long
    pointer = np.ctypeslib.ndpointer(float, flags="C_CONTIGUOUS")
    search.argtypes = [ctypes.c_int, pointer, pointer, pointer, ctypes.c_long]
    a, q = instance(34)
    tree = _Tree.of(a, q, np.zeros(34), bounded=False)
    limit = 10**7
    nodes = [search(34, tree.columns, tree.c, np.ones(34), limit), _search(*tree, np.ones(34), limit)[0]]
    assert nodes[0] == nodes[1], "the two searches visit different nodes"
    seconds, others = interleave(
        benchmark,
        lambda: _search(*tree, np.ones(34), limit),
        {"c": lambda: search(34, tree.columns, tree.c, np.ones(34), limit)},
        rounds,
    )
    report(benchmark, f"nodes a second over those of C ({nodes[0]} nodes)", others["c"] / seconds, 0.7)


def test_against_a_general_solver(benchmark, rounds):
    """SCIP on the same quadratic over binary variables; install pyscipopt for it."""
    scip = pytest.importorskip("pyscipopt")
    a, q = instance(30)

    def general():
        model = scip.Model()
        model.hideOutput()
        model.setParam("limits/time", 120)
        y = [model.addVar(vtype="B") for _ in range(30)]
        t = model.addVar(lb=None)
        x = [2 * one - 1 for one in y]
        pairs = itertools.product(range(30), repeat=2)
        model.addCons(t >= scip.quicksum(a[i, j] * x[i] * x[j] for i, j in pairs) - 2 * scip.quicksum(q * x))
        model.setObjective(t)
        model.optimize()
        return model.getObjVal()

    best = decode(a, q, np.ones(30)).x
    assert general() == pytest.approx(best @ a @ best - 2 * q @ best, rel=1e-4)
    seconds, others = interleave(benchmark, lambda: decode(a, q, np.ones(30)), {"scip": general}, 1)
    report(benchmark, "SCIP over the proposed search, n=30", others["scip"] / seconds, 500)
