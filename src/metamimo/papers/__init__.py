"""The papers: every figure as a declared experiment with its claims as code."""
