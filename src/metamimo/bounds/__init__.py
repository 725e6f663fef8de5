"""Upper bounds: what no design can exceed, as closed forms at multipliers that need not be optimal."""
