"""The claim table, for a terminal or a log."""

import sys
from collections.abc import Sequence

from metamimo.experiments.claims import CheckedClaim, Verdict

MARKS = {True: "holds", False: "DOES NOT HOLD", None: "open"}
_COLOURS = {True: "green", False: "bold red", None: "yellow"}


def print_claims(checked: Sequence[CheckedClaim]) -> None:
    """Print the claims: a table on a terminal, plain lines otherwise."""
    if not checked:
        sys.stdout.write("No claims are declared for this figure.\n")
    elif sys.stdout.isatty():
        _print_table(checked)
    else:
        sys.stdout.writelines(f"{claim_line(item)}\n" for item in checked)


def claim_line(item: CheckedClaim) -> str:
    """Return one claim as one line of text."""
    note = f" ({item.verdict.note})" if item.verdict.note else ""
    return (
        f"{MARKS[item.verdict.holds]:>13}  {item.claim.id}: {item.claim.text}; "
        f"measured {measured(item.verdict)}, expected {item.claim.expected}{note}"
    )


def measured(verdict: Verdict) -> str:
    """Return the measured number with its standard error.

    >>> measured(Verdict(True, 1.23456, 0.05))
    '1.235 ± 0.05'
    """
    value = verdict.measured if isinstance(verdict.measured, str) else f"{verdict.measured:.4g}"
    return value if verdict.stderr is None else f"{value} ± {verdict.stderr:.2g}"


def _print_table(checked: Sequence[CheckedClaim]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("claim", "what the source says", "measured", "expected", "verdict", "note")
    for item in checked:
        verdict = item.verdict
        mark = Text(MARKS[verdict.holds], style=_COLOURS[verdict.holds])
        row = (item.claim.id, item.claim.text, measured(verdict), item.claim.expected)
        table.add_row(*map(Text, row), mark, Text(verdict.note))
    Console().print(table)
