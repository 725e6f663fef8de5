"""How many layers, meta-atoms and antennas? The question of arXiv 2504.15737, answered for the user's own numbers."""
