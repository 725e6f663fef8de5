"""How many layers do we need, physically? Stacks of coupled dipoles against the usual model (not a paper's figures)."""
