"""How many layers do we need? Energy efficiency of stacked-metasurface MISO systems (arXiv 2504.15737)."""
