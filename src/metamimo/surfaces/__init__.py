"""Tunable linear maps from ports to radiating elements, A(state): C^port -> C^element."""
