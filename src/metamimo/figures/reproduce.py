"""From a study to the files in its folder: run, check the claims, draw."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from metamimo.experiments.claims import CheckedClaim, evaluate
from metamimo.experiments.results import Results, open_results
from metamimo.experiments.runner import RunSummary, run
from metamimo.experiments.store import prepare_folder
from metamimo.figures.curves import draw, save
from metamimo.figures.tables import write_claims, write_curves, write_provenance

if TYPE_CHECKING:
    from metamimo.experiments.executors import Executor
    from metamimo.experiments.study import Study
    from metamimo.experiments.tasks import Shard


@dataclass(frozen=True)
class Reproduction:
    """What `reproduce_study` leaves: the run's summary, and, once the data are complete, claims and files."""

    summary: RunSummary
    claims: tuple[CheckedClaim, ...] = ()
    files: tuple[Path, ...] = ()
    results: Results | None = None


def reproduce_study(
    study: "Study",
    out: Path,
    executor: "Executor | None" = None,
    shard: "Shard | None" = None,
    tell: Callable[[str], None] = lambda line: None,
    show_progress: bool = False,
) -> Reproduction:
    """Run a study and write curves.csv, claims.json, provenance.json, figure.png and figure.pdf beside its store.

    Args:
        study: What to reproduce.
        out: The folder of all results; files go to ``out/PAPER/FIGURE``. Its parent must exist.
        executor, shard, tell, show_progress: See `metamimo.experiments.runner.run`.

    Returns:
        Without claims and files while tasks of other shards are missing.

    Raises:
        ConfigError, StoreError, MetamimoError: The folder or store does not fit, the disk is full, or tasks failed.
    """
    folder = prepare_folder(out, study.experiment.name)
    summary = run(study, folder, executor, shard, tell, show_progress)
    if summary.missing:
        return Reproduction(summary)
    results = open_results(folder, study.experiment.trials)
    checked = evaluate(study.claims, results)
    variables = list(dict.fromkeys([study.headline, *(panel.variable for panel in study.panels)]))
    tables = (folder / "curves.csv", folder / "claims.json", folder / "provenance.json")
    write_curves(results, variables, tables[0])
    write_claims(checked, tables[1])
    write_provenance(results, tables[2])
    pictures = save(study.picture(results) if study.picture else draw(results, study.panels_or_default()), folder)
    return Reproduction(summary, tuple(checked), (*tables, *pictures), results)
