"""Figures by name. The table holds strings, so that listing and looking up import no paper."""

import difflib
import importlib
from typing import TYPE_CHECKING, Literal, NamedTuple

from metamimo.errors import ConfigError

if TYPE_CHECKING:
    from metamimo.experiments.study import Study

Mode = Literal["quick", "full"]
ALL = "all"


class Entry(NamedTuple):
    """Where a figure's study comes from: ``module.function(mode) -> Study``, and one line about it."""

    module: str
    function: str
    title: str


_SIM_BROADCAST_EE = "metamimo.papers.sim_broadcast_ee"
FIGURES: dict[str, Entry] = {
    f"sim-broadcast-ee/{name}": Entry(f"{_SIM_BROADCAST_EE}.{module}", name.replace("-", "_"), title)
    for name, module, title in (
        ("fig2", "figures", "Convergence of the paper's algorithms for several numbers of layers"),
        ("fig2-passive", "figures", "The same with a stack that cannot create energy"),
        ("fig3", "figures", "Energy efficiency against meta-atoms a layer"),
        ("fig3-passive", "figures", "The same with a stack that cannot create energy"),
        ("fig4", "figures", "Energy efficiency and sum rate against layers"),
        ("fig4-passive", "figures", "The same with a stack that cannot create energy"),
        ("fig5", "figures", "Energy efficiency against users"),
        ("fig5-passive", "figures", "The same with a stack that cannot create energy"),
        ("fig6", "figures", "Energy efficiency against the power limit"),
        ("fig6-passive", "figures", "The same with a stack that cannot create energy"),
        ("fig7", "quantised", "Energy efficiency against bits of the phases"),
        ("fig7-passive", "quantised", "The same with a stack that cannot create energy"),
        ("fig8", "complexity", "Multiplications an iteration against antennas, schemes with a metasurface"),
        ("fig9", "complexity", "Multiplications an iteration against antennas, schemes without"),
        ("fair", "fair", "Stack, hybrid and digital arrays on one aperture, over prices and losses"),
        ("spacing", "spacing", "Energy efficiency against layer spacing for three kernels"),
    )
}
_SIM_MISO_EE = "metamimo.papers.sim_miso_ee"
FIGURES |= {
    f"sim-miso-ee/{name}": Entry(f"{_SIM_MISO_EE}.figures", name.replace("-", "_"), title)
    for name, title in (
        ("fig2", "Convergence of the alternating schemes"),
        ("fig2-clarabel", "Two solvers of the layer programs (Fig. 2)"),
        ("fig3", "Energy efficiency and sum rate against antennas and meta-atoms (Figs. 3 and 4)"),
        ("fig5", "Energy efficiency and sum rate over power limits and least rates (Figs. 5 and 6)"),
        ("fig7", "Energy efficiency against the power limit, for limits of an antenna"),
        ("fig8", "Energy efficiency and sum rate against layers (Figs. 8 and 9)"),
        ("fig8-pga", "The same by projected gradient ascent, the paper's optimiser"),
        ("fig10", "Energy efficiency against meta-atoms for powers of a meta-atom"),
    )
}

