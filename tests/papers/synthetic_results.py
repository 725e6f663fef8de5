"""Stored results with known means: every curve is a table, and the noise around it has a sample mean of zero."""

from pathlib import Path

import numpy as np
import xarray as xr

from metamimo.experiments.results import Results

TRIALS = 24


def results(axis, values, tables, *, noise=0.05, trials=TRIALS, counts=None):
    """Return results over (scheme, axis, trial).

    Args:
        axis: name of the swept quantity.
        values: its grid.
        tables: variable -> scheme -> mean at every grid point.
        noise: standard deviation around the means.
        trials: realisations.
        counts: which realisations count; all by default.
    """
    rng = np.random.default_rng(1)
    schemes = list(next(iter(tables.values())))
    dims, data = ("scheme", axis, "trial"), {}
    for variable, table in tables.items():
        spread = rng.standard_normal((len(schemes), len(values), trials))
        spread -= spread.mean(-1, keepdims=True)
        data[variable] = (dims, np.array([table[s] for s in schemes])[..., None] + noise * spread)
    shape = (len(schemes), len(values), trials)
    data["done"] = (dims, np.ones(shape, bool))
    data["counts"] = (dims, np.broadcast_to(True if counts is None else counts, shape))
    dataset = xr.Dataset(data, {"scheme": schemes, axis: list(values)})
    return Results(dataset, {"variables": dict.fromkeys(tables)}, Path())
