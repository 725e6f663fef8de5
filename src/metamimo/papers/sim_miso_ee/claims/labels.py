"""Labels of the curves."""

JOINT, ALL_CHAINS = "Hybrid-Joint", "Hybrid-Joint, all chains"
PGA, PGA_ALL_CHAINS = "Hybrid-PGA", "Hybrid-PGA, all chains"
FP, LBFGS = "Hybrid-FP", "Hybrid-L-BFGS"
SDP, LOW_RANK = "Hybrid-SDP", "Hybrid-SDP, low rank"
WAVE, DIGITAL, NO_SIM = "Wave-SIM", "Digital-Pre", "No-SIM"
SE = "sum_rate"
