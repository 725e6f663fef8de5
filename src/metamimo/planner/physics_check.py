"""What a stacked metasurface that was designed in the usual model delivers where energy is conserved."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from metamimo.bounds.of_problem import upper_bound
from metamimo.channels.plane_waves import PlaneWaves, aperture_channel, co_polar, dipole_channel
from metamimo.conventions import SPEED_OF_LIGHT
from metamimo.geometry.planar import grid_positions
from metamimo.interop.sim_design import SimDesign
from metamimo.metrics.evaluate import evaluate
from metamimo.physics.patterns import ElementPattern, FieldSample, Isotropic
from metamimo.problem import Consumption, Design, Limit, Link, Problem
from metamimo.schemes.fixed_state import behind_surface, best_precoder
from metamimo.surfaces.coupled import CoupledStack
from metamimo.surfaces.dipole_stack import Budget
from metamimo.surfaces.stacked import StackedSurface

RANDOM_STATES = 8
_RINGS = 24
"""Directions that a channel is taken apart into: so many rings of the half sphere, 2 to 4 times as many a ring."""


@dataclass(frozen=True)
class PhysicsCheck:
    """Rates [bit/s/Hz] of one design at one transmitted power, in the usual and in the coupled model.

    Attributes:
        power: of the precoder [W].
        promised: in the usual model.
        energy_gain: most power that the usual model emits per watt with these phases.
        delivered: with these phases and the best precoder on the channel that they make in the coupled model.
        untouched: with the precoder as it was designed, fed through a matching network.
        unmatched: as `delivered`, without a matching network.
        random: mean over random phases with their best precoders.
        bare: without layers.
        bound: no currents on this geometry reach more.
        residual: relative error of the plane waves that stand for a channel; zero where the users are plane waves.
    """

    power: float
    promised: float
    energy_gain: float
    delivered: float
    untouched: float
    unmatched: float
    random: float
    bare: float
    bound: float
    residual: float

    def __str__(self) -> str:
        """Return the verdict and the numbers, for a person."""
        rows = (
            ("promised by the usual model", self.promised),
            ("delivered: these phases, best precoder, matched ports", self.delivered),
            ("delivered without a matching network", self.unmatched),
            ("delivered with the precoder as designed", self.untouched),
            ("random phases, best precoders", self.random),
            ("bare antennas, best precoder", self.bare),
            ("bound of any currents on this geometry", self.bound),
        )
        lines = [self.verdict, "", f"sum rate at {self.power:.4g} W [bit/s/Hz]"]
        lines += [f"  {words:<56}{rate:>8.2f}" for words, rate in rows]
        lines += ["", f"the usual model emits up to {self.energy_gain:.3g} W per watt fed with these phases"]
        if self.residual > 0:
            lines.append(
                f"the channel was taken apart into plane waves, {100 * self.residual:.2g} % of it left over; other "
                "waves with the same channel would give other rates"
            )
        return "\n".join(lines)

    @property
    def verdict(self) -> str:
        """Return what the simplified model over-promised, in one sentence."""
        share = 100 * (self.promised / self.delivered - 1) if self.delivered > 0 else np.inf
        if self.promised > self.bound:
            said = f"impossible: the promise exceeds the bound of any currents by {self.promised - self.bound:.2f}, and"
        elif share > 0:
            said = f"over-promised by {share:.0f} %, and"
        else:
            said = f"kept: {-share:.0f} % more is delivered than was promised, but"
        for words, rate in (("the bare antennas", self.bare), ("random phases", self.random)):
            if self.delivered <= rate:
                return f"{said} the phases are worth nothing: {words} do as well"
        return said.rpartition(",")[0]


def check_physics(design: SimDesign, seed: int = 0) -> PhysicsCheck:
    """Score a design of the usual model in the coupled one.

    Signal model: the usual one is `StackedSurface`, the other `CoupledStack` with the same antennas, atoms and plane
    waves. A phase means the same transmission in both. Powers are accepted powers.

    Args:
        design: the design.
        seed: of the random phases.

    Returns:
        The rates.

    Raises:
        ConfigError: if layers or atoms are too close or too far apart for dipoles.
    """
    waves, residual = plane_waves_of(design)
    state = jnp.exp(1j * jnp.asarray(design.phases))
    precoder = jnp.asarray(design.precoder, complex)[None, None, ..., None]
    power = float((abs(design.precoder) ** 2).sum())
    usual = usual_stack(design)
    channel = last_layer_channel(design, waves)
    promised = evaluate(_problem(design, usual, channel, power), Design((state[None],), precoder))

    def problem_in(layers: int, budget: Budget) -> Problem:
        stack = coupled_stack(design, layers, budget)
        return _problem(design, stack, dipole_channel(stack, waves), power)

    key = jax.random.key(seed)
    layers, elements = design.phases.shape
    coupled, bare = problem_in(layers, "accepted"), problem_in(0, "accepted")
    feasible = coupled.link.surfaces[0].feasible
    there = jax.jit(jax.vmap(behind_surface, in_axes=(None, 0)))
    states = jnp.concatenate([state[None], feasible.random(key, (RANDOM_STATES,))])
    cases = [
        there(coupled, states),
        there(problem_in(layers, "available"), state[None]),
        there(bare, jnp.ones((1, 0, elements), complex)),
    ]
    every = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *cases)
    rates = jax.jit(lambda every: jax.lax.map(lambda one: best_precoder(one, key=key).value, every))(every)
    delivered, *random, unmatched, without = np.asarray(rates).tolist()
    bound = jax.jit(upper_bound)(coupled)
    return PhysicsCheck(
        power=power,
        promised=float(promised.sum_rate),
        energy_gain=float(usual.energy_gain(state)),
        delivered=delivered,
        untouched=float(evaluate(coupled, Design((state[None],), precoder)).sum_rate),
        unmatched=unmatched,
        random=float(np.mean(random)),
        bare=without,
        bound=float("nan") if bound is None else float(bound.value),
        residual=residual,
    )


def usual_stack(design: SimDesign) -> StackedSurface:
    """Return the stack that a design was made for."""
    layers, elements = design.phases.shape
    return StackedSurface.build(
        n_layers=layers,
        n_elements=elements,
        n_ports=design.precoder.shape[1],
        wavelength=design.wavelength,
        element_spacing=design.element_spacing,
        antenna_spacing=design.antenna_spacing,
        layer_spacing=design.layer_spacing,
        feed_distance=design.feed_distance,
        pattern=_pattern(design),
        kernel=design.kernel,
        antenna_array="line",
    )


def coupled_stack(design: SimDesign, n_layers: int, budget: Budget) -> CoupledStack:
    """Return the stack of coupled dipoles with the antennas and atoms of a design."""
    return CoupledStack.build(
        n_layers=n_layers,
        n_elements=design.phases.shape[1],
        n_ports=design.precoder.shape[1],
        wavelength=design.wavelength,
        element_spacing=design.element_spacing,
        antenna_spacing=design.antenna_spacing,
        layer_spacing=design.layer_spacing,
        feed_distance=design.feed_distance,
        budget=budget,
    )


def plane_waves_of(design: SimDesign) -> tuple[PlaneWaves, float]:
    """Return the waves of a design and zero, or those of least power that make its channel and what they leave over.

    The last layer's elements sample the field of the waves: h = sum_p g_p d(r_p) exp(jk r_p . r_n) is solved for the g
    of least norm over a grid of directions of equal solid angle, co-polar with the antennas.
    """
    if design.gains is not None and design.directions is not None and design.polarisations is not None:
        arrays = (design.directions, design.polarisations, np.asarray(design.gains, complex))
        return PlaneWaves(*map(jnp.asarray, arrays)), 0.0
    assert design.channel is not None
    cos = (np.arange(_RINGS) + 0.5) / _RINGS
    azimuth = 2 * np.pi * (np.arange(4 * _RINGS) + 0.5) / (4 * _RINGS)
    rings, turns = (jnp.asarray(x.ravel()) for x in np.meshgrid(cos, azimuth, indexing="ij"))
    directions, polarisations = co_polar(rings, turns)
    samples = _samples(design, np.asarray(directions))
    gains = np.linalg.lstsq(samples, design.channel.T, rcond=1e-6)[0].T
    left = np.linalg.norm(gains @ samples.T - design.channel) / np.linalg.norm(design.channel)
    users = len(gains)
    waves = PlaneWaves(
        jnp.broadcast_to(directions, (users, *directions.shape)),
        jnp.broadcast_to(polarisations, (users, *polarisations.shape)),
        jnp.asarray(gains),
    )
    return waves, float(left)


def last_layer_channel(design: SimDesign, waves: PlaneWaves) -> Complex[Array, "user 1 element"]:
    """Return the channel from the last layer's elements."""
    if design.channel is not None:
        return jnp.asarray(design.channel, complex)[:, None]
    return aperture_channel(_last_layer(design), design.element_spacing**2, design.wavelength, waves)


