"""`spacing`: energy efficiency against the distance between layers, which the paper names as future work.

The sampled kernel (eq. 1) creates energy in stacks closer than a wavelength, so the question "is closer better?" has
an answer only with the two passive kernels.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from metamimo.experiments.claims import Claim
from metamimo.experiments.config import Axis
from metamimo.experiments.study import Panel, Study
from metamimo.figures.curves import draw
from metamimo.papers.checks import (
    EE,
    Quantities,
    Samples,
    all_positive,
    minus,
    none_above,
)
from metamimo.papers.sim_broadcast_ee.figures import SCHEMES as PAPER_SCHEMES
from metamimo.papers.sim_broadcast_ee.figures import SMALL
from metamimo.papers.sim_broadcast_ee.scenario import SimBroadcast
from metamimo.papers.sim_broadcast_ee.studies import study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from metamimo.experiments.results import Results

SPACINGS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
KERNELS = ("sampled", "clipped", "band_limited")
PASSIVE = ("clipped", "band_limited")
ROUNDING = 1e-9
"""Energy gain above one that double precision explains."""

SCHEMES = PAPER_SCHEMES[:2]
"""SIM-DPC and SIM-LP."""
LABELS = tuple(choice.label for choice in SCHEMES)
PANELS = tuple(Panel(name, y_scale="log") for name in (EE, "radiated", "captured", "energy_gain"))


def spacing(mode: str) -> Study:
    """Return the layer-spacing study: energy efficiency against the distance between layers, with all three kernels."""
    full = mode == "full"
    spacings = SPACINGS if full else SPACINGS[:4]
    return study(
        "spacing",
        "Energy efficiency against the layer spacing, sampled and passive propagation",
        (
            Axis(name="layer_spacing", values=spacings, unit="wavelengths", label="Layer spacing"),
            Axis(name="kernel", values=KERNELS),
        ),
        SCHEMES,
        claims(spacings),
        trials=50 if full else 4,
        chunk=10 if full else 4,
        scenario=SimBroadcast() if full else SMALL,
        panels=PANELS,
        picture=picture,
    )


def claims(spacings: tuple[float, ...]) -> tuple[Claim, ...]:
    """Return the claims on the layer spacing.

    Args:
        spacings: distances of the grid [wavelengths].
    """
    closer = "layers a quarter wavelength apart are not more efficient than layers half a wavelength apart"
    return (
        Claim(
            "V2-band-limited",
            f"{closer}, band-limited kernel",
            "half minus quarter wavelength > 0",
            all_positive(_ahead("band_limited", 0.5, (0.25,))),
        ),
        Claim(
            "V2-clipped",
            f"{closer}, clipped kernel",
            "half minus quarter wavelength > 0",
            all_positive(_ahead("clipped", 0.5, (0.25,)), "at a quarter wavelength nearly all modes are clipped"),
        ),
        Claim(
            "V2-best",
            "half a wavelength is the most efficient spacing of the grid, band-limited kernel",
            "half a wavelength minus each other spacing > 0",
            all_positive(_ahead("band_limited", 0.5, [gap for gap in spacings if gap != 0.5])),
        ),
        Claim(
            "V2-artefact",
            "the sampled kernel is more efficient at a quarter than at half a wavelength, by creating energy",
            "differences and energy gain minus one > 0",
            all_positive(
                _ahead("sampled", 0.25, (0.5,))
                | {f"energy gain of {scheme} at 0.25 wavelengths minus one": _created(scheme) for scheme in LABELS}
            ),
        ),
        Claim(
            "V2-passive",
            "the passive kernels create no energy at any spacing",
            "largest energy gain at most 1",
            none_above(
                {
                    f"energy gain of {scheme}, {kernel}, {gap:g} wavelengths": _at(scheme, kernel, gap, "energy_gain")
                    for scheme in LABELS
                    for kernel in PASSIVE
                    for gap in spacings
                },
                1 + ROUNDING,
                "largest over all realisations, not a mean",
            ),
        ),
    )


def picture(results: "Results") -> "Figure":
    """Draw the panels with one curve for every scheme and kernel."""
    return draw(kernels_as_curves(results), PANELS)


def kernels_as_curves(results: "Results") -> "Results":
    """Return the results with the kernel told by the curve's label instead of by an axis."""
    import xarray as xr

    parts = [
        results.dataset.sel(kernel=kernel, drop=True).assign_coords(
            scheme=[f"{label}, {kernel.replace('_', '-')}" for label in results.schemes]
        )
        for kernel in results.dataset["kernel"].values.tolist()
    ]
    return replace(results, dataset=xr.concat(parts, "scheme"))


def _ahead(kernel: str, better: float, others: Iterable[float]) -> Quantities:
    return {
        f"{EE} of {scheme}, {better:g} minus {gap:g} wavelengths": minus(
            _at(scheme, kernel, better), _at(scheme, kernel, gap)
        )
        for scheme in LABELS
        for gap in others
    }


def _at(scheme: str, kernel: str, gap: float, variable: str = EE) -> Samples:
    return lambda results: results.samples(variable, scheme, {"layer_spacing": gap, "kernel": kernel})


def _created(scheme: str) -> Samples:
    return lambda results: _at(scheme, "sampled", 0.25, "energy_gain")(results) - 1