FIGURES |= {
    f"hmimo-multicell/{name}": Entry(f"metamimo.papers.hmimo_multicell.{module}", name.replace("-", "_"), title)
    for name, module, title in (
        ("fig2", "growth", "Signal-to-noise ratio against elements of a strip, one user in line of sight"),
        ("fig3", "figures", "Convergence of the block descent"),
        ("fig4", "figures", "Sum rate against power, solvers of the elements against each other"),
        ("fig5", "figures", "Sum rate against power on one aperture: digital, hybrid and holographic arrays"),
        ("fig5-field", "figures", "The same at equal radiated power"),
        ("fig5-split", "figures", "The same with centre feeds that divide their wave"),
        ("fig6", "figures", "Sum rate against elements of a strip"),
        ("fig7", "trees", "Nodes that sphere decoding visits in a block"),
        ("table1", "complexity", "Multiplications of an iteration"),
        ("table2", "trees", "Wall time of a design"),
    )
}
FIGURES |= {
    f"dma-cell-free/{name}": Entry("metamimo.papers.dma_cell_free.figures", name.replace("-", "_"), title)
    for name, title in (
        ("fig1", "Sum rate against the budget, for what designers know of channel and coupling"),
        ("fig1-delta", "Sum rate against the error of the channel estimates"),
        ("messages", "Sum rate against exchanges of amplitudes"),
    )
}
FIGURES |= {
    f"sim-physical/{name}": Entry(f"metamimo.papers.sim_physical.{name}", name, title)
    for name, title in (
        ("gain", "Broadside gain of one antenna: promised, delivered, optimal, possible"),
        ("layers", "Layers in a model that conserves energy, against the usual one"),
    )
}
FIGURES |= {
    f"bounds/{name}": Entry(f"metamimo.papers.bound_gaps.{module}", name.replace("-", "_"), title)
    for name, module, title in (
        ("blocks", "blocks", "Bounds of quadratics of one block, over their optima"),
        ("dma", "slots", "Bounds of stations with parallel-plate antennas, over the best design"),
        ("hmimo", "gaps", "Bounds of several cells, over the best design"),
        ("sim-broadcast", "gaps", "Bounds of a stack that serves users with several antennas, over the best design"),
        ("sim-gain", "stages", "Bounds of the channel gain of one user behind a stack, over the best design"),
        ("sim-miso", "gaps", "Bounds of a stack that serves single antennas, over the best design"),
        ("stages", "stages", "Bounds of the digital stage with the phases held, over what it finds"),
    )
}


def register(name: str, module: str, function: str, title: str = "") -> None:
    """Add a figure of your own, so that `metamimo reproduce` finds it.

    Args:
        name: ``PAPER/FIGURE``. module, function: ``module.function(mode)`` returns the `Study`; mode is "quick" or
            "full". Workers import the module by name.
        title: One line for `metamimo list`.

    Raises:
        ConfigError: The name is taken or is not of the form PAPER/FIGURE.
    """
    if name in FIGURES:
        raise ConfigError(f"name: figure {name!r} is registered already ({FIGURES[name].module})")
    if name.count("/") != 1 or name.endswith(("/", f"/{ALL}")) or name.startswith("/"):
        raise ConfigError(f"name: must be PAPER/FIGURE, the figure not called {ALL!r} (given: {name!r})")
    FIGURES[name] = Entry(module, function, title)


def names(pattern: str) -> list[str]:
    """Return the figures that a name stands for: itself, or all of a paper for ``PAPER/all``.

    Raises:
        ConfigError: There is no such figure or paper.

    >>> names("sim-broadcast-ee/all")[:2]
    ['sim-broadcast-ee/fair', 'sim-broadcast-ee/fig2']
    """
    if pattern in FIGURES:
        return [pattern]
    paper, _, figure = pattern.partition("/")
    found = sorted(name for name in FIGURES if figure == ALL and name.startswith(f"{paper}/"))
    if found:
        return found
    papers = [f"{name.partition('/')[0]}/{ALL}" for name in FIGURES]
    close = difflib.get_close_matches(pattern, [*FIGURES, *dict.fromkeys(papers)], n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(close)}?" if close else "`metamimo list` shows all figures"
    raise ConfigError(f"figure: must be a registered PAPER/FIGURE (given: {pattern!r}); {hint}")


def load(name: str, mode: Mode = "quick") -> "Study":
    """Return the study of a figure.

    Args:
        name: A registered ``PAPER/FIGURE``.
        mode: "quick" for a few minutes, "full" for the figure as published.

    Raises:
        ConfigError: There is no such figure, its module cannot be imported, or one of its values breaks a rule.
    """
    from pydantic import ValidationError

    from metamimo.experiments.config import explain

    (name,) = names(name)
    entry = FIGURES[name]
    try:
        build = getattr(importlib.import_module(entry.module), entry.function)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{name}: cannot load {entry.module}.{entry.function} ({error})") from error
    try:
        return build(mode)
    except ValidationError as error:
        raise ConfigError(f"{name}: {explain(error)}") from None