def _problem(design: SimDesign, surface: StackedSurface | CoupledStack, channel: Array, power: float) -> Problem:
    frequency = SPEED_OF_LIGHT / design.wavelength
    return Problem(
        link=Link.broadcast(surface, channel, noise_power=design.noise_power, bandwidth=1.0, frequency=frequency),
        limits=(Limit(jnp.asarray([power])),),
        consumption=Consumption.of(per_chain=0.0, static=1.0),
        min_rate=jnp.zeros(channel.shape[0]),
        objective="sum_rate",
    )


def _pattern(design: SimDesign) -> ElementPattern:
    return Isotropic() if design.isotropic else FieldSample(design.element_spacing**2)


def _last_layer(design: SimDesign) -> np.ndarray:
    layers, elements = design.phases.shape
    # Antennas of the coupled model stand a quarter wavelength over the ground plane.
    height = design.wavelength / 4 + design.feed_distance + (layers - 1) * design.layer_spacing
    return grid_positions(elements, design.element_spacing, height, long_side="x")


def _samples(design: SimDesign, directions: np.ndarray) -> Complex[np.ndarray, "element wave"]:
    """Return what every wave of unit gain makes at the last layer's elements."""
    phases = np.exp(2j * np.pi / design.wavelength * _last_layer(design) @ directions.T)  # host, once
    return np.sqrt(_pattern(design).gain(directions, design.wavelength)) * phases
