"""Energy-Efficient Designs for SIM-Based Broadcast MIMO Systems (Perović et al. 2024, arXiv 2409.00628)."""
