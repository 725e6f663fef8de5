"""Energy-Efficient Designs for SIM-Based Broadcast MIMO Systems (Perović, Bahingayi and Tran 2024, arXiv 2409.00628)."""
