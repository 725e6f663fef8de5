"""Labels of the curves, and the groups that the claims speak of."""

DPC, LP, REDRF, NOLP, BARE = "SIM-DPC", "SIM-LP", "SIM-NoLP-RedRF", "SIM-NoLP", "LP-NoSIM"
PROPOSED = (DPC, LP)
UNPRECODED = (NOLP, REDRF)
SIM = (*PROPOSED, *UNPRECODED)
BENCHMARKS = (REDRF, NOLP, BARE)
