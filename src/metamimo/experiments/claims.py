"""Claims as code: what a source says, how the stored data answer, and the verdict with its number."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metamimo.errors import MetamimoError
from metamimo.experiments.statistics import TooFewTrials, mean_estimate, ordering, paired_difference, ratio_of_means

if TYPE_CHECKING:
    from metamimo.experiments.results import Results

Point = Mapping[str, Any]
_BADNESS = ("below", "unresolved", "above")


class MissingPoint(MetamimoError, LookupError):
    """The data hold no such scheme or grid point, so a claim about it stays open."""


@dataclass(frozen=True)
class Verdict:
    """Outcome of a check: True, False, or None where the data do not decide; with the number behind it."""

    holds: bool | None
    measured: float | str
    stderr: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Claim:
    """What a source says about its data, and the function that measures it on ours."""

    id: str
    text: str
    expected: str
    check: "Callable[[Results], Verdict]"


@dataclass(frozen=True)
class CheckedClaim:
    """A claim beside its verdict."""

    claim: Claim
    verdict: Verdict

    def as_record(self) -> dict[str, Any]:
        """Return the entry of claims.json."""
        return {
            "id": self.claim.id,
            "text": self.claim.text,
            "holds": self.verdict.holds,
            "measured": self.verdict.measured,
            "stderr": self.verdict.stderr,
            "expected": self.claim.expected,
            "note": self.verdict.note,
        }


def evaluate(claims: Iterable[Claim], results: "Results") -> list[CheckedClaim]:
    """Check every claim on stored results; missing points or too few realisations leave a claim open."""
    checked = []
    for claim in claims:
        try:
            verdict = claim.check(results)
        except (MissingPoint, TooFewTrials) as error:
            verdict = Verdict(None, "not measured", note=str(error.args[0]))
        checked.append(CheckedClaim(claim, verdict))
    return checked


def is_above(variable: str, upper: str, lower: str, points: Iterable[Point]) -> "Callable[[Results], Verdict]":
    """Return a check that one scheme lies above another at every point, by paired differences.

    Args:
        variable: The compared variable.
        upper, lower: Scheme labels.
        points: Grid points, each a mapping from axis name to value.

    Returns:
        Holds if all differences exceed 2 standard errors, fails if one is as clearly negative, else stays open. The
        measured number is the difference at the point that decides.
    """
    listed = tuple(points)

    def check(results: "Results") -> Verdict:
        pairs = [(results.samples(variable, upper, p), results.samples(variable, lower, p)) for p in listed]
        signs = [ordering(*pair) for pair in pairs]
        differences = [paired_difference(*pair) for pair in pairs]
        # The verdict is that of the worst point, and so is the number beside it.
        worst = min(range(len(listed)), key=lambda i: (_BADNESS.index(signs[i]), differences[i].mean))
        holds = {"below": False, "unresolved": None, "above": True}[signs[worst]]
        where = _words(listed[worst])
        note = f"least favourable difference {upper} minus {lower}, at {where}, n={differences[worst].n}"
        return Verdict(holds, differences[worst].mean, differences[worst].stderr, note)

    return check


def is_within(variable: str, scheme: str, low: float, high: float, point: Point) -> "Callable[[Results], Verdict]":
    """Return a check that a scheme's mean lies in a band; open where the band's edge is within 2 standard errors."""

    def check(results: "Results") -> Verdict:
        value = mean_estimate(results.samples(variable, scheme, point))
        return Verdict(_in_band(value.mean, value.stderr, low, high), value.mean, value.stderr, f"n={value.n}")

    return check


def ratio_is_within(
    variable: str, top: str, bottom: str, low: float, high: float, point: Point
) -> "Callable[[Results], Verdict]":
    """Return a check that the ratio of two schemes' means lies in a band, with a bootstrap standard error."""

    def check(results: "Results") -> Verdict:
        pair = results.samples(variable, top, point), results.samples(variable, bottom, point)
        ratio = ratio_of_means(*pair)
        return Verdict(_in_band(ratio.mean, ratio.stderr, low, high), ratio.mean, ratio.stderr, f"n={ratio.n}")

    return check


def _in_band(value: float, stderr: float, low: float, high: float) -> bool | None:
    if low <= value - 2 * stderr and value + 2 * stderr <= high:
        return True
    if value + 2 * stderr < low or value - 2 * stderr > high:
        return False
    return None


def _words(point: Point) -> str:
    return ", ".join(f"{name}={value}" for name, value in point.items()) or "the only point"
