"""Numerical methods that know no antenna."""
