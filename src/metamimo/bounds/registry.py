"""Bounds of problems by name: functions bound(problem, effort) -> Bound, or None where one does not hold.

`metamimo.bounds.of_problem.upper_bound` asks all of them and takes the smallest. Whether it holds, an entry decides by
the structure of a problem (surface, sets, kinds of limits, objective), which compiled programs know, too.
"""

from metamimo.registry import Registry

BOUNDS = Registry(
    "bound",
    {
        "chains": "metamimo.bounds.network:bound_of_chains",
        "slots": "metamimo.bounds.slots:bound_of_slots",
        "station": "metamimo.bounds.station:bound_of_station",
    },
)
