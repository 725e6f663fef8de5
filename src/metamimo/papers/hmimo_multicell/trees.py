"""Figure 7 and Table II: what the tree searches of sphere decoding take, in nodes and in seconds."""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from metamimo.experiments.claims import Claim
from metamimo.experiments.config import Axis, Experiment, SchemeChoice
from metamimo.experiments.study import Panel, Study, Variable
from metamimo.experiments.tasks import Task
from metamimo.papers.checks import Grid, Number, Samples, all_positive, all_within, at, minus, ratios, rises
from metamimo.papers.hmimo_multicell.figures import VARIABLES as DESIGNED
from metamimo.papers.hmimo_multicell.figures import choice, study

if TYPE_CHECKING:
    import numpy as np

AXIS, NODES, SECONDS = "per_strip", "nodes", "seconds"
ORIGINAL, CONDITION, BOUND, BOTH, SHIFTED = "Original", "Optimality condition", "Lower bound", "Both", "Both, shifted"
VARIANTS = {
    ORIGINAL: "original",
    CONDITION: "optimal-condition",
    BOUND: "lower-bound",
    BOTH: "proposed",
    SHIFTED: "shifted",
}
MOST_NODES = 10**7
"""A search gives up there, and its count is a lower bound."""
ITERATIONS = (1, 5, 15)
"""Iterations of WMMSE-HC whose blocks are searched."""
VARIABLES = (
    Variable(NODES, long_name="Nodes of a block's search"),
    Variable("known", long_name="Share of variables decided beforehand"),
    Variable("certified", long_name="Share of blocks whose choice by hidden convexity is proven optimal"),
    Variable("given_up", long_name="Share of searches that gave up"),
    Variable("gap", long_name="Share of the block's optimum that hidden convexity misses"),
    Variable("status", dtype="int32", long_name="Status (0: converged)"),
    Variable(SECONDS, unit="s", long_name="Wall time of a block's search", promised=False),
)


def compute(experiment: Experiment, task: Task) -> "Mapping[str, np.ndarray]":
    """Search the blocks of one task; JAX is loaded here, in the process that computes."""
    return importlib.import_module("metamimo.papers.hmimo_multicell.tree_simulate").compute(experiment, task)


def compute_timed(experiment: Experiment, task: Task) -> "Mapping[str, np.ndarray]":
    """Run one task of Table II twice and keep the second run's time: the first compiles."""
    simulate = importlib.import_module("metamimo.papers.hmimo_multicell.simulate")
    simulate.compute(experiment, task)
    return simulate.compute(experiment, task)


def fig7(mode: str) -> Study:
    """Return Fig. 7: nodes of the search of a block against elements of a strip."""
    counts = (2, 3, 4, 5, 6) if mode == "full" else (2, 3)
    return study(
        "fig7",
        "Nodes that sphere decoding visits in a block",
        (Axis(name=AXIS, values=counts, label="Elements of a strip $N$"),),
        tuple(
            SchemeChoice(label=label, scheme="sphere decoding", options={"variant": variant, "max_nodes": MOST_NODES})
            for label, variant in VARIANTS.items()
        ),
        fig7_claims(counts),
        mode,
        compute=compute,
        variables=VARIABLES,
        sizes={},
        headline=NODES,
        panels=(Panel(NODES, y_scale="log"), Panel("known"), Panel("given_up")),
    )


def table2(mode: str) -> Study:
    """Return Table II: seconds of whole designs, every algorithm on one core of one machine."""
    counts = (2, 4, 6) if mode == "full" else (2,)
    few = {"max_iterations": 30, "returned": "last"}
    return study(
        "table2",
        "Wall time of a design",
        (Axis(name=AXIS, values=counts, label="Elements of a strip $N$"),),
        (
            choice("Original SD", "wmmse-sd", "binary left", variant="original", max_nodes=MOST_NODES, **few),
            choice("Proposed SD", "wmmse-sd", "binary left", max_nodes=MOST_NODES, **few),
            choice("HC", "wmmse-hc", "binary left", **few),
            choice("ZF-HC", "zf-hc", "binary left", max_iterations=15, returned="last"),
        ),
        table2_claims(counts),
        mode,
        compute=compute_timed,
        variables=DESIGNED,
        headline=SECONDS,
        panels=(Panel(SECONDS, y_scale="log"), Panel("iterations")),
    )


def fig7_claims(counts: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 7.

    Args:
        counts: elements of a strip.
    """
    larger = [n for n in counts if n >= 3]
    return (
        Claim("7a", "nodes grow with N", "differences > 0", all_positive(rises((ORIGINAL, BOTH), AXIS, counts, NODES))),
        Claim(
            "7b",
            "the original search needs more nodes than the one with the optimality condition",
            "ratio of means above 1",
            all_within(ratios((ORIGINAL,), CONDITION, AXIS, counts, NODES), 1.0, float("inf")),
        ),
        Claim(
            "7c",
            "the lower bound prunes a huge share",
            "original over lower bound above 10 from three elements on",
            all_within(ratios((ORIGINAL,), BOUND, AXIS, larger, NODES), 10.0, float("inf")),
        ),
        Claim(
            "7d",
            "both together need the fewest nodes",
            "each alone minus both > 0",
            all_positive(
                {
                    f"{name} minus both at {n:g}": minus(at(name, AXIS, n, NODES), at(BOTH, AXIS, n, NODES))
                    for name in (CONDITION, BOUND)
                    for n in counts
                }
            ),
        ),
        Claim(
            "7e",
            "at few elements nearly all variables are decided beforehand",
            f"share minus 0.8 > 0 at {counts[0]} elements of a strip",
            all_positive(
                {"share minus 0.8": lambda results: at(BOTH, AXIS, counts[0], "known")(results) - 0.8},
                "0.8 is our reading of `nearly all`",
            ),
        ),
        Claim(
            "V-shift",
            "an optimised shift of the diagonal saves nodes",
            "both over shifted above 1 from three elements on",
            all_within(ratios((BOTH,), SHIFTED, AXIS, larger, NODES), 1.0, float("inf")),
        ),
    )


def table2_claims(counts: Grid) -> tuple[Claim, ...]:
    """Return the claims on Table II.

    Args:
        counts: elements of a strip.
    """
    return (
        Claim(
            "T2a",
            "the original search explodes",
            f"original over proposed above 5 at {counts[-1]} elements",
            all_within(
                ratios(("Original SD",), "Proposed SD", AXIS, counts[-1:], SECONDS),
                5.0,
                float("inf"),
                f"whole designs, searches end after {MOST_NODES:g} nodes, of which a compiled search visits millions "
                "in a tenth of a second; Fig. 7 counts the nodes",
            ),
        ),
        Claim(
            "T2b",
            "the proposed search stays within seconds",
            "5 s minus its time > 0",
            all_positive({f"5 s minus time at {n:g}": _left(5.0, n) for n in counts}),
        ),
        Claim(
            "T2c",
            "hidden convexity is the fastest",
            "ratio of the other times above 1",
            all_within(ratios(("Original SD", "Proposed SD", "ZF-HC"), "HC", AXIS, counts, SECONDS), 1.0, float("inf")),
        ),
        Claim(
            "T2d",
            "zero-forcing by a convex program is much slower than the closed form",
            "ratio of means above 3",
            all_within(ratios(("ZF-HC",), "HC", AXIS, counts, SECONDS), 3.0, float("inf")),
        ),
    )


def _left(seconds: float, count: Number) -> Samples:
    taken = at("Proposed SD", AXIS, count, SECONDS)
    return lambda results: seconds - taken(results)
