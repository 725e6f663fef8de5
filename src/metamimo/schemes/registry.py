"""Schemes by name: functions scheme(problem, *, key, start=None, **options) -> Solution."""

from metamimo.registry import Registry

SCHEMES = Registry(
    "scheme",
    {
        "cell-free-joint": "metamimo.schemes.cell_free_joint:cell_free_joint",
        "digital-pre": "metamimo.schemes.hybrid_alternating:digital_pre",
        "dpc-nosim": "metamimo.schemes.dpc_nosim:dpc_nosim",
        "hybrid-fp": "metamimo.schemes.hybrid_alternating:hybrid_fp",
        "hybrid-joint": "metamimo.schemes.hybrid_joint:hybrid_joint",
        "hybrid-lbfgs": "metamimo.schemes.hybrid_alternating:hybrid_lbfgs",
        "hybrid-pga": "metamimo.schemes.hybrid_alternating:hybrid_pga",
        "hybrid-sdp": "metamimo.schemes.hybrid_alternating:hybrid_sdp",
        "lp-nosim": "metamimo.schemes.lp_nosim:lp_nosim",
        "network-flips": "metamimo.schemes.flips:network_flips",
        "network-joint": "metamimo.schemes.network_joint:network_joint",
        "sim-dpc": "metamimo.schemes.sim_dpc:sim_dpc",
        "sim-lp": "metamimo.schemes.sim_lp:sim_lp",
        "sim-nolp": "metamimo.schemes.sim_nolp:sim_nolp",
        "sim-nolp-redrf": "metamimo.schemes.sim_nolp:sim_nolp_redrf",
        "ssca": "metamimo.schemes.stochastic_sca:ssca",
        "wave-sim": "metamimo.schemes.wave_sim:wave_sim",
        "wave-sim-pga": "metamimo.schemes.wave_sim:wave_sim_pga",
        "wmmse-cpp": "metamimo.schemes.wmmse_elements:wmmse_cpp",
        "wmmse-fixed": "metamimo.schemes.wmmse_elements:wmmse_fixed",
        "wmmse-hc": "metamimo.schemes.wmmse_elements:wmmse_hc",
        "wmmse-mm": "metamimo.schemes.wmmse_elements:wmmse_mm",
        "wmmse-sd": "metamimo.schemes.wmmse_elements:wmmse_sd",
        "zf-hc": "metamimo.schemes.zf_hc:zf_hc",
    },
)
