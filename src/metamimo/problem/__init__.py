"""What a solver sees and what it returns: Link, Limit, Consumption, Problem, Design, Ledger, Solution."""

from metamimo.problem.limits import Consumption, Limit
from metamimo.problem.link import Link
from metamimo.problem.solution import Design, Ledger, Solution, Status, to_bits
from metamimo.problem.task import Csi, Objective, Problem

__all__ = [
    "Consumption",
    "Csi",
    "Design",
    "Ledger",
    "Limit",
    "Link",
    "Objective",
    "Problem",
    "Solution",
    "Status",
    "to_bits",
]
