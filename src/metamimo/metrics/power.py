"""Powers of a design and its ledger."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Inexact

from metamimo.linalg import cmatmul, squared_norm
from metamimo.metrics.effective import State
from metamimo.problem import Consumption, Design, Ledger, Link, Problem
from metamimo.surfaces.base import PowerKind


def power_matrices(link: Link, state: State, kind: PowerKind) -> Inexact[Array, "bs freq port port"]:
    """Return M of every station, zero-padded to the common number of ports and to all subcarriers."""
    freq, bs = link.channel.shape[:2]
    if len(link.surfaces) == 1:
        each = jax.vmap(lambda s: link.surfaces[0].power_matrix(s, kind))(state[0])
    else:
        width = link.ports.shape[1]
        matrices = [surface.power_matrix(s, kind) for surface, s in zip(link.surfaces, state, strict=True)]
        each = jnp.stack([_pad(jnp.broadcast_to(m, (freq, *m.shape[1:])), width) for m in matrices])
    return jnp.broadcast_to(each, (bs, freq, *each.shape[2:]))


def station_power(
    link: Link, matrices: Inexact[Array, "bs freq port port"], precoder: Complex[Array, "freq bs user port stream"]
) -> Float[Array, " bs"]:
    """Return tr(F^H M F) of every station, summed over subcarriers, users and streams [W]."""
    f = _sent(link, precoder)
    through = cmatmul(matrices.transpose(1, 0, 2, 3).astype(f.dtype), f)
    return (f.conj() * through).real.sum((0, 2, 3))


def port_power(link: Link, precoder: Complex[Array, "freq bs user port stream"]) -> Float[Array, "bs port"]:
    """Return the power of every port wave, summed over subcarriers, users and streams [W]."""
    return squared_norm(_sent(link, precoder), (0, 3))


def charged_chains(link: Link, consumption: Consumption, driven: Bool[Array, "bs port"]) -> Float[Array, ""]:
    """Return the number of RF chains that consume power: the existing ones, or only those that carry a signal."""
    charged = link.ports if consumption.idle_chains else link.ports & driven
    return charged.sum().astype(float)


def ledger(problem: Problem, design: Design) -> Ledger:
    """Return where the power of a design goes.

    Args:
        problem: link and consumption model.
        design: states and precoder.

    Returns:
        Accepted, radiated and lost power of each station and the consumed power of the network [W].
    """
    link, consumption = problem.link, problem.consumption
    accepted = station_power(link, power_matrices(link, design.state, "accepted"), design.precoder)
    radiated = station_power(link, power_matrices(link, design.state, "radiated"), design.precoder)
    chains = charged_chains(link, consumption, port_power(link, design.precoder) > 0)
    consumed = accepted.sum() / consumption.amplifier_efficiency + consumption.fixed(link, chains)
    return Ledger(accepted=accepted, radiated=radiated, lost=accepted - radiated, consumed=consumed)


def emitted_power(link: Link, design: Design) -> Float[Array, " bs"]:
    """Return the power |x|^2 that the elements of every station emit, without their coupling [W].

    Between planes |x|^2 counts as power: what a stack loses against the accepted power is spill-over past its layers.

    Args:
        link: surfaces and serving mask.
        design: states and precoder.
    """
    sent, shared = _sent(link, design.precoder), len(link.surfaces) == 1
    powers = []
    for station in range(sent.shape[1]):
        surface = link.surfaces[0 if shared else station]
        response = surface.response(design.state[0][station] if shared else design.state[station])
        powers.append(squared_norm(cmatmul(response, sent[:, station, : surface.n_ports])))
    return jnp.stack(powers)


def _sent(link: Link, precoder: Complex[Array, "freq bs user port stream"]) -> Complex[Array, "freq bs port all"]:
    """Return the streams that every station really sends, ports first."""
    f, b, u, p, s = precoder.shape
    sent = precoder * link.serves[None, :, :, None, None] * link.ports[None, :, None, :, None]
    return sent.transpose(0, 1, 3, 2, 4).reshape(f, b, p, u * s)


def _pad(matrix: Inexact[Array, "freq port port"], width: int) -> Inexact[Array, "freq wide wide"]:
    missing = width - matrix.shape[-1]
    return jnp.pad(matrix, ((0, 0), (0, missing), (0, missing)))
