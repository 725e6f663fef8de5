"""From a plan to its files: both studies, the advice, table and picture."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from metamimo.experiments.results import open_results
from metamimo.experiments.runner import run
from metamimo.experiments.store import prepare_folder
from metamimo.experiments.tasks import Task
from metamimo.figures.curves import save
from metamimo.figures.files import replacing
from metamimo.planner.choice import Advice, Finalists, advise, contenders
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
    """Design every cell of a plan on common draws, the best ones on more of them; a second call resumes.

    The best of many cells on few draws owes a part of its lead to these draws. So all that are close to it meet more,
    until the best one is among those that have.

    Args:
        plan: the plan.
        out: folder of all results; files go to ``out/plan-NAME``.
        executor, tell, show_progress: see `metamimo.experiments.runner.run`.

    Raises:
        FeasibilityError: if no cell is within the limits and meets the rates in every draw.
        ConfigError, StoreError, MetamimoError: the folder or store does not fit, or tasks failed.
    """
    first, bare, final = stack_study(plan, plan.draws), bare_study(plan), stack_study(plan, plan.draws_of_finalists)
    for study in (bare, first):
        run(study, prepare_folder(out, study.experiment.name), executor, None, tell, show_progress)
    stacks = prepare_folder(out, final.experiment.name)
    without = open_results(prepare_folder(out, bare.experiment.name), plan.draws)
    finalists: Finalists = frozenset()
    while not (wanted := contenders(advice := advise(plan, open_results(stacks), without, finalists))) <= finalists:
        finalists |= wanted
        chosen = {
            (plan.search.n_layers.index(l), plan.elements_that_fit().index(n), plan.search.n_ports.index(m))
            for l, n, m in finalists
        }

        def only(task: Task, chosen: set[tuple[int, ...]] = chosen) -> bool:
            return task.index in chosen

        run(final, stacks, executor, None, tell, show_progress, only)
    folder = out / f"plan-{plan.name}"
    table, report = folder / "plan.csv", folder / "plan.txt"
    write_table(advice, table)
    text = words(plan, advice)
    with replacing(report) as aside:
        aside.write_text(text + "\n", encoding="utf-8")
    return Planned(advice, text, (table, report, *save(picture(plan, advice), folder)))
