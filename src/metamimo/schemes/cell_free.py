"""One station of a cell-free network: pure functions of what it knows itself and of the summed amplitudes.

All stations send all streams together, so a user's signal is a sum over stations. Nothing but that sum, z[k, u, j] of
(subcarrier, user, symbol), has to travel: with it every station has the gradient of the rate in its own precoder and
in the state of its own surface (specification of the cell-free DMA paper, sections 3 to 6). The single-process scheme
`ssca` maps these functions over the stations, the distributed run calls them in one process a station.

A station works on V = W / sqrt(P), P its budget, and on coordinates of its state: x itself, or theta = arctan x, in
which a Lorentzian element moves evenly.
"""

from typing import Any, Literal, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from metamimo.conventions import NAT_TO_BIT
from metamimo.errors import ConfigError
from metamimo.linalg import cmatmul, hermitian
from metamimo.schemes.surrogates import linear_step, proximal_weight, structured_step
from metamimo.surfaces.base import PowerKind, Surface
from metamimo.surfaces.feasible import FeasibleSet, Fixed

SurrogateKind = Literal["structured", "linear", "best"]
Coordinate = Literal["phase", "F"]
Amplitudes = Complex[Array, "freq user user2"]
Channel = Complex[Array, "freq user element"]

_LEAST_STATE_WEIGHT, _LEAST_LINEAR_WEIGHT = 1e-9, 1e-6
_RIDGE = 1e-14
"""Added to a power matrix over its mean diagonal: a state that takes no power at all has a singular one."""


@runtime_checkable
class RealBox(Protocol):
    """A feasible set whose states are real, each entry between `least` and `most`."""

    @property
    def least(self) -> float:
        """Return the smallest entry."""
        ...

    @property
    def most(self) -> float:
        """Return the largest entry."""
        ...

    def project(self, x: Any) -> Any:
        """Return the nearest state."""
        ...


class Rules(eqx.Module):
    """What all stations agree on before they start.

    Attributes:
        noise_power: sigma^2 of a user on a subcarrier.
        weights: weight of each user's rate.
        step_state: s_v, length of a step of the state's coordinates.
        stations: number of stations B.
        kind: which power the budgets limit.
        surrogate: of the precoder: `structured`, `linear`, or `best` of both.
        coordinate: of the state: `phase` (arctan x) or `F` (x itself).
        tune_states: whether the states move.
        proximal: tau_W of the structured surrogate.
        step_precoder: s_W, length of a step of the linear surrogate.
        tracking: rho_t = (t + 1)^-tracking.
        stepping: gamma_t = (t + 1)^-stepping.
    """

    noise_power: Float[Array, ""]
    weights: Float[Array, " user"]
    step_state: Float[Array, ""]
    stations: int = eqx.field(static=True)
    kind: PowerKind = eqx.field(static=True, default="accepted")
    surrogate: SurrogateKind = eqx.field(static=True, default="structured")
    coordinate: Coordinate = eqx.field(static=True, default="phase")
    tune_states: bool = eqx.field(static=True, default=True)
    proximal: float = eqx.field(static=True, default=1e-2)
    step_precoder: float = eqx.field(static=True, default=0.2)
    tracking: float = eqx.field(static=True, default=0.55)
    stepping: float = eqx.field(static=True, default=0.6)

    def rho(self, t: int | Array) -> Array:
        """Return the weight of the gradient of iteration t in the tracked one (spec 6)."""
        return (jnp.asarray(t) + 1.0) ** -self.tracking

    def gamma(self, t: int | Array) -> Array:
        """Return the share of the way to the surrogate's maximiser that iteration t goes (spec 6)."""
        return (jnp.asarray(t) + 1.0) ** -self.stepping


class Station(eqx.Module):
    """What one station has, besides its surface; of several, every array leads with the axis of stations.

    Attributes:
        budget: P, limit of its power.
        ports: which ports exist and are on.
        serves: to which users it sends.
    """

    budget: Float[Array, "*bs"]
    ports: Bool[Array, "*bs port"]
    serves: Bool[Array, "*bs user"]


