"""What the studies of the papers store for every realisation."""

from metamimo.experiments.study import Variable

VARIABLES = (
    Variable("energy_efficiency", unit="Mbit/J", long_name="Energy efficiency"),
    Variable("sum_rate", unit="bit/s/Hz", long_name="Sum rate"),
    Variable("rate", dims=("user",), unit="bit/s/Hz", long_name="Rate of each user"),
    Variable("accepted", unit="W", long_name="Power accepted by the antenna ports"),
    Variable("radiated", unit="W", long_name="Radiated power x^H C x, isotropic elements"),
    Variable("captured", unit="W", long_name="Power |x|^2 that leaves the last layer"),
    Variable("consumed", unit="W", long_name="Consumed power"),
    Variable("energy_gain", unit="W/W", long_name="Largest eigenvalue of B^H B"),
    Variable("served", dtype="int32", long_name="Served users"),
    Variable("status", dtype="int32", long_name="Status (0: converged)"),
    Variable("iterations", dtype="int32", long_name="Iterations"),
    Variable("line_search_trials", dtype="int32", long_name="Evaluations of the objective"),
    Variable("start_spread", unit="Mbit/J", long_name="Best minus worst start"),
    Variable("upper_bound", unit="Mbit/J", long_name="Upper bound over all phases"),
    Variable("seconds", unit="s", long_name="Wall time of a realisation", promised=False),
)
