"""Claims of the paper on its figures, as code: one file a figure, numbered C1 to C24 as in its checklist.

Most parameters of the paper are lost, so claims test shapes and orders of curves, not levels. Bands that the paper does
not give are ours and named so.
"""

from metamimo.papers.sim_miso_ee.claims.antennas import fig3
from metamimo.papers.sim_miso_ee.claims.atoms import fig5
from metamimo.papers.sim_miso_ee.claims.convergence import fig2, fig2_clarabel
from metamimo.papers.sim_miso_ee.claims.layers import fig8, fig8_pga
from metamimo.papers.sim_miso_ee.claims.power import fig7
from metamimo.papers.sim_miso_ee.claims.prices import fig10

__all__ = ["fig2", "fig2_clarabel", "fig3", "fig5", "fig7", "fig8", "fig8_pga", "fig10"]
