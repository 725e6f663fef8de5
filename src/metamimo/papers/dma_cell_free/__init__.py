"""Robust Beamforming for Cell-Free Systems with Parallel-Plate-Waveguided Dynamic Metasurfaces."""
