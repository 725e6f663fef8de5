"""One page a paper, made from the committed files of its figures alone: pictures, curves, verdicts, parameters."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metamimo.errors import ConfigError
from metamimo.figures.claim_table import MARKS
from metamimo.figures.committed import CommittedRun, read_run
from metamimo.figures.files import replacing
from metamimo.figures.markdown import claim_table, curve_table, table, verdict_text
from metamimo.papers import registry

if TYPE_CHECKING:
    from metamimo.experiments.config import Experiment, Scenario

TWIN = "-passive"
"""A figure of this ending repeats the one without it, with a stack that cannot create energy."""
PLAIN, PASSIVE = "as in the paper", "band-limited kernel"
FITTED = "fitted"
"""Stands in the note of a claim that was used to choose parameters."""
_MARKS = {
    "seed": "stated in the paper",
    "lit": "from literature or code that the paper cites",
    "chosen": "chosen here, because the paper's text has lost it",
}
_PACKAGES = ("metamimo", "jax", "numpy", "scipy")


def page(paper: str, results: Path, folder: Path) -> str:
    """Return the page of a paper as Markdown.

    Args:
        paper: A registered paper, the part of its figures' names before the slash.
        results: The folder that holds ``PAPER/FIGURE/{curves.csv, claims.json, figure.png, provenance.json}``.
        folder: Where the page will lie; links to pictures are relative to it.

    Raises:
        ConfigError: There is no such paper or folder.
        StoreError: A file of a figure is missing beside others, or damaged.
    """
    papers = sorted({name.partition("/")[0] for name in registry.FIGURES})
    if paper not in papers:
        raise ConfigError(f"paper: must be one of {', '.join(papers)} (given: {paper!r})")
    if not results.is_dir():
        raise ConfigError(f"results: must be a folder (given: {str(results)!r})")
    declared = {name: registry.load(name, "full").experiment for name in registry.names(f"{paper}/{registry.ALL}")}
    runs = {name: read_run(results, name) for name in declared}
    made = {name: run for name, run in runs.items() if run}
    origin = f"Made by `metamimo page {paper}` from the files in `results/{paper}`: change those, and make it again."
    lines = [
        f"# Figures and claims: {paper}",
        "",
        origin,
        "",
        *_sources(declared),
        *_summary(made, declared),
        *_parameters(declared),
    ]
    for name in sorted((name for name in declared if not _is_twin(name, declared)), key=_order):
        pair = {PLAIN: made.get(name), PASSIVE: made.get(f"{name}{TWIN}")}
        if any(pair.values()):
            shown = {title: run for title, run in pair.items() if run}
            lines += _figure(declared[name], shown, declared, folder)
    return "\n".join(lines).rstrip() + "\n"


def write_page(paper: str, results: Path, out: Path) -> Path:
    """Write `page` to a file; see there for arguments and errors."""
    text = page(paper, results, out.absolute().parent)
    with replacing(out.absolute()) as aside:
        aside.write_text(text, encoding="utf-8")
    return out


def _sources(declared: Mapping[str, "Experiment"]) -> Iterator[str]:
    for entry in dict.fromkeys(entry for experiment in declared.values() for entry in experiment.cites):
        yield from ("```bibtex", *entry.strip().splitlines(), "```", "")


def _summary(made: Mapping[str, CommittedRun], declared: Mapping[str, "Experiment"]) -> Iterator[str]:
    """Yield how many claims hold, fail and stay open, those that do not hold with the reason, and what is missing."""
    yield from ("## Summary", "")
    rows, unresolved = [], []
    twins = [name for name in made if _is_twin(name, declared)]
    groups = {"as declared": [name for name in made if name not in twins]}
    if twins:
        groups[f"again with the {PASSIVE}"] = twins
    for title, names in groups.items():
        claims = [(name, claim) for name in sorted(names, key=_order) for claim in made[name].claims]
        count = Counter(claim["holds"] for _, claim in claims)
        fitted = sum(claim["holds"] is True and FITTED in claim["note"] for _, claim in claims)
        rows.append([title, str(len(names)), *(str(count[mark]) for mark in MARKS), str(fitted)])
        unresolved += [(name, claim) for name, claim in claims if claim["holds"] is not True]
    header = ["figures", "number", "claims that hold", "that do not hold", "open", "of those that hold, fitted"]
    yield from (*table(header, rows), "")
    yield "A claim is decided where its number is beyond two standard errors (exact counts have none), else open."
    yield "A fitted one was used to choose parameters, so that it holds is no prediction."
    yield ""
    missing = sorted(declared.keys() - made.keys(), key=_order)
    if missing:
        yield from (f"Not run yet: {', '.join(map(_figure_of, missing))}.", "")
    if unresolved:
        yield from ("Claims that do not hold or are open, and why:", "")
        entries = [
            [_figure_of(name), claim["id"], claim["text"], claim["expected"], verdict_text(claim)]
            for name, claim in unresolved
        ]
        yield from (*table(["figure", "claim", "what the source says", "expected", "what the data say"], entries), "")


def _parameters(declared: Mapping[str, "Experiment"]) -> Iterator[str]:
    """Yield one table for each scenario class, with unit and mark of every field."""
    yield from ("## Parameters", "")
    yield "; ".join(f"[{mark}]: {meaning}" for mark, meaning in _MARKS.items()) + "."
    classes: dict[type[Scenario], list[str]] = {}
    for name, experiment in declared.items():
        classes.setdefault(type(experiment.scenario), []).append(name)
    for scenario, figures in classes.items():
        used = ", ".join(map(_figure_of, sorted(figures, key=_order)))
        yield from ("", f"`{scenario.__name__}`, the scenario of {used}:", "")
        rows = []
        for field, value in _defaults(scenario).items():
            extra = scenario.model_fields[field].json_schema_extra
            mark = extra.get("mark") if isinstance(extra, Mapping) else None
            rows.append([f"`{field}`", _plain(value), scenario.unit_of(field), f"[{mark}]" if mark else ""])
        yield from table(["parameter", "value", "unit", "mark"], rows)
    yield ""


def _figure(
    experiment: "Experiment", runs: Mapping[str, CommittedRun], declared: Mapping[str, "Experiment"], folder: Path
) -> Iterator[str]:
    """Yield the section of a figure, with its twin beside it where that was run."""
    yield from (f"## {_figure_of(experiment.name)}: {experiment.title}", "")
    links = [Path(os.path.relpath(run.picture.absolute(), folder)).as_posix() for run in runs.values()]
    labelled = list(runs) != [PLAIN]
    names = [f"{experiment.title}, {title}" if labelled else experiment.title for title in runs]
    images = [f"![{name}]({link})" for name, link in zip(names, links, strict=True)]
    yield from (*(table(list(runs), [images]) if labelled else images), "")
    for title, run in runs.items():
        label = f"{title[0].upper()}{title[1:]}: " if labelled else ""
        yield from (f"{label}{_made(run)}", "")
        yield from _remarks(run, declared[run.name])
        for curves in run.curves:
            caption, *rest = curve_table(curves)
            yield from (f"{label}{caption}", *rest, "")
    columns = {title if labelled else "what the data say": run.claims for title, run in runs.items()}
    if any(columns.values()):
        yield from (*claim_table(columns), "")


def _made(run: CommittedRun) -> str:
    """Return in one line what made the data."""
    if not run.provenance:
        return "The files of this run do not say which commit and versions made them."
    made, seconds = run.provenance["made_with"], run.provenance["process_seconds"]
    parts = [
        f"n = {run.provenance['realisations']}",
        f"experiment {run.provenance['experiment']}",
        f"commit {made['commit'] or 'unknown'}",
        *(f"{package} {made[f'version_{package}']}" for package in _PACKAGES),
        f"Python {made['python']}",
        made["processor"] or "unknown processor",
    ]
    parts += [f"{seconds / 60:.3g} minutes of one process"] if seconds is not None else []
    return ", ".join(parts) + "."


def _remarks(run: CommittedRun, experiment: "Experiment") -> Iterator[str]:
    """Yield what a reader must know before comparing: other parameters, and files older than the code."""
    swept = {field for axis in experiment.axes for field in axis.fields}
    scenario = run.provenance.get("scenario") or experiment.scenario.model_dump(mode="json")
    defaults = _defaults(type(experiment.scenario))
    other = [
        f"`{field}` = {_plain(value)}"
        for field, value in scenario.items()
        if field not in swept and defaults.get(field) != value
    ]
    if other:
        yield from (f"Other than in the table of parameters: {', '.join(other)}.", "")
    if run.provenance and run.provenance["experiment"] != experiment.id:
        yield from (f"The experiment has changed since this run, its id is {experiment.id} now.", "")
    known = {claim["id"] for claim in run.claims}
    later = [claim for claim in experiment.claims if claim not in known]
    if later:
        yield from (f"Claims declared since this run, not checked on it: {', '.join(later)}.", "")


def _defaults(scenario: "type[Scenario]") -> dict[str, Any]:
    return {name: field.get_default() for name, field in scenario.model_fields.items()}


def _plain(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value.is_integer() else f"{value:.6g}"


def _is_twin(name: str, declared: Mapping[str, "Experiment"]) -> bool:
    return name.endswith(TWIN) and name.removesuffix(TWIN) in declared


def _figure_of(name: str) -> str:
    return name.partition("/")[2]


def _order(name: str) -> list[int | str]:
    """Return a sorting key: numbered figures first, fig2 before fig10, then the others by name."""
    digits = re.split(r"(\d+)", _figure_of(name))
    numbered = digits[0] == "fig"
    # Texts and numbers alternate, so that like is compared with like.
    return [int(not numbered), *(int(part) if part.isdigit() else part for part in digits)]