class Point(eqx.Module):
    """Where one station stands.

    Attributes:
        state: coordinates of its state.
        precoder: V = W / sqrt(P); zero for ports that are off and users that it does not serve.
    """

    state: Float[Array, "..."]
    precoder: Complex[Array, "*bs freq user port"]


class Heard(eqx.Module):
    """What one station contributes to the signals of the users.

    Attributes:
        amplitudes: z_b, what it sends into the exchange.
        rows: g = c^T A(x), channel of its ports.
        kept: of the surface's forward pass, for its backward pass.
    """

    amplitudes: Complex[Array, "*bs freq user user2"]
    rows: Complex[Array, "*bs freq user port"]
    kept: Any


class Track(eqx.Module):
    """Gradients and curvature that one station accumulates over the iterations (spec eq. 16).

    Attributes:
        state: d_v, in the coordinates of the state.
        precoder: d_W, the gradient in V^*.
        curvature: H of the structured surrogate.
    """

    state: Float[Array, "..."]
    precoder: Complex[Array, "*bs freq user port"]
    curvature: Complex[Array, "*bs freq port port"]


def check_box(feasible: FeasibleSet, scheme: str) -> None:
    """Refuse sets whose states are not a real box; a set without anything to tune is one.

    Raises:
        ConfigError: if it is another set.
    """
    if not isinstance(feasible, Fixed | RealBox):
        raise ConfigError(
            f"feasible: {scheme} tunes real states between a smallest and a largest one, got {type(feasible).__name__}"
        )


