"""Pictures and tables, drawn from stored results only."""
