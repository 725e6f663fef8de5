"""Experiments: what is run, how it is stored, and what the stored numbers say."""
