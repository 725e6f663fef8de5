"""Figure 2: signal-to-noise ratio of one user in line of sight against the elements of one strip."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from metamimo.experiments.claims import Claim
from metamimo.experiments.config import Axis, Experiment, SchemeChoice, scenario_at
from metamimo.experiments.study import Panel, Study, Variable
from metamimo.experiments.tasks import Task
from metamimo.papers.checks import Grid, Number, Samples, all_positive, all_within, at_point, minus, none_above
from metamimo.papers.hmimo_multicell.figures import study
from metamimo.papers.hmimo_multicell.scaling import (
    COEFFICIENTS,
    best_binary_states,
    best_lorentz_states,
    binary_states,
    lorentz_states,
)
from metamimo.papers.hmimo_multicell.scenario import HolographicCells
from metamimo.physics.guides import strip_wave
from metamimo.physics.patterns import Isotropic

if TYPE_CHECKING:
    pass

AXIS, VIEW = "per_strip", "attenuation"
LOSSY, LOSSLESS = 0.6, 0.0
"""With attenuation the user stands at 30 degrees; without it, users stand anywhere within 60 degrees."""
ANGLE, WIDEST = 30.0, 60.0
VARIABLES = (
    Variable("snr", unit="dB", long_name="SNR at equal sum of |x|^2 on average"),
    Variable("coefficient", long_name="SNR over N P / noise, the sum of |x|^2 on average P"),
    Variable("exact", long_name="The same, the sum of |x|^2 exactly P"),
    Variable("field", long_name="SNR over P / noise and the aperture in half wavelengths, x^H C x exactly P"),
    Variable("emitted", unit="W", long_name="Sum of |x|^2 for P = 1 W"),
    Variable("status", dtype="int32", long_name="Status (0: converged)"),
)
States = Callable[[np.ndarray], np.ndarray]
HOLOGRAMS: dict[str, States] = {
    "Lorentz": lorentz_states,
    "Binary": binary_states,
    "Lorentz, best": best_lorentz_states,
    "Binary, best": best_binary_states,
}
THEORY = {"Lorentz, theory": COEFFICIENTS["Lorentz"], "Binary, theory": COEFFICIENTS["binary"]}
CONVENTIONAL = ("Digital", "Hybrid")


def compute(experiment: Experiment, task: Task) -> Mapping[str, np.ndarray]:
    """Return the coefficients of one curve for the directions of a task."""
    scenario = scenario_at(experiment, task.index)
    assert isinstance(scenario, HolographicCells)
    label = experiment.schemes[task.scheme].label
    found = [coefficients(scenario, label, direction(scenario, task.first + i)) for i in range(task.count)]
    columns = dict(zip(("coefficient", "exact", "field", "emitted"), np.array(found).T, strict=True))
    snr = 10 * np.log10(columns["coefficient"] * scenario.per_strip)
    return {"snr": snr, **columns, "status": np.zeros(task.count, np.int32)}


def direction(scenario: HolographicCells, trial: int) -> float:
    """Return the direction of the user [rad]; without attenuation they fill the sector evenly, however many."""
    golden = (np.sqrt(5) - 1) / 2
    degrees = ANGLE if scenario.attenuation > 0 else WIDEST * (2 * np.mod(0.5 + trial * golden, 1) - 1)
    return float(np.deg2rad(degrees))


def coefficients(scenario: HolographicCells, label: str, angle: float) -> tuple[float, float, float, float]:
    """Return SNR over N for |f|^2 = 2 P / N, for a sum of |x|^2 of P, for x^H C x = P, and the sum of |x|^2.

    The last but one is over the length in half wavelengths: C counts what elements closer than that share, which the
    other two leave to the area factor of the channel.
    """
    count, wavelength = scenario.per_strip, scenario.wavelength
    if label in THEORY:
        return THEORY[label], np.nan, np.nan, 1.0
    spacing = scenario.element_spacing * wavelength
    places = np.column_stack([np.arange(count) * spacing, np.zeros((count, 2))])
    h = np.exp(2j * np.pi / wavelength * places[:, 0] * np.sin(angle))
    if label in CONVENTIONAL:
        x, share = h.conj() / np.sqrt(count), 1.0
    else:
        wave = strip_wave(count, spacing, attenuation=scenario.attenuation, wavenumber=scenario.wavenumber)
        x, share = HOLOGRAMS[label](h * wave) * wave, 2 / count
    received, emitted = abs(h @ x) ** 2, float((np.abs(x) ** 2).sum())  # host, once
    radiated = np.real(np.vdot(x, Isotropic().coupling(places, wavelength) @ x))  # host, once
    halves = count * scenario.element_spacing / 0.5
    return received * share / count, received / emitted / count, float(received / radiated / halves), emitted * share


def fig2(mode: str) -> Study:
    """Return Fig. 2: SNR against elements, simulated and in theory."""
    full = mode == "full"
    counts = (8, 16, 32, 64, 128) if full else (16, 64)
    labels = (*CONVENTIONAL, *HOLOGRAMS, *THEORY)
    panels = [Panel("snr", x_scale="log", fixed={VIEW: LOSSY}, title=f"{ANGLE:g} degrees, {LOSSY} Np/m")]
    panels += [
        Panel(name, x_scale="log", fixed={VIEW: LOSSLESS}, title=f"mean over {WIDEST:g} degrees, no attenuation")
        for name in ("coefficient", "exact", "field")
    ]
    return study(
        "fig2",
        "Growth of the signal-to-noise ratio with the elements of a strip, one user in line of sight",
        (
            Axis(name=AXIS, values=counts, label="Elements of a strip $N$"),
            Axis(name=VIEW, values=(LOSSY, LOSSLESS), unit="Np/m"),
        ),
        tuple(SchemeChoice(label=label, scheme="closed form") for label in labels),
        claims(counts),
        mode,
        compute=compute,
        variables=VARIABLES,
        sizes={},
        headline="snr",
        trials=400,
        panels=tuple(panels),
    )


def claims(counts: Grid) -> tuple[Claim, ...]:
    """Return the claims on Fig. 2.

    Args:
        counts: elements of a strip.
    """
    most = counts[-1]
    curves = ("Digital", "Hybrid", "Lorentz", "Binary")

    def value(label: str, count: Number, view: float, variable: str = "coefficient") -> Samples:
        return at_point(label, {AXIS: count, VIEW: view}, variable)

    def off(label: str, count: Number) -> Samples:
        gap = minus(value(label, count, LOSSY, "snr"), value(f"{label}, theory", count, LOSSY, "snr"))
        return lambda results: np.abs(gap(results))

    return (
        Claim(
            "2a",
            "theory is close to simulation for a moderate number of elements",
            "at most 0.7 dB apart at 30 degrees, 16 to 64 elements",
            none_above({f"{a}, {n} elements": off(a, n) for a in curves[2:] for n in counts if 16 <= n <= 64}, 0.7),
        ),
        Claim(
            "2b",
            "the mean coefficients are 1/2 and 2/pi^2",
            f"within 5 % of theory at {most:g} elements, no attenuation",
            all_within(
                {a: (value(a, most, LOSSLESS), value(f"{a}, theory", most, LOSSLESS)) for a in curves[2:]}, 0.95, 1.05
            ),
        ),
        Claim(
            "2c",
            "all four grow linearly",
            "coefficient at most over that at fewest elements above 16: 0.9 to 1.1, no attenuation",
            all_within(
                {
                    f"{a}, {n:g} over {most:g} elements": (value(a, n, LOSSLESS), value(a, most, LOSSLESS))
                    for a in curves
                    for n in counts
                    if 32 <= n < most
                },
                0.9,
                1.1,
            ),
        ),
        Claim(
            "2d-equal",
            "digital and hybrid arrays are equal",
            "ratio within 1e-9 of one",
            all_within(
                {
                    f"{n:g} elements, {view} Np/m": (value("Digital", n, view), value("Hybrid", n, view))
                    for n in counts
                    for view in (LOSSY, LOSSLESS)
                },
                1 - 1e-9,
                1 + 1e-9,
            ),
        ),
        Claim(
            "2d",
            "they are above Lorentzian elements, and those above binary ones",
            "differences > 0",
            all_positive(
                {
                    f"{a} minus {b} at {n:g} elements, {view} Np/m": minus(value(a, n, view), value(b, n, view))
                    for a, b in (("Digital", "Lorentz"), ("Hybrid", "Lorentz"), ("Lorentz", "Binary"))
                    for n in counts
                    for view in (LOSSY, LOSSLESS)
                },
                "realisations are directions of the user; with attenuation all stand in the same",
            ),
        ),
        Claim(
            "V-field",
            "the losses of a half and of 2/pi^2 are there in radiated watts, too",
            "coefficients at x^H C x = P over theory 0.95 to 1.05",
            all_within(
                {a: (value(a, most, LOSSLESS, "field"), value(f"{a}, theory", most, LOSSLESS)) for a in curves[2:]},
                0.95,
                1.05,
                "what is missing in the sum of |x|^2 is a slow wave, which does not radiate",
            ),
        ),
    )
