"""Holographic MIMO Multi-Cell Communications (Zhi et al. 2025, arXiv 2502.16669)."""
