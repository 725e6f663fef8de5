"""Claims of the paper on its figures, as code: one file a figure, one function a figure.

Some of them were used to choose parameters that the paper's text has lost (noise power, meta-element power, RF chain
power); their notes say "fitted", because such an agreement is no prediction. Where the paper gives no number, the band
of a claim is ours and its note says so.
"""

from metamimo.experiments.claims import Claim
from metamimo.papers.sim_broadcast_ee.claims.bits import fig7
from metamimo.papers.sim_broadcast_ee.claims.convergence import fig2
from metamimo.papers.sim_broadcast_ee.claims.elements import fig3
from metamimo.papers.sim_broadcast_ee.claims.layers import fig4
from metamimo.papers.sim_broadcast_ee.claims.power import fig6
from metamimo.papers.sim_broadcast_ee.claims.users import fig5

__all__ = ["Claim", "fig2", "fig3", "fig4", "fig5", "fig6", "fig7"]
