"""The command line. Nothing but typer is imported here: `--help` must answer at once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from metamimo.figures.reproduce import Reproduction

app = typer.Typer(
    name="metamimo",
    help="Metasurface transmitters in wireless communication: reproduce figures, look at results, export them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

BAD_INPUT = 2
INTERRUPTED = 130

FigureName = Annotated[str, typer.Argument(metavar="PAPER/FIG", help="A figure, see `metamimo list`.")]
ResultFolder = Annotated[Path, typer.Argument(metavar="DIR", help="An output folder, or a figure's folder in it.")]


class Guarded(TyperCommand):
    """A command whose expected errors end in one message and an exit code, never in a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        from metamimo.errors import ConfigError, FeasibilityError, MetamimoError, ShapeError, StoreError

        try:
            return super().invoke(ctx)
        except MetamimoError as error:
            typer.echo(f"error: {error}", err=True)
            given = isinstance(error, (ConfigError, StoreError, ShapeError, FeasibilityError))
            raise typer.Exit(BAD_INPUT if given else 1) from None
        except KeyboardInterrupt:
            typer.echo("interrupted: finished tasks are stored; run the same command again to go on", err=True)
            raise typer.Exit(INTERRUPTED) from None


@app.command("list", cls=Guarded)
def list_figures() -> None:
    """List the figures that can be reproduced."""
    from metamimo.papers.registry import FIGURES

    width = max(map(len, FIGURES))
    for name, entry in sorted(FIGURES.items()):
        typer.echo(f"{name:<{width}}  {entry.title}")


@app.command(cls=Guarded)
def reproduce(
    figure: Annotated[str, typer.Argument(metavar="PAPER/FIG", help="A figure, or PAPER/all.")],
    full: Annotated[bool, typer.Option("--full/--quick", help="The figure as published, or a version of minutes.")] = (
        False
    ),
    trials: Annotated[int | None, typer.Option(min=1, help="Realisations a point; more extend a store.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Results go to DIR/PAPER/FIG.")] = Path("runs"),
    executor: Annotated[
        Literal["inline", "dask"] | None,
        typer.Option(help="Where tasks run; dask if --workers or --scheduler is given."),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Local dask worker processes.")] = None,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="A running dask scheduler.")] = None,
    shard: Annotated[str, typer.Option(metavar="I/N", help="Do part I of N of the work (job arrays).")] = "1/1",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", hidden=True, help="Change a scenario field.")
    ] = None,
) -> None:
    """Compute a figure, draw it, and check its claims. A second call resumes or extends."""
    import os

    from metamimo.experiments.environment import environment

    os.environ.update(environment())
    from metamimo.errors import ConfigError
    from metamimo.experiments.executors import Executor, Inline
    from metamimo.experiments.tasks import Shard
    from metamimo.figures.reproduce import reproduce_study
    from metamimo.papers import registry

    where: Executor = Inline()
    if executor == "inline" and (workers or scheduler):
        raise ConfigError("executor: must be dask where --workers or --scheduler is given (given: inline)")
    if executor == "dask" or workers or scheduler:
        from metamimo.experiments.dask_executor import Dask

        where = Dask(workers, scheduler)
    part, changes = Shard.parse(shard), _settings(settings or [])
    mode: registry.Mode = "full" if full else "quick"
    studies = [registry.load(name, mode) for name in registry.names(figure)]
    studies = [study.with_scenario(changes) if changes else study for study in studies]
    with where.kept() as kept:
        for study in studies:
            if trials is not None:
                study = study.with_trials(trials)
            typer.echo(f"{study.experiment.name} ({mode}): {study.experiment.title}")
            _report(reproduce_study(study, out, kept, part, _tell, show_progress=True))


@app.command(cls=Guarded)
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The plan file to write.")] = Path("plan.yaml"),
) -> None:
    """Write a commented starter for `metamimo plan`."""
    from metamimo.errors import ConfigError
    from metamimo.figures.files import replacing
    from metamimo.planner.plan_file import STARTER

    if file.exists():
        raise ConfigError(f"file: {file} exists already; choose another name")
    with replacing(file) as aside:
        aside.write_text(STARTER, encoding="utf-8")
    typer.echo(f"wrote   {file}\nnext    metamimo plan {file}")


@app.command(cls=Guarded)
def plan(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A plan, see `metamimo init`.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Results go to DIR/plan-NAME.")] = Path("runs"),
    workers: Annotated[int | None, typer.Option(min=1, help="Local dask worker processes.")] = None,
) -> None:
    """How many layers, meta-atoms and antennas? Design every cell on common draws, and recommend one."""
    import os

    from metamimo.experiments.environment import environment

    os.environ.update(environment())
    from metamimo.experiments.executors import Executor, Inline
    from metamimo.planner.plan_file import load_plan
    from metamimo.planner.run import run_plan

    where: Executor = Inline()
    if workers:
        from metamimo.experiments.dask_executor import Dask

        where = Dask(workers, None)
    with where.kept() as kept:
        done = run_plan(load_plan(file), out, kept, _tell, show_progress=True)
    typer.echo(done.text)
    for written in done.files:
        typer.echo(f"wrote   {written}")


