"""From a plan to its files: both studies, the advice, table and picture."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from metamimo.experiments.results import open_results
from metamimo.experiments.runner import run
from metamimo.experiments.store import prepare_folder
from metamimo.figures.curves import save
from metamimo.figures.files import replacing
from metamimo.planner.choice import Advice, advise
from metamimo.planner.plan_file import Plan
from metamimo.planner.report import picture, words, write_table
from metamimo.planner.study import bare_study, stack_study

if TYPE_CHECKING:
    from metamimo.experiments.executors import Executor


@dataclass(frozen=True)
class Planned:
    """What `run_plan` leaves: the advice, its words, and the files."""

    advice: Advice
    text: str
    files: tuple[Path, ...]


def run_plan(
    plan: Plan,
    out: Path,
    executor: "Executor | None" = None,
    tell: Callable[[str], None] = lambda line: None,
    show_progress: bool = False,
) -> Planned:
    """Design every cell of a plan on common draws, and answer its question; a second call resumes.

    Args:
        plan: the plan.
        out: folder of all results; files go to ``out/plan-NAME``.
        executor, tell, show_progress: see `metamimo.experiments.runner.run`.

    Raises:
        FeasibilityError: if no cell is within the limits and meets the rates in every draw.
        ConfigError, StoreError, MetamimoError: the folder or store does not fit, or tasks failed.
    """
    found = []
    for study in (bare_study(plan), stack_study(plan)):
        folder = prepare_folder(out, study.experiment.name)
        run(study, folder, executor, None, tell, show_progress)
        found.append(open_results(folder, study.experiment.trials))
    bare, stacks = found
    advice = advise(plan, stacks, bare)
    folder = out / f"plan-{plan.name}"
    table, report = folder / "plan.csv", folder / "plan.txt"
    write_table(advice, table)
    text = words(plan, advice)
    with replacing(report) as aside:
        aside.write_text(text + "\n", encoding="utf-8")
    return Planned(advice, text, (table, report, *save(picture(plan, advice), folder)))
