"""The claims of the paper on data with known answers: what holds, what fails, what the data leave open."""

import copy

import numpy as np
import pytest
from synthetic_results import TRIALS, results

from metamimo.experiments.claims import evaluate
from metamimo.papers import registry

EE, RATE = "energy_efficiency", "sum_rate"
LP, REDRF, NOLP, BARE = "SIM-LP", "SIM-NoLP-RedRF", "SIM-NoLP", "LP-NoSIM"

# Means for which every claim of the figure holds, over the full-size grid.
GRIDS = {
    "fig3": ("n_elements", (16, 25, 49, 100, 196)),
    "fig4": ("n_layers", (1, 2, 4, 8)),
    "fig6": ("power_dbm", (0.0, 10.0, 20.0, 30.0, 40.0)),
}
HOLDING = {
    "fig3": {
        EE: {
            LP: [3.0, 4.8, 7.68, 11.76, 13.8],
            REDRF: [1.0, 2.62, 5.98, 9.04, 10.96],
            NOLP: [0.8, 2.15, 4.55, 6.845, 7.805],
            BARE: [5.2, 5.2, 5.2, 5.2, 5.2],
        }
    },
    "fig4": {
        EE: {LP: [6.0, 9.0, 9.0, 5.0], REDRF: [3.0, 6.0, 5.0, 2.0], NOLP: [2.0, 5.0, 4.0, 1.0], BARE: [5.0] * 4},
        RATE: {LP: [8.0, 9.0, 9.0, 7.0], REDRF: [3.0, 6.0, 5.0, 2.0], NOLP: [4.0, 7.0, 6.0, 3.0], BARE: [5.0] * 4},
    },
    "fig6": {
        EE: {
            LP: [3.0, 5.0, 8.0, 12.0, 13.0],
            REDRF: [1.0, 2.0, 4.0, 7.0, 9.0],
            NOLP: [0.6, 1.5, 3.0, 5.0, 7.0],
            BARE: [0.9, 1.8, 3.5, 6.0, 8.0],
        }
    },
}
ALL = [claim.id for figure in GRIDS for claim in registry.load(f"sim-broadcast-ee/{figure}", "full").claims]


def check(figure, changes=(), *, mode="full", points=slice(None), **options):
    """Return the verdicts by claim, for the holding tables with some means changed."""
    axis, grid = GRIDS[figure]
    tables = copy.deepcopy(HOLDING[figure])
    for variable, scheme, value, mean in changes:
        tables[variable][scheme][grid.index(value)] = mean
    tables = {v: {s: means[points] for s, means in table.items()} for v, table in tables.items()}
    found = results(axis, grid[points], tables, **options)
    claims = registry.load(f"sim-broadcast-ee/{figure}", mode).claims
    return {item.claim.id: item.verdict for item in evaluate(claims, found)}


@pytest.mark.parametrize("figure", GRIDS)
def test_all_hold_on_data_as_the_paper_draws_them(figure):
    verdicts = check(figure)
    assert {name: verdict.holds for name, verdict in verdicts.items()} == dict.fromkeys(verdicts, True)
    for verdict in verdicts.values():
        assert verdict.stderr > 0
        assert f"n={TRIALS}" in verdict.note


