"""Claims: verdicts that follow from the data, and honest about what the data do not decide."""

import numpy as np
import pytest

from metamimo.experiments.claims import (
    Claim,
    MissingPoint,
    Verdict,
    evaluate,
    is_above,
    is_within,
    ratio_is_within,
)
from metamimo.figures.claim_table import claim_line, print_claims

NOISE = np.array([-1.0, 1.0, -1.0, 1.0])


class FakeResults:
    """Samples by scheme and point, nothing else."""

    def __init__(self, **samples):
        self.stored = samples

    def samples(self, variable, scheme, point):
        assert variable == "ee"
        try:
            return np.asarray(self.stored[scheme][point.get("n", 0)])
        except IndexError:
            raise MissingPoint(f"this run has no point n={point['n']}") from None


RESULTS = FakeResults(
    high=[10 + NOISE, 10 + NOISE, 10 + NOISE],
    low=[5 + NOISE, 10 - NOISE, 12 + 1.1 * NOISE],
)
POINTS = [{"n": 0}, {"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    ("points", "holds", "measured"), [(POINTS[:1], True, 5.0), (POINTS[:2], None, 0.0), (POINTS, False, -2.0)]
)
def test_is_above_gives_the_deciding_point(points, holds, measured):
    verdict = is_above("ee", "high", "low", points)(RESULTS)
    assert verdict.holds is holds
    assert verdict.measured == pytest.approx(measured)
    assert f"n={points[-1]['n']}" in verdict.note
    assert "n=4" in verdict.note


@pytest.mark.parametrize(("low", "high", "holds"), [(5, 15, True), (12, 15, False), (9, 15, None), (10.5, 15, None)])
def test_is_within(low, high, holds):
    """Mean 10, standard error 0.58: the band must contain or miss two standard errors."""
    assert is_within("ee", "high", low, high, {"n": 0})(RESULTS).holds is holds


@pytest.mark.parametrize(("low", "high", "holds"), [(1.0, 3.0, True), (2.5, 3.0, False), (2.0, 3.0, None)])
def test_ratio_is_within(low, high, holds):
    verdict = ratio_is_within("ee", "high", "low", low, high, {"n": 0})(RESULTS)
    assert verdict.holds is holds
    assert verdict.measured == pytest.approx(2.0)


def test_missing_points_and_single_realisations_leave_a_claim_open():
    single = FakeResults(high=[[1.0]], low=[[0.0]])
    claims = [Claim("a", "text", "> 0", is_above("ee", "high", "low", [{"n": 9}]))]
    (missing,) = evaluate(claims, RESULTS)
    assert missing.verdict.holds is None
    assert "no point n=9" in missing.verdict.note
    (lonely,) = evaluate([Claim("b", "text", "> 0", is_above("ee", "high", "low", [{}]))], single)
    assert lonely.verdict.holds is None
    assert "at least 2" in lonely.verdict.note


def test_an_error_in_a_check_is_not_hidden():
    def check(results):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        evaluate([Claim("a", "text", "x", check)], RESULTS)


def test_table_marks_what_does_not_hold(capsys):
    claims = [Claim(str(h), "text", "x", lambda r, h=h: Verdict(h, 1.5, 0.25, "why")) for h in (True, False, None)]
    checked = evaluate(claims, RESULTS)
    print_claims(checked)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [claim_line(item) for item in checked]
    assert [line.split("  ")[0].strip() or line.split()[0] for line in lines][1].startswith("DOES NOT HOLD")
    assert "1.5 ± 0.25" in lines[1]
    assert "(why)" in lines[1]


def test_table_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    print_claims(evaluate([Claim("a", "[text]", "x", lambda r: Verdict(False, "n/a"))], RESULTS))
    out = capsys.readouterr().out
    assert "DOES NOT HOLD" in out
    assert "[text]" in out