def to_coordinates(rules: Rules, state: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the coordinates of a state."""
    return jnp.arctan(state) if rules.coordinate == "phase" else state


def state_of(rules: Rules, surface: Surface, point: Point) -> Float[Array, "..."]:
    """Return the state, to the last bit inside its set."""
    return surface.feasible.project(_from_coordinates(rules, point.state))


def listen(rules: Rules, surface: Surface, station: Station, point: Point, channel: Channel) -> Heard:
    """Return a station's part z_b[k, u, j] = g_b[k, u]^T w_b[k, j] of what users receive (spec eq. 12).

    Args:
        rules: common knowledge.
        surface: its antenna.
        station: its budget and masks.
        point: its state and precoder.
        channel: c, its own channel (or a sample of it).
    """
    rows, kept = surface.rows_forward(state_of(rules, surface, point), channel)
    rows = rows * station.ports
    sent = jnp.sqrt(station.budget) * cmatmul(rows, point.precoder.swapaxes(1, 2))
    return Heard(sent, rows, kept)


def sum_rate(rules: Rules, z: Amplitudes) -> Float[Array, ""]:
    """Return R = 1/K sum_k sum_u weight_u log2(1 + SINR_ku) (spec eqs. 13 and 14) [bit/s/Hz].

    >>> jax.config.update("jax_enable_x64", True)
    >>> rules = Rules(jnp.asarray(1.0), jnp.ones(1), jnp.asarray(0.1), stations=1)
    >>> float(sum_rate(rules, jnp.full((1, 1, 1), jnp.sqrt(3.0) + 0j)))
    2.0
    """
    own, interference = _powers(rules, z)
    return (rules.weights * jnp.log1p(own / interference)).sum(-1).mean() * NAT_TO_BIT


def slopes(rules: Rules, z: Amplitudes) -> tuple[Amplitudes, Float[Array, "freq user"]]:
    """Return Psi = dR/dz^* (spec eqs. 17 to 19) and the curvatures b of the global minorant (spec 5).

    R(z) >= R(z^t) + 2 Re<Psi, z - z^t> - sum_ku b_ku sum_j |z_kuj - z^t_kuj|^2.
    """
    own, interference = _powers(rules, z)
    scale = rules.weights * NAT_TO_BIT / z.shape[0]
    total = interference + own
    # 1 / I - 1 / T without the difference of two large numbers
    curvature = scale * own / (interference * total)
    diagonal = jnp.eye(z.shape[1], dtype=bool)
    return z * jnp.where(diagonal, (scale / total)[..., None], -curvature[..., None]), curvature


def fresh_track(rules: Rules, surface: Surface, station: Station, point: Point, heard: Heard, z: Amplitudes) -> Track:
    """Return gradients and curvature at a point, from a station's own data and the summed amplitudes.

    Signal model: dR/dw_j^* = sum_u Psi_uj g_u^* (spec eqs. 17 to 19); the state's gradient is the surface's backward
    pass for the cotangent of g (spec eq. 22); H = B P sum_u b_u g_u^* g_u^T (spec 5).

    Args:
        rules: common knowledge.
        surface: its antenna.
        station: its budget and masks.
        point: its state and precoder.
        heard: result of `listen` there.
        z: sum of the amplitudes of all stations.
    """
    psi, b = slopes(rules, z)
    root = jnp.sqrt(station.budget)
    by_precoder = root * cmatmul(psi.swapaxes(1, 2), heard.rows.conj()) * station.serves[:, None]
    # JAX's cotangent of g is 2 dR/dg, without a conjugate.
    by_rows = 2 * root * cmatmul(psi.conj(), point.precoder) * station.ports
    state = state_of(rules, surface, point)
    by_state = surface.rows_backward(state, heard.kept, by_rows)
    if rules.coordinate == "phase":
        by_state = (1 + state**2) * by_state
    weighted = rules.stations * station.budget * b[..., None] * heard.rows
    return Track(by_state, by_precoder, cmatmul(hermitian(heard.rows), weighted))


def no_track(point: Point) -> Track:
    """Return what is tracked before the first iteration."""
    freq, _, ports = point.precoder.shape
    return Track(0 * point.state, 0 * point.precoder, jnp.zeros((freq, ports, ports), complex))


def tracked(old: Track, fresh: Track, rho: Float[Array, ""]) -> Track:
    """Return (1 - rho) old + rho fresh (spec eq. 16)."""
    return jax.tree.map(lambda a, b: (1 - rho) * a + rho * b, old, fresh)


def targets(rules: Rules, surface: Surface, station: Station, point: Point, track: Track) -> list[Point]:
    """Return the maximisers of the surrogates: one, or those of both for `best` (spec eqs. 20 and 21, 12).

    Where the power matrix M is not the identity, the precoder's step is taken in L^H V with M = L L^H, so the proximal
    weight counts power, too; the step of the state then follows the gradient of R - lambda tr(V^H M V).

    Args:
        rules: common knowledge.
        surface: its antenna.
        station: its budget and masks.
        point: where it stands.
        track: tracked gradients and curvature.

    Returns:
        Points to move towards.
    """
    root = jnp.linalg.cholesky(_power_matrix(rules, surface, station, state_of(rules, surface, point)))
    eye = jnp.broadcast_to(jnp.eye(root.shape[-1], dtype=root.dtype), root.shape)
    inverse = jax.scipy.linalg.solve_triangular(root, eye, lower=True)
    v = cmatmul(hermitian(root), point.precoder.swapaxes(1, 2))
    slope = cmatmul(inverse, track.precoder.swapaxes(1, 2))
    steps = []
    if rules.surrogate != "linear":
        curvature = cmatmul(inverse, cmatmul(track.curvature, hermitian(inverse)))
        steps.append(structured_step(v, slope, curvature, rules.proximal))
    if rules.surrogate != "structured":
        weight = proximal_weight(slope, rules.step_precoder, _LEAST_LINEAR_WEIGHT)
        steps.append(linear_step(v, slope, weight))
    price = _power_slope(rules, surface, station, point)
    found = []
    for target, multiplier in steps:
        sent = cmatmul(hermitian(inverse), target).swapaxes(1, 2) * (station.serves[:, None] & station.ports)
        found.append(Point(_state_target(rules, surface, point, track.state - multiplier * price), sent))
    return found


def move(rules: Rules, surface: Surface, station: Station, point: Point, target: Point, gamma: float | Array) -> Point:
    """Go a share of the way to a target; a precoder that the new state lifts above the budget is scaled down."""
    moved = jax.tree.map(lambda a, b: a + gamma * (b - a), point, target)
    return within_budget(rules, surface, station, moved)


def within_budget(rules: Rules, surface: Surface, station: Station, point: Point) -> Point:
    """Return the point with its precoder masked and scaled down to the budget; changes no feasible precoder."""
    v = point.precoder * (station.serves[:, None] & station.ports)
    used = _used(rules, surface, station, state_of(rules, surface, point), v)
    return Point(point.state, v / jnp.sqrt(jnp.maximum(1, used)))


def full_power(rules: Rules, surface: Surface, station: Station, point: Point) -> Point:
    """Return the point with its precoder masked and scaled to use the budget up; zero stays zero."""
    v = point.precoder * (station.serves[:, None] & station.ports)
    used = _used(rules, surface, station, state_of(rules, surface, point), v)
    return Point(point.state, v / jnp.sqrt(jnp.where(used > 0, used, 1)))


def _powers(rules: Rules, z: Amplitudes) -> tuple[Float[Array, "freq user"], Float[Array, "freq user"]]:
    """Return own power and disturbance of every user; the disturbance is summed without the own part."""
    power = z.real**2 + z.imag**2
    diagonal = jnp.eye(z.shape[1], dtype=bool)
    disturbing = jnp.where(diagonal, 0, power).sum(-1) + rules.noise_power
    return jnp.where(diagonal, power, 0).sum(-1), disturbing


def _power_matrix(
    rules: Rules, surface: Surface, station: Station, state: Float[Array, "..."]
) -> Complex[Array, "freq port port"]:
    """Return M with tr(V^H M V) <= 1 the budget, one if all subcarriers share it; ports that are off count alone."""
    matrix = surface.power_matrix(state, rules.kind).astype(complex)
    ports = matrix.shape[-1]
    on = station.ports[:, None] & station.ports
    eye = jnp.eye(ports)
    mean = jnp.trace(matrix, axis1=1, axis2=2).real[:, None, None] / ports
    return jnp.where(on, matrix + _RIDGE * jnp.where(mean > 0, mean, 1) * eye, eye)


def _used(
    rules: Rules, surface: Surface, station: Station, state: Float[Array, "..."], v: Complex[Array, "freq user port"]
) -> Float[Array, ""]:
    """Return tr(V^H M V), the share of the budget that is used."""
    through = cmatmul(v, _power_matrix(rules, surface, station, state).swapaxes(1, 2))
    return (v.conj() * through).real.sum()


def _power_slope(rules: Rules, surface: Surface, station: Station, point: Point) -> Float[Array, "..."]:
    """Return the gradient of tr(V^H M V) in the coordinates of the state."""

    def used(coordinates: Float[Array, "..."]) -> Float[Array, ""]:
        return _used(rules, surface, station, _from_coordinates(rules, coordinates), point.precoder)

    return jax.grad(used)(point.state)


def _from_coordinates(rules: Rules, coordinates: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.tan(coordinates) if rules.coordinate == "phase" else coordinates


def _state_target(rules: Rules, surface: Surface, point: Point, slope: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return clip(v + d / (2 tau)) to the box (spec eq. 21), |d / (2 tau)| at most the step length."""
    if not rules.tune_states or not isinstance(surface.feasible, RealBox):
        return point.state
    weight = proximal_weight(slope, 2 * rules.step_state, _LEAST_STATE_WEIGHT)
    ends = jnp.asarray([surface.feasible.least, surface.feasible.most])
    return jnp.clip(point.state + slope / (2 * weight), *to_coordinates(rules, ends))