@app.command("check-physics", cls=Guarded)
def check_physics(
    design: Annotated[Path, typer.Argument(metavar="DESIGN", help="A file that `SimDesign.write` made.")],
    seed: Annotated[int, typer.Option(help="Seed of the random phases that the design is compared with.")] = 0,
) -> None:
    """What did the usual model over-promise? Score a stacked design in a model that conserves energy."""
    import os

    from metamimo.experiments.environment import environment

    os.environ.update(environment())
    from metamimo.interop.sim_design import SimDesign
    from metamimo.planner.physics_check import check_physics as check

    typer.echo(str(check(SimDesign.read(design), seed)))


@app.command(cls=Guarded)
def show(
    design: Annotated[Path, typer.Argument(metavar="DESIGN", help="A file that `StoredDesign.write` made.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Pictures go there; beside DESIGN if left out.")] = (
        None
    ),
    station: Annotated[int, typer.Option(metavar="B", help="Which base station, from 0.")] = 0,
    subcarrier: Annotated[int | None, typer.Option(metavar="K", help="From 0; the middle one if left out.")] = None,
) -> None:
    """Draw what a stored design radiates: its pattern, and the amplitude and phase of its elements."""
    from metamimo.experiments.store import prepare_folder
    from metamimo.figures.beam_table import print_beam
    from metamimo.figures.curves import save
    from metamimo.figures.radiation import Shown, draw_radiation
    from metamimo.interop.design_file import StoredDesign

    shown = Shown.of(StoredDesign.read(design), station, subcarrier)
    folder = design.parent if out is None else prepare_folder(out, "")
    print_beam(shown)
    name = f"{design.stem}-station{shown.station}-subcarrier{shown.subcarrier}"
    for written in save(draw_radiation(shown), folder, name):
        typer.echo(f"wrote   {written}")


@app.command(cls=Guarded)
def status(folder: ResultFolder) -> None:
    """Say what lies in a folder: finished tasks, realisations, damage."""
    from metamimo.errors import StoreError
    from metamimo.experiments.results import find_stores, summary_line

    broken = False
    for path in find_stores(folder):
        try:
            typer.echo(summary_line(path))
        except StoreError as error:
            broken = True
            _tell(f"error: {error}")
    raise typer.Exit(BAD_INPUT if broken else 0)


@app.command(cls=Guarded)
def export(
    folder: ResultFolder,
    to: Annotated[Literal["csv", "netcdf", "mat"], typer.Option(help="Format.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="File to write; beside the store if left out.")] = (
        None
    ),
) -> None:
    """Write stored results in a format of other tools."""
    from metamimo.interop.export import export as write

    typer.echo(write(folder, to, out))


@app.command(cls=Guarded)
def page(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="A paper, the part of its figures' names before /.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Markdown file to write.")],
    results: Annotated[Path, typer.Option(metavar="DIR", help="Holds DIR/PAPER/FIG with the files of each run.")] = (
        Path("results")
    ),
) -> None:
    """Write a paper's page: pictures, curves, verdicts and parameters, from the stored files alone."""
    from metamimo.figures.page import write_page

    typer.echo(write_page(paper, results, out))


@app.command(cls=Guarded)
def cite(figure: FigureName) -> None:
    """Print the BibTeX entries behind a figure."""
    from metamimo.experiments.environment import own_citation
    from metamimo.papers import registry

    entries = [entry for name in registry.names(figure) for entry in registry.load(name).experiment.cites]
    for entry in [*dict.fromkeys(entries), own_citation()]:
        typer.echo(entry.strip() + "\n")


@app.command(cls=Guarded)
def doctor() -> None:
    """Check this installation, and say what to do about each problem."""
    import os

    from metamimo.experiments.environment import environment

    os.environ.update(environment())
    from metamimo.experiments.doctor import examine

    findings = examine(Path.cwd())
    for finding in findings:
        typer.echo(f"{'ok' if finding.advice is None else 'PROBLEM':<8} {finding.subject}: {finding.found}")
        if finding.advice:
            typer.echo(f"{'':<8} {finding.advice}")
    raise typer.Exit(1 if any(finding.advice for finding in findings) else 0)


def _tell(line: str) -> None:
    typer.echo(line, err=True)


def _settings(pairs: list[str]) -> dict[str, Any]:
    """Read FIELD=VALUE pairs; a value is JSON where it can be read as such, else text."""
    import json

    from metamimo.errors import ConfigError

    values: dict[str, Any] = {}
    for pair in pairs:
        field, equals, text = pair.partition("=")
        if not (field and equals):
            raise ConfigError(f"set: must be FIELD=VALUE (given: {pair!r})")
        try:
            values[field] = json.loads(text)
        except ValueError:
            values[field] = text
    return values


def _report(done: "Reproduction") -> None:
    """Print the claim table and where the files lie, or what is missing."""
    from metamimo.figures.claim_table import print_claims

    summary = done.summary
    if summary.missing:
        typer.echo(
            f"{summary.missing} of {summary.total} tasks are missing, so no figure is drawn and no claim is checked. "
            "Run the other shards, or the same command without --shard"
        )
        return
    print_claims(done.claims)
    typer.echo(f"store   {summary.folder / 'store.zarr'}")
    for file in done.files:
        typer.echo(f"wrote   {file}")
