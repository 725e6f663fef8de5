"""Effective channel H A from ports to users: the only functions that see surfaces and channels together."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Inexact

from metamimo.problem import Link

State = tuple[Inexact[Array, "..."], ...]


def effective_channel(link: Link, state: State) -> Complex[Array, "freq bs user rx port"]:
    """Return H[f, b] A_b(state) for every station and user; ports that are switched off have zero columns.

    Args:
        link: channel and surfaces.
        state: state of every surface; a shared surface has a leading axis of stations.

    Returns:
        The channel from port waves [sqrt(W)] to received waves [sqrt(W)].
    """
    if len(link.surfaces) == 1:
        surface, shared = link.surfaces[0], state[0]
        if link.channel.shape[1] == 1:
            out = surface.apply_rows(shared[0], link.channel[:, 0])[:, None]
        else:
            out = jax.vmap(surface.apply_rows, in_axes=(0, 1), out_axes=1)(shared, link.channel)
    else:
        width = link.ports.shape[1]
        each = [
            surface.apply_rows(s, link.channel[:, b, ..., : surface.n_elements])
            for b, (surface, s) in enumerate(zip(link.surfaces, state, strict=True))
        ]
        out = jnp.stack([jnp.pad(h, [(0, 0)] * 3 + [(0, width - h.shape[-1])]) for h in each], 1)
    return out * link.ports[None, :, None, None, :]


def broadcast_forward(link: Link, state: Inexact[Array, "..."]) -> tuple[Complex[Array, "user rx port"], Any]:
    """Return the effective channel of one station and subcarrier, and what `broadcast_backward` needs."""
    out, kept = link.surfaces[0].rows_forward(state, link.channel[:, 0])
    return out[0] * link.ports[0], kept


def broadcast_backward(
    link: Link, state: Inexact[Array, "..."], kept: Any, cotangent: Complex[Array, "user rx port"]
) -> Inexact[Array, "..."]:
    """Return the cotangent of the state for a cotangent of the effective channel (JAX's convention)."""
    return link.surfaces[0].rows_backward(state, kept, (cotangent * link.ports[0])[None])