# Each line changes means so that one claim fails, then so that the deciding difference is exactly zero.
CASES = [
    ("fig3", "3a", [(EE, NOLP, 196, 6.0)], False, -0.845, "SIM-NoLP from 100 to 196"),
    ("fig3", "3a", [(EE, NOLP, 196, 6.845)], None, 0.0, "SIM-NoLP from 100 to 196"),
    ("fig3", "3b", [(EE, LP, 196, 17.0)], False, 4.08 / 5.24, "fitted"),
    ("fig3", "3b", [(EE, LP, 196, 11.76 + 4.08 / 2.6)], None, 2.6, "fitted"),
    ("fig3", "3c", [(EE, REDRF, 49, 4.0)], False, -0.55, "SIM-NoLP-RedRF minus SIM-NoLP at 49"),
    ("fig3", "3c", [(EE, REDRF, 196, 8.005)], None, 0.0, "gap at 196 minus gap at 16"),
    ("fig3", "3d-small", [(EE, LP, 25, 6.0)], False, -0.8, "LP-NoSIM minus SIM-LP at 25"),
    ("fig3", "3d-small", [(EE, REDRF, 16, 5.2)], None, 0.0, "LP-NoSIM minus SIM-NoLP-RedRF at 16"),
    ("fig3", "3d-large", [(EE, NOLP, 196, 5.0)], False, -0.2, "SIM-NoLP minus LP-NoSIM at 196"),
    ("fig3", "3d-large", [(EE, REDRF, 100, 5.2)], None, 0.0, "SIM-NoLP-RedRF minus LP-NoSIM at 100"),
    ("fig3", "3f", [(EE, LP, 16, 0.9)], False, -0.1, "SIM-LP minus SIM-NoLP-RedRF at 16"),
    ("fig3", "3f", [(EE, LP, 25, 2.62)], None, 0.0, "SIM-LP minus SIM-NoLP-RedRF at 25"),
    ("fig4", "4a", [(EE, LP, 1, 10.0)], False, -1.0, "energy_efficiency of SIM-LP, 2 minus 1 layers"),
    ("fig4", "4a", [(RATE, LP, 8, 9.5)], False, -0.5, "sum_rate of SIM-LP"),
    ("fig4", "4a", [(RATE, LP, 1, 9.0)], None, 0.0, "sum_rate of SIM-LP, 2 minus 1 layers"),
    ("fig4", "4b", [(EE, LP, 8, 3.0)], False, 0.6, "range of L cut at 8"),
    ("fig4", "4b", [(EE, LP, 8, 6.25)], None, 1.25, "range of L cut at 8"),
    ("fig4", "4c", [(EE, REDRF, 8, 5.5)], False, -0.5, "energy_efficiency of SIM-NoLP-RedRF, 4 minus 8 layers"),
    ("fig4", "4c", [(RATE, NOLP, 8, 6.0)], None, 0.0, "sum_rate of SIM-NoLP, 4 minus 8 layers"),
    ("fig4", "4d", [(RATE, REDRF, 4, 6.5)], False, -0.5, "SIM-NoLP minus SIM-NoLP-RedRF at 4"),
    ("fig4", "4d", [(EE, NOLP, 1, 3.0)], None, 0.0, "SIM-NoLP-RedRF minus SIM-NoLP at 1"),
    ("fig6", "6a", [(EE, BARE, 40.0, 5.5)], False, -0.5, "LP-NoSIM from 30 to 40"),
    ("fig6", "6a", [(EE, LP, 40.0, 12.0)], None, 0.0, "SIM-LP from 30 to 40"),
    ("fig6", "6b", [(EE, REDRF, 0.0, 0.2)], False, 0.2 / 0.9, "SIM-LP"),
    ("fig6", "6b", [(EE, REDRF, 0.0, 0.63)], None, 0.7, "SIM-LP"),
    ("fig6", "6d", [(EE, LP, 20.0, 3.8)], False, -0.2, "SIM-LP minus SIM-NoLP-RedRF at 20"),
    ("fig6", "6d", [(EE, BARE, 10.0, 2.0)], None, 0.0, "SIM-NoLP-RedRF minus LP-NoSIM at 10"),
]


@pytest.mark.parametrize(("figure", "claim", "changes", "holds", "measured", "note"), CASES)
def test_the_deciding_number_decides(figure, claim, changes, holds, measured, note):
    verdict = check(figure, changes)[claim]
    assert verdict.holds is holds
    assert verdict.measured == pytest.approx(measured, abs=1e-9)
    assert note in verdict.note


def test_every_claim_is_tried_both_ways():
    tried = {(claim, holds) for _, claim, _, holds, _, _ in CASES}
    assert tried == {(claim, holds) for claim in ALL for holds in (False, None)}


@pytest.mark.parametrize("figure", GRIDS)
def test_much_noise_leaves_every_claim_open(figure):
    """With errors far above all differences nothing is asserted, either way."""
    assert {verdict.holds for verdict in check(figure, noise=1e3).values()} == {None}


@pytest.mark.parametrize(
    ("figure", "points", "missing", "open_claims"),
    [
        ("fig3", slice(0, 4), "n_elements=196", {"3a", "3b", "3c", "3d-large", "3f"}),
        ("fig3", slice(1, 5), "n_elements=16", {"3a", "3c", "3d-small", "3f"}),
        ("fig4", slice(0, 3), "n_layers=8", {"4a", "4b", "4c", "4d"}),
        ("fig6", slice(1, 5), "power_dbm=0.0", {"6a", "6b", "6d"}),
    ],
)
def test_missing_points_leave_open_what_needs_them(figure, points, missing, open_claims):
    for name, verdict in check(figure, points=points).items():
        assert verdict.holds is (None if name in open_claims else True)
        if name in open_claims:
            assert verdict.measured == "not measured"
            assert f"no point {missing}" in verdict.note


def test_a_single_realisation_decides_nothing():
    for verdict in check("fig3", trials=1).values():
        assert verdict.holds is None
        assert "at least 2" in verdict.note


def test_realisations_that_did_not_converge_do_not_count():
    counts = np.arange(TRIALS) < TRIALS // 2
    for name, verdict in check("fig3", counts=counts).items():
        assert verdict.holds is True, name
        assert f"n={TRIALS // 2}" in verdict.note


def test_pairs_are_formed_by_realisation_and_only_complete_ones_count():
    """Two schemes lose different realisations: what is compared is measured on those that both have."""
    counts = np.ones((4, 5, TRIALS), bool)
    counts[0, :, :3] = False
    counts[1, :, -4:] = False
    curve = zip(GRIDS["fig3"][1], HOLDING["fig3"][EE][LP], strict=True)
    changes = [(EE, REDRF, value, mean - 0.1) for value, mean in curve]
    verdict = check("fig3", changes, counts=counts)["3f"]
    assert "SIM-LP minus SIM-NoLP-RedRF" in verdict.note
    assert f"n={TRIALS - 7}" in verdict.note
