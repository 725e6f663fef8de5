"""Schemes by name: functions scheme(problem, *, key, start=None, **options) -> Solution."""

from metamimo.registry import Registry

SCHEMES = Registry(
    "scheme",
    {
        "dpc-nosim": "metamimo.schemes.dpc_nosim:dpc_nosim",
        "lp-nosim": "metamimo.schemes.lp_nosim:lp_nosim",
        "sim-dpc": "metamimo.schemes.sim_dpc:sim_dpc",
        "sim-lp": "metamimo.schemes.sim_lp:sim_lp",
        "sim-nolp": "metamimo.schemes.sim_nolp:sim_nolp",
        "sim-nolp-redrf": "metamimo.schemes.sim_nolp:sim_nolp_redrf",
    },
)
